//! From an input to the texts of a request.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{HttpPlan, HttpRequest, Location, Method, Parameter, RESERVED_HEADERS, Style};
use crate::error::CallError;
use crate::issue::pointer_join;

/// Everything but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// As [`VALUE`], for queries that ask for their reserved characters; `&`, `#`, `+` and `=` would
/// change what the query says.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';');

pub(super) fn request(plan: &HttpPlan, input: &Value) -> Result<HttpRequest, CallError> {
    let mut query = Vec::new();
    let mut headers = Vec::new();
    let mut cookies = Vec::new();
    for parameter in &plan.parameters {
        let Some(value) = input.get(&parameter.input).filter(|value| !value.is_null()) else {
            continue;
        };
        match parameter.location {
            // Set where the path names them.
            Location::Path => {}
            Location::Query => query.extend(pairs(parameter, value)),
            Location::Header => {
                let text = joined(parameter, value, |text| text.to_owned());
                if RESERVED_HEADERS
                    .iter()
                    .any(|reserved| parameter.name.eq_ignore_ascii_case(reserved))
                {
                    continue;
                }
                headers.push((parameter.name.clone(), header_text(parameter, text)?));
            }
            Location::Cookie => cookies.extend(pairs(parameter, value)),
        }
    }
    if !cookies.is_empty() {
        headers.push(("cookie".to_owned(), cookies.join("; ")));
    }
    let body = match &plan.body {
        // A body of these has no meaning.
        Some(_) if matches!(plan.method, Method::Get | Method::Head) => None,
        Some(content_type) => input.get("body").map(|body| {
            headers.push(("content-type".to_owned(), content_type.clone()));
            body.to_string().into_bytes()
        }),
        None => None,
    };
    Ok(HttpRequest {
        method: plan.method,
        path: path(plan, input)?,
        query: (!query.is_empty()).then(|| query.join("&")),
        headers,
        body,
    })
}

/// Puts the values into the path. A whole segment may be neither empty nor a step upwards.
fn path(plan: &HttpPlan, input: &Value) -> Result<String, CallError> {
    let mut path = String::new();
    for segment in plan.path.split('/').skip(1) {
        let (text, first) = filled(plan, segment, input)?;
        if let Some(parameter) = first
            && matches!(text.as_str(), "" | "." | "..")
        {
            return Err(not_in_path(&parameter.input));
        }
        path.push('/');
        path.push_str(&text);
    }
    if path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

/// A segment with its values, and the first parameter in it.
fn filled<'p>(
    plan: &'p HttpPlan,
    segment: &str,
    input: &Value,
) -> Result<(String, Option<&'p Parameter>), CallError> {
    let mut text = String::new();
    let mut first = None;
    let mut rest = segment;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, behind)) = behind.split_once('}') else {
            text.push_str("%7B");
            rest = behind;
            continue;
        };
        rest = behind;
        let parameter = plan
            .parameters
            .iter()
            .find(|parameter| parameter.location == Location::Path && parameter.name == name);
        let Some(parameter) = parameter else {
            // A document that names no such parameter was not imported.
            let _ = write!(text, "%7B{name}%7D");
            continue;
        };
        let value = input.get(&parameter.input).unwrap_or(&Value::Null);
        let encoded = joined(parameter, value, encode);
        if value.is_null() || matches!(encoded.as_str(), "" | "." | "..") {
            return Err(not_in_path(&parameter.input));
        }
        text.push_str(&encoded);
        first = first.or(Some(parameter));
    }
    text.push_str(rest);
    Ok((text, first))
}

fn not_in_path(input: &str) -> CallError {
    CallError::validation_field(
        pointer_join("", input),
        "path_segment",
        "must not be empty, . or .., because it is a part of the path",
    )
}

fn header_text(parameter: &Parameter, text: String) -> Result<String, CallError> {
    if text
        .chars()
        .any(|character| character.is_control() && character != '\t')
    {
        return Err(CallError::validation_field(
            pointer_join("", &parameter.input),
            "header",
            "must not contain control characters, because it becomes a header",
        ));
    }
    Ok(text)
}

/// `name=value` pairs of a query string or of cookies, encoded.
fn pairs(parameter: &Parameter, value: &Value) -> Vec<String> {
    let name = encode(&parameter.name);
    let write = |text: &str| {
        let set = if parameter.allow_reserved {
            RESERVED
        } else {
            VALUE
        };
        utf8_percent_encode(text, set).to_string()
    };
    if parameter.json {
        return vec![format!("{name}={}", write(&value.to_string()))];
    }
    let separator = match parameter.style {
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "%7C",
        _ => ",",
    };
    match value {
        Value::Array(items) => {
            let texts: Vec<String> = items
                .iter()
                .filter_map(scalar)
                .map(|text| write(&text))
                .collect();
            if parameter.explode && parameter.style != Style::DeepObject {
                texts.iter().map(|text| format!("{name}={text}")).collect()
            } else if texts.is_empty() {
                Vec::new()
            } else {
                vec![format!("{name}={}", texts.join(separator))]
            }
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .filter_map(|(key, value)| Some((encode(key), write(&scalar(value)?))));
            if parameter.style == Style::DeepObject {
                members
                    .map(|(key, text)| format!("{name}%5B{key}%5D={text}"))
                    .collect()
            } else if parameter.explode {
                members.map(|(key, text)| format!("{key}={text}")).collect()
            } else {
                let flat: Vec<String> = members.flat_map(|(key, text)| [key, text]).collect();
                match flat.is_empty() {
                    true => Vec::new(),
                    false => vec![format!("{name}={}", flat.join(separator))],
                }
            }
        }
        single => scalar(single)
            .map(|text| format!("{name}={}", write(&text)))
            .into_iter()
            .collect(),
    }
}

/// One text, for a part of the path or a header.
fn joined(parameter: &Parameter, value: &Value, write: impl Fn(&str) -> String) -> String {
    if parameter.json {
        return write(&value.to_string());
    }
    let name = &parameter.name;
    let texts: Vec<String> = match value {
        Value::Array(items) => items
            .iter()
            .filter_map(scalar)
            .map(|text| write(&text))
            .collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .filter_map(|(key, value)| Some((write(key), write(&scalar(value)?))));
            if parameter.explode {
                members.map(|(key, text)| format!("{key}={text}")).collect()
            } else {
                members.flat_map(|(key, text)| [key, text]).collect()
            }
        }
        single => scalar(single)
            .map(|text| write(&text))
            .into_iter()
            .collect(),
    };
    match parameter.style {
        Style::Label => {
            let separator = if parameter.explode { "." } else { "," };
            format!(".{}", texts.join(separator))
        }
        Style::Matrix if parameter.explode && value.is_object() => {
            texts.iter().map(|text| format!(";{text}")).collect()
        }
        Style::Matrix if parameter.explode => {
            texts.iter().map(|text| format!(";{name}={text}")).collect()
        }
        Style::Matrix => format!(";{name}={}", texts.join(",")),
        _ => texts.join(","),
    }
}

/// A value as text; nothing for null. What is nested is written as JSON.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}
