//! Schemas of a document as schemas that stand alone: references go to `$defs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::document::Document;
use crate::canonical::{canonical_json, sha256_hex};
use crate::schema::{SCHEMA_BYTES, SCHEMA_DEPTH, Schema};

/// Keywords whose value is one schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is a map of schemas.
const MAP: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords of 3.0 that JSON Schema does not know and that say nothing about values.
const FOREIGN: [&str; 3] = ["xml", "externalDocs", "discriminator"];
/// What counts beside a reference in 3.0.
const BESIDE_REFERENCE: [&str; 4] = ["description", "title", "default", "deprecated"];

/// Schemas that others refer to, each converted once for the whole document.
pub(super) struct Schemas<'d> {
    document: &'d Document<'d>,
    /// Name in `$defs` by reference.
    names: HashMap<String, String>,
    /// Converted schema and the names it refers to, by name.
    definitions: HashMap<String, (Value, BTreeSet<String>)>,
    /// Reference by name, of what is not converted yet.
    pending: HashMap<String, String>,
    /// Compiled ones by their hash: many operations share their errors and answers.
    compiled: HashMap<String, Result<Schema, String>>,
}

impl<'d> Schemas<'d> {
    pub(super) fn new(document: &'d Document<'d>) -> Self {
        Self {
            document,
            names: HashMap::new(),
            definitions: HashMap::new(),
            pending: HashMap::new(),
            compiled: HashMap::new(),
        }
    }

    /// Converts a schema as it stands in the document; what it refers to is looked at by
    /// [`Schemas::with_definitions`].
    pub(super) fn convert(&mut self, schema: &Value) -> Result<Value, String> {
        self.converted(schema, SCHEMA_DEPTH)
    }

    /// The converted schema with everything it refers to under `$defs`.
    pub(super) fn with_definitions(&mut self, schema: Value) -> Result<Value, String> {
        let mut left: Vec<String> = referred(&schema).into_iter().collect();
        if left.is_empty() {
            return Ok(schema);
        }
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        let mut bytes = 0;
        while let Some(name) = left.pop() {
            if found.contains_key(&name) {
                continue;
            }
            let (definition, more) = self.definition(&name)?;
            // Looked at before it is whole, for a schema that refers to all of a large document.
            bytes += definition.to_string().len();
            if bytes > SCHEMA_BYTES {
                return Err(format!(
                    "with what it refers to the schema has more than {SCHEMA_BYTES} bytes"
                ));
            }
            left.extend(more);
            found.insert(name, definition);
        }
        let mut whole = match schema {
            Value::Object(members) => members,
            other => return Ok(other),
        };
        let own = whole.remove("$defs");
        let mut definitions: Map<String, Value> = found.into_iter().collect();
        if let Some(Value::Object(own)) = own {
            for (name, definition) in own {
                definitions.entry(name).or_insert(definition);
            }
        }
        whole.insert("$defs".to_owned(), Value::Object(definitions));
        Ok(Value::Object(whole))
    }

    /// The schema compiled, or why it cannot be.
    pub(super) fn compiled(&mut self, schema: Value) -> Result<Schema, String> {
        let hash = sha256_hex(&canonical_json(&schema));
        self.compiled
            .entry(hash)
            .or_insert_with(|| Schema::new(schema).map_err(|error| error.to_string()))
            .clone()
    }

    fn definition(&mut self, name: &str) -> Result<(Value, BTreeSet<String>), String> {
        if let Some(reference) = self.pending.remove(name) {
            let target = self.document.target(&reference)?;
            let converted = self.converted(target, SCHEMA_DEPTH)?;
            let more = referred(&converted);
            self.definitions.insert(name.to_owned(), (converted, more));
        }
        self.definitions
            .get(name)
            .cloned()
            .ok_or_else(|| format!("the schema {name} cannot be converted"))
    }

    /// The name in `$defs` of what a reference leads to.
    fn name_of(&mut self, reference: &str) -> Result<String, String> {
        if let Some(name) = self.names.get(reference) {
            return Ok(name.clone());
        }
        // Leads somewhere, or the operation is refused.
        self.document.target(reference)?;
        let last = reference.rsplit('/').next().unwrap_or_default();
        let base: String = last
            .replace("~1", "_")
            .replace("~0", "_")
            .chars()
            .map(|character| match character {
                plain if plain.is_ascii_alphanumeric() || matches!(plain, '-' | '.' | '_') => plain,
                _ => '_',
            })
            .take(100)
            .collect();
        let base = if base.is_empty() {
            "schema".to_owned()
        } else {
            base
        };
        let known = |name: &str| self.names.values().any(|taken| taken == name);
        let mut name = base.clone();
        let mut number = 2;
        while known(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.names.insert(reference.to_owned(), name.clone());
        self.pending.insert(name.clone(), reference.to_owned());
        Ok(name)
    }

    fn converted(&mut self, schema: &Value, depth: usize) -> Result<Value, String> {
        if depth == 0 {
            return Err(format!(
                "a schema is nested deeper than {SCHEMA_DEPTH} levels"
            ));
        }
        let Value::Object(members) = schema else {
            return match schema {
                Value::Bool(_) => Ok(schema.clone()),
                _ => Err("a schema must be an object or a boolean".to_owned()),
            };
        };
        let mut result = Map::new();
        let reference = members.get("$ref").and_then(Value::as_str);
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            if self.document.old {
                let beside = reference.is_some()
                    && keyword != "$ref"
                    && !BESIDE_REFERENCE.contains(&keyword);
                if beside || keyword == "nullable" || FOREIGN.contains(&keyword) {
                    continue;
                }
            }
            let value = match value {
                Value::String(reference) if keyword == "$ref" => {
                    Value::from(format!("#/$defs/{}", self.name_of(reference)?))
                }
                Value::Array(items) if LIST.contains(&keyword) || keyword == "items" => items
                    .iter()
                    .map(|item| self.converted(item, depth - 1))
                    .collect::<Result<_, _>>()?,
                Value::Object(named) if MAP.contains(&keyword) => {
                    let mut converted = Map::new();
                    for (name, item) in named {
                        converted.insert(name.clone(), self.converted(item, depth - 1)?);
                    }
                    Value::Object(converted)
                }
                Value::Object(_) if ONE.contains(&keyword) => self.converted(value, depth - 1)?,
                other => other.clone(),
            };
            result.insert(keyword.to_owned(), value);
        }
        if self.document.old {
            exclusive_bounds(&mut result);
            if members.get("nullable") == Some(&Value::Bool(true)) {
                return Ok(with_null(result));
            }
        }
        Ok(Value::Object(result))
    }
}

/// 3.0 says by a boolean that a bound is exclusive.
fn exclusive_bounds(schema: &mut Map<String, Value>) {
    for (exclusive, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                schema.remove(exclusive);
                if let Some(value) = schema.remove(bound) {
                    schema.insert(exclusive.to_owned(), value);
                }
            }
            Some(Value::Bool(false)) => {
                schema.remove(exclusive);
            }
            _ => {}
        }
    }
}

/// The schema that takes null as well.
fn with_null(mut schema: Map<String, Value>) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(one)) if !schema.contains_key("$ref") && plain(&schema) => {
            schema.insert("type".to_owned(), json!([one, "null"]));
            if let Some(Value::Array(listed)) = schema.get_mut("enum")
                && !listed.contains(&Value::Null)
            {
                listed.push(Value::Null);
            }
            Value::Object(schema)
        }
        // Without a type every value is taken already, but for what it is made of.
        None if plain(&schema) && !schema.contains_key("$ref") && !schema.contains_key("enum") => {
            Value::Object(schema)
        }
        _ => {
            let mut whole = Map::new();
            for annotation in BESIDE_REFERENCE {
                if let Some(value) = schema.remove(annotation) {
                    whole.insert(annotation.to_owned(), value);
                }
            }
            whole.insert("anyOf".to_owned(), json!([schema, { "type": "null" }]));
            Value::Object(whole)
        }
    }
}

/// True when no part of the schema could refuse null by itself.
fn plain(schema: &Map<String, Value>) -> bool {
    !["allOf", "anyOf", "oneOf", "not"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword))
}

/// Names of `$defs` a converted schema refers to.
fn referred(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        let Value::Object(members) = schema else {
            continue;
        };
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            match value {
                Value::String(reference) if keyword == "$ref" => {
                    found.extend(reference.strip_prefix("#/$defs/").map(str::to_owned));
                }
                Value::Array(items) if LIST.contains(&keyword) || keyword == "items" => {
                    left.extend(items);
                }
                Value::Object(named) if MAP.contains(&keyword) => left.extend(named.values()),
                Value::Object(_) if ONE.contains(&keyword) => left.push(value),
                _ => {}
            }
        }
    }
    found
}
