//! Query strings made into inputs: each value takes the type its property declares.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::{Schema, local_target};

/// Makes an input object from the pairs of a query string.
///
/// For each top-level property, by its declared type: integers, numbers, booleans (`true` and
/// `false` only), `null` (an empty value), arrays (from a repeated key or a single one), strings as
/// they are, objects from JSON text. What does not read as its type stays a string, and keys the
/// schema does not know stay strings, so that validation tells about both.
#[must_use]
pub fn coerce_query(schema: &Schema, pairs: &[(String, String)]) -> Value {
    let mut grouped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, text) in pairs {
        grouped.entry(key).or_default().push(text);
    }
    let mut input = Map::new();
    for (key, texts) in grouped {
        let declared = schema.property(key);
        input.insert(
            key.to_owned(),
            coerce_property(schema.json(), declared, &texts),
        );
    }
    Value::Object(input)
}

fn coerce_property(root: &Value, declared: Option<&Value>, texts: &[&str]) -> Value {
    let types = declared
        .map(|schema| Types::of(root, schema))
        .unwrap_or_default();
    if types.array {
        let items = declared.and_then(|schema| items_of(root, schema));
        let item_types = items
            .map(|schema| Types::of(root, schema))
            .unwrap_or_default();
        return texts
            .iter()
            .map(|text| coerce_one(&item_types, text))
            .collect();
    }
    match texts {
        [single] => coerce_one(&types, single),
        // A repeated key for something that is no array: kept, so that validation refuses it.
        several => several.iter().map(|text| Value::from(*text)).collect(),
    }
}

fn coerce_one(types: &Types, text: &str) -> Value {
    if types.null && text.is_empty() {
        return Value::Null;
    }
    if types.boolean
        && let Ok(flag) = text.parse::<bool>()
    {
        return Value::Bool(flag);
    }
    if types.integer
        && let Some(number) = integer(text)
    {
        return Value::Number(number);
    }
    if types.number
        && let Some(number) = number(text)
    {
        return Value::Number(number);
    }
    if types.object
        && let Ok(object @ Value::Object(_)) = serde_json::from_str(text)
    {
        return object;
    }
    Value::from(text)
}

fn integer(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    text.parse::<u64>().ok().map(Number::from)
}

fn number(text: &str) -> Option<Number> {
    // JSON's own grammar: `inf`, `NaN` and `0x1` are no numbers.
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) => Some(number),
        _ => integer(text),
    }
}

/// Which types a schema allows, gathered over references and alternatives.
#[derive(Default)]
struct Types {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    array: bool,
    object: bool,
}

impl Types {
    fn of(root: &Value, schema: &Value) -> Self {
        let mut types = Self::default();
        types.gather(root, schema, 8);
        types
    }

    fn gather(&mut self, root: &Value, schema: &Value, hops: usize) {
        if hops == 0 {
            return;
        }
        let schema = local_target(root, schema).unwrap_or(schema);
        match schema.get("type") {
            Some(Value::String(name)) => self.add(name),
            Some(Value::Array(names)) => {
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .for_each(|name| self.add(name));
            }
            _ => {}
        }
        // An enum or const without a type says by its values what it takes.
        let listed = schema
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for value in listed.chain(schema.get("const")) {
            self.add_of(value);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(Value::Array(parts)) = schema.get(keyword) {
                parts
                    .iter()
                    .for_each(|part| self.gather(root, part, hops - 1));
            }
        }
    }

    fn add(&mut self, name: &str) {
        match name {
            "null" => self.null = true,
            "boolean" => self.boolean = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => {}
        }
    }

    fn add_of(&mut self, value: &Value) {
        match value {
            Value::Null => self.null = true,
            Value::Bool(_) => self.boolean = true,
            Value::Number(_) => self.number = true,
            Value::Array(_) => self.array = true,
            Value::Object(_) => self.object = true,
            Value::String(_) => {}
        }
    }
}

/// The schema of an array's items, through references and alternatives.
fn items_of<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let schema = local_target(root, schema)?;
    schema.get("items").or_else(|| {
        ["anyOf", "oneOf"].iter().find_map(|keyword| {
            schema
                .get(keyword)?
                .as_array()?
                .iter()
                .find_map(|part| local_target(root, part).and_then(|part| part.get("items")))
        })
    })
}
