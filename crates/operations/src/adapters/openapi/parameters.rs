//! Parameters and body of an operation as one flat input.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use super::{Part, cut, members};
use crate::adapters::http::{Location, Method, Parameter, RESERVED_HEADERS, Style};
use crate::adapters::http::{essence, is_json};

/// Most parameters of an operation.
const MOST: usize = 200;
/// The member of the input that becomes the body.
const BODY: &str = "body";

/// The input of an operation.
pub(super) struct Input {
    /// Its schema, converted, without definitions.
    pub(super) schema: Value,
    /// What goes where.
    pub(super) parameters: Vec<Parameter>,
    /// Media type of the body.
    pub(super) body: Option<String>,
}

/// A parameter of the document.
struct Declared<'d> {
    name: &'d str,
    location: Location,
    value: &'d Value,
}

pub(super) fn read(part: &Part<'_>, schemas: &mut Schemas<'_>) -> Result<Input, String> {
    let implicit = json!({ "required": true });
    let mut declared = declared(part)?;
    for name in placeholders(part.path) {
        let known = declared
            .iter()
            .any(|one| one.location == Location::Path && one.name == name);
        if !known {
            declared.push(Declared {
                name,
                location: Location::Path,
                value: &implicit,
            });
        }
    }
    let in_path: BTreeSet<&str> = placeholders(part.path).collect();
    // One that the path does not name has no place.
    declared.retain(|one| one.location != Location::Path || in_path.contains(one.name));
    if declared.len() > MOST {
        return Err(format!("it has more than {MOST} parameters"));
    }

    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut parameters = Vec::new();
    for one in &declared {
        let input = input_name(one, &declared, &properties);
        let (schema, json) = schema_of(part, one, schemas)?;
        properties.insert(input.clone(), described(schema, one.value));
        if one.location == Location::Path || one.value.get("required") == Some(&Value::Bool(true)) {
            required.push(input.clone());
        }
        parameters.push(planned(one, input, json)?);
    }
    let body = body(part, schemas)?;
    let media_type = body.map(|body| {
        properties.insert(BODY.to_owned(), body.schema);
        if body.required {
            required.push(BODY.to_owned());
        }
        body.media_type
    });
    let mut schema = json!({
        "type": "object", "properties": properties, "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    Ok(Input {
        schema,
        parameters,
        body: media_type,
    })
}

/// Parameters of the path item and of the operation; of two for the same place the operation's counts.
fn declared<'d>(part: &Part<'d>) -> Result<Vec<Declared<'d>>, String> {
    let mut found: Vec<Declared<'d>> = Vec::new();
    for owner in [part.item, part.operation] {
        let listed = owner.get("parameters").and_then(Value::as_array);
        for value in listed.into_iter().flatten() {
            let value = part.document.resolved(value)?;
            let text = |key: &str| value.get(key).and_then(Value::as_str);
            let name = text("name").ok_or("a parameter has no name")?;
            let location: Location =
                text("in")
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| {
                        format!("the parameter {} stands in no known place", cut(name, 100))
                    })?;
            let reserved = RESERVED_HEADERS
                .iter()
                .any(|reserved| name.eq_ignore_ascii_case(reserved));
            if location == Location::Header && reserved {
                continue;
            }
            let one = Declared {
                name,
                location,
                value,
            };
            match found
                .iter_mut()
                .find(|known| known.name == name && known.location == location)
            {
                Some(known) => *known = one,
                None => found.push(one),
            }
        }
    }
    Ok(found)
}

fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|behind| behind.split_once('}').map(|(name, _)| name))
}

/// The name in the input: the parameter's own, made unlike those of other places and the body.
fn input_name(one: &Declared<'_>, all: &[Declared<'_>], taken: &Map<String, Value>) -> String {
    let clash = all
        .iter()
        .any(|other| other.name == one.name && other.location != one.location);
    let mut name = one.name.to_owned();
    if one.name == BODY {
        name.push_str("_param");
    }
    if clash && one.location != Location::Path {
        name = format!("{name}_{}", one.location);
    }
    let base = name.clone();
    let mut number = 2;
    while taken.contains_key(&name) {
        name = format!("{base}_{number}");
        number += 1;
    }
    name
}

/// The schema of a parameter, and whether its value is written as JSON.
fn schema_of(
    part: &Part<'_>,
    one: &Declared<'_>,
    schemas: &mut Schemas<'_>,
) -> Result<(Value, bool), String> {
    if let Some(schema) = one.value.get("schema") {
        return Ok((schemas.convert(schema)?, false));
    }
    match members(one.value.get("content")).into_iter().next() {
        Some((media_type, media)) => {
            let media = part.document.resolved(media)?;
            let schema = match media.get("schema") {
                Some(schema) => schemas.convert(schema)?,
                None => json!({}),
            };
            Ok((schema, is_json(media_type)))
        }
        None => Ok((json!({ "type": "string" }), false)),
    }
}

/// The schema with the parameter's description, when it has none of its own.
fn described(schema: Value, parameter: &Value) -> Value {
    let description = parameter.get("description").and_then(Value::as_str);
    match (schema, description) {
        (Value::Object(mut members), Some(text)) => {
            members
                .entry("description")
                .or_insert_with(|| json!(cut(text, 2_000)));
            Value::Object(members)
        }
        (Value::Bool(true), Some(text)) => json!({ "description": cut(text, 2_000) }),
        (schema, _) => schema,
    }
}

fn planned(one: &Declared<'_>, input: String, json: bool) -> Result<Parameter, String> {
    let default = match one.location {
        Location::Path | Location::Header => Style::Simple,
        Location::Query | Location::Cookie => Style::Form,
    };
    let style = match one.value.get("style").and_then(Value::as_str) {
        None => default,
        Some(text) => text
            .parse()
            .map_err(|_unknown| format!("the style {} is not known", cut(text, 50)))?,
    };
    let fits = match one.location {
        Location::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Location::Header => style == Style::Simple,
        Location::Cookie => style == Style::Form,
        Location::Query => !matches!(style, Style::Simple | Style::Label | Style::Matrix),
    };
    if !fits {
        return Err(format!(
            "the style of the parameter {} does not fit its place",
            cut(one.name, 100)
        ));
    }
    let flag = |key: &str| one.value.get(key).and_then(Value::as_bool);
    let delimited = matches!(style, Style::SpaceDelimited | Style::PipeDelimited);
    Ok(Parameter {
        input,
        name: one.name.to_owned(),
        location: one.location,
        style,
        // Taken apart by default in the form style only; a delimiter that is asked for is used.
        explode: !delimited && flag("explode").unwrap_or(style == Style::Form),
        json,
        allow_reserved: flag("allowReserved").unwrap_or(false),
    })
}

struct Body {
    schema: Value,
    media_type: String,
    required: bool,
}

fn body(part: &Part<'_>, schemas: &mut Schemas<'_>) -> Result<Option<Body>, String> {
    if matches!(part.method, Method::Get | Method::Head) {
        return Ok(None);
    }
    let Some(body) = part.operation.get("requestBody") else {
        return Ok(None);
    };
    let body = part.document.resolved(body)?;
    let content = members(body.get("content"));
    if content.is_empty() {
        return Ok(None);
    }
    let plain_json = content.get_key_value("application/json");
    let any_json = || {
        content
            .iter()
            .find(|(media_type, _)| is_json(media_type) || essence(media_type) == "*/*")
    };
    let Some((media_type, media)) = plain_json.or_else(any_json) else {
        let types: Vec<String> = content.keys().map(|key| cut(key, 60)).take(4).collect();
        return Err(format!(
            "UNSUPPORTED: its body is {}; only JSON is sent",
            types.join(" or ")
        ));
    };
    let media = part.document.resolved(media)?;
    let schema = match media.get("schema") {
        Some(schema) => schemas.convert(schema)?,
        None => json!({}),
    };
    let media_type = match essence(media_type).as_str() {
        "*/*" => "application/json".to_owned(),
        _ => (*media_type).to_owned(),
    };
    if media_type.chars().any(char::is_control) {
        return Err("the type of its body holds control characters".to_owned());
    }
    Ok(Some(Body {
        schema: described(schema, body),
        media_type,
        required: body.get("required") == Some(&Value::Bool(true)),
    }))
}
