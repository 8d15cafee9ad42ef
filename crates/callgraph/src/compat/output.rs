//! What an output declares, taken apart into branches.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{DEPTH, is_opaque, is_silent, list, members, names, pointed, resolved};

/// All types of JSON Schema.
const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];

/// How an output is looked at.
pub(super) enum Branches<'v> {
    /// As it stands.
    One,
    /// Each of these must fit.
    Each(Vec<Cow<'v, Value>>),
    /// It is all of these at once: one that fits is enough.
    Any(Vec<Value>),
}

/// The types an output may have.
pub(super) struct Types {
    pub(super) names: Vec<&'static str>,
    /// It does not say, and its other keywords are those of one type.
    pub(super) assumed: bool,
}

impl Types {
    /// All values, when there are but few.
    pub(super) fn all_values(&self) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        for name in &self.names {
            match *name {
                "null" => values.push(Value::Null),
                "boolean" => values.extend([json!(true), json!(false)]),
                _ => return None,
            }
        }
        Some(values)
    }
}

/// Takes unions and intersections of an output apart.
pub(super) fn branches<'v>(root: &Value, output: &'v Map<String, Value>) -> Branches<'v> {
    for keyword in ["anyOf", "oneOf"] {
        let union = list(output, keyword);
        if !union.is_empty() {
            let rest = without(output, &[keyword]);
            return Branches::Each(union.iter().map(|branch| both(&rest, branch)).collect());
        }
    }
    if output.contains_key("allOf") || output.contains_key("$ref") {
        let parts = parts(root, output);
        return match merged(root, &parts) {
            Some(merged) => Branches::Each(vec![Cow::Owned(merged)]),
            None => Branches::Any(parts),
        };
    }
    if let Some(Value::Array(types)) = output.get("type")
        && types.len() > 1
        && values(output).is_none()
    {
        let one = |name: &Value| {
            let mut branch = output.clone();
            branch.insert("type".to_owned(), name.clone());
            Cow::Owned(Value::Object(branch))
        };
        return Branches::Each(types.iter().map(one).collect());
    }
    Branches::One
}

/// The values an `enum` or `const` lists.
pub(super) fn values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(only), _) => Some(vec![only]),
        (None, Some(Value::Array(listed))) => Some(listed.iter().collect()),
        _ => None,
    }
}

pub(super) fn types_of(output: &Map<String, Value>) -> Types {
    if let Some(values) = values(output) {
        let mut names: Vec<&'static str> = values.into_iter().map(type_of).collect();
        names.sort_unstable();
        names.dedup();
        return Types {
            names,
            assumed: false,
        };
    }
    let said: Option<Vec<&str>> = match output.get("type") {
        Some(Value::String(name)) => Some(vec![name]),
        Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    };
    if let Some(said) = said {
        let known = TYPES.into_iter().chain(["integer"]);
        return Types {
            names: known.filter(|name| said.contains(name)).collect(),
            assumed: false,
        };
    }
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| output.contains_key(*keyword));
    let assumed = if has(&["properties", "required", "additionalProperties"]) {
        Some("object")
    } else if has(&["items", "prefixItems"]) {
        Some("array")
    } else {
        None
    };
    Types {
        names: assumed.map_or_else(|| TYPES.to_vec(), |name| vec![name]),
        assumed: assumed.is_some(),
    }
}

/// The type of a value; a whole number is an integer however it is written.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|it| it.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Equality of JSON Schema, where 1 and 1.0 are one number.
pub(super) fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same_value(a, b)))
        }
        _ => left == right,
    }
}

/// A schema that is both; where one says nothing, the other.
fn both<'v>(rest: &Map<String, Value>, branch: &'v Value) -> Cow<'v, Value> {
    if rest.keys().all(|keyword| is_silent(keyword)) {
        Cow::Borrowed(branch)
    } else {
        Cow::Owned(json!({ "allOf": [rest, branch] }))
    }
}

fn without(schema: &Map<String, Value>, keywords: &[&str]) -> Map<String, Value> {
    schema
        .iter()
        .filter(|(keyword, _)| !keywords.contains(&keyword.as_str()))
        .map(|(keyword, value)| (keyword.clone(), value.clone()))
        .collect()
}

/// Everything that an output is at once: its own keywords, what it refers to, the parts of `allOf`.
fn parts(root: &Value, output: &Map<String, Value>) -> Vec<Value> {
    let mut found = Vec::new();
    let mut left = vec![(Value::Object(output.clone()), 0)];
    while let Some((schema, depth)) = left.pop() {
        let target = resolved(root, &schema).cloned();
        let Some(Value::Object(members)) = target else {
            // A boolean, or a reference that leads nowhere, which stays and is found out later.
            found.push(target.unwrap_or(schema));
            continue;
        };
        let inner = list(&members, "allOf");
        let reference = members.get("$ref").and_then(Value::as_str);
        if (inner.is_empty() && reference.is_none()) || depth == DEPTH {
            found.push(Value::Object(members));
            continue;
        }
        let rest = without(&members, &["allOf", "$ref"]);
        left.extend(inner.iter().rev().map(|part| (part.clone(), depth + 1)));
        if let Some(reference) = reference {
            let target = pointed(root, reference).cloned();
            let kept = || json!({ "$ref": reference });
            left.push((target.unwrap_or_else(kept), depth + 1));
        }
        if !rest.keys().all(|keyword| is_silent(keyword)) {
            left.push((Value::Object(rest), depth + 1));
        }
    }
    found
}

/// One object schema of several, when they are nothing but object schemas.
fn merged(root: &Value, parts: &[Value]) -> Option<Value> {
    if let [only] = parts {
        // Itself again would be taken apart for ever.
        let again = only.get("allOf").is_some() || resolved(root, only).is_none();
        return (!again).then(|| only.clone());
    }
    let objects: Option<Vec<&Map<String, Value>>> = parts.iter().map(object).collect();
    let objects = objects?;
    let mut properties: Map<String, Value> = Map::new();
    let mut required: Vec<&str> = Vec::new();
    let mut rests = Vec::new();
    let mut merged = Map::new();
    for part in objects {
        for (name, schema) in members(part).into_iter().flatten() {
            let joined = match properties.remove(name) {
                Some(other) if other != *schema => json!({ "allOf": [other, schema] }),
                _ => schema.clone(),
            };
            properties.insert(name.clone(), joined);
        }
        for name in names(part, "required") {
            if !required.contains(&name) {
                required.push(name);
            }
        }
        rests.extend(part.get("additionalProperties"));
        for keyword in ["type", "minProperties", "maxProperties"] {
            if let Some(value) = part.get(keyword) {
                merged.insert(keyword.to_owned(), value.clone());
            }
        }
    }
    merged.insert("properties".to_owned(), Value::Object(properties));
    merged.insert("required".to_owned(), json!(required));
    let rest = match rests.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        many if many.contains(&&Value::Bool(false)) => Some(Value::Bool(false)),
        many => Some(json!({ "allOf": many })),
    };
    if let Some(rest) = rest {
        merged.insert("additionalProperties".to_owned(), rest);
    }
    Some(Value::Object(merged))
}

/// A schema of objects without unions or conditions.
fn object(schema: &Value) -> Option<&Map<String, Value>> {
    const PLAIN: [&str; 6] = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "maxProperties",
    ];
    let members = schema.as_object()?;
    let plain = members
        .keys()
        .all(|keyword| PLAIN.contains(&keyword.as_str()) || is_silent(keyword));
    let typed = members.get("type").is_none_or(|name| name == "object");
    (plain && typed && !is_opaque(members)).then_some(members)
}
