//! Moving the definitions of many JSON Schemas into one document without clashes.
//!
//! Each operation's schemas stand alone, with their own `$defs`. In the document a definition is
//! shared when its name and everything it leads to are equal, and renamed when only the name is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

/// Name in the document of the error shape.
pub(super) const ERROR: &str = "CallError";
/// Name in the document of an envelope's `meta`.
pub(super) const META: &str = "EnvelopeMeta";

/// Which way a schema's values travel; both may know one type in different forms, for a field
/// with a default is optional in an input and always there in an output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

/// The schemas of the document, by name.
pub(super) struct Components {
    schemas: BTreeMap<String, Value>,
    /// Wanted name and whole content → given name.
    given: HashMap<(String, String), String>,
}

impl Components {
    /// The shapes the hub itself puts around every operation.
    pub(super) fn with_own_shapes() -> Self {
        let schemas = BTreeMap::from([
            (ERROR.to_owned(), error_shape()),
            (META.to_owned(), meta_shape()),
        ]);
        Components {
            schemas,
            given: HashMap::new(),
        }
    }

    /// The schema as it stands in the document: definitions moved here, references turned to
    /// them. `owner` is the operation's id and names a schema that refers to itself as a whole.
    pub(super) fn adopt(&mut self, schema: &Value, owner: &str, side: Side) -> Value {
        let Value::Object(root) = schema else {
            return schema.clone();
        };
        let source = Source::read(root);
        let mut names = HashMap::new();
        for name in source.definitions.keys() {
            let content = source.closure(name);
            names.insert(name.clone(), self.name(name, content, side));
        }
        let root_name = source.root_is_referenced().then(|| {
            let suffix = match side {
                Side::Input => "Input",
                Side::Output => "Output",
            };
            self.name(&format!("{owner}.{suffix}"), source.whole(), side)
        });

        let target = Target {
            source: &source,
            names: &names,
            root: root_name.as_deref(),
        };
        for (name, definition) in &source.definitions {
            if let Some(given) = names.get(name) {
                self.schemas
                    .insert(given.clone(), target.rewritten(definition));
            }
        }
        let body = target.rewritten(&Value::Object(source.root.clone()));
        match root_name {
            Some(name) => {
                let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
                self.schemas.insert(name, body);
                reference
            }
            None => body,
        }
    }

    /// Follows references of the document until a schema that is none.
    pub(super) fn resolve<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        // A chain longer than the number of schemas goes in a circle.
        for _ in 0..=self.schemas.len() {
            let next = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
                .and_then(|name| self.schemas.get(name));
            match next {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    /// All schemas, sorted by name.
    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.schemas.into_iter().collect()
    }

    fn name(&mut self, wanted: &str, content: String, side: Side) -> String {
        let wanted: String = wanted
            .chars()
            .map(|letter| match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => letter,
                _ => '_',
            })
            .collect();
        let key = (wanted, content);
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let given = self.free_name(&key.0, side);
        // Reserved at once, so that the next definition of this schema sees it taken.
        self.schemas.insert(given.clone(), Value::Bool(true));
        self.given.insert(key, given.clone());
        given
    }

    fn free_name(&self, wanted: &str, side: Side) -> String {
        let input_form = format!("{wanted}Input");
        let mut candidates = vec![wanted.to_owned()];
        if side == Side::Input {
            candidates.push(input_form.clone());
        }
        let stem = match side {
            Side::Input => input_form,
            Side::Output => wanted.to_owned(),
        };
        candidates
            .into_iter()
            .chain((2_u64..).map(|number| format!("{stem}{number}")))
            .find(|name| !self.schemas.contains_key(name))
            .unwrap_or(stem)
    }
}

/// One schema taken apart.
struct Source {
    /// The schema without its definitions, dialect and identifier.
    root: Map<String, Value>,
    definitions: BTreeMap<String, Value>,
    /// Anchor → JSON Pointer within the schema.
    anchors: HashMap<String, String>,
}

impl Source {
    fn read(schema: &Map<String, Value>) -> Self {
        let mut root = schema.clone();
        root.remove("$schema");
        root.remove("$id");
        let mut definitions = BTreeMap::new();
        // The draft before 2019 calls them `definitions`.
        for keyword in ["$defs", "definitions"] {
            if let Some(Value::Object(found)) = root.remove(keyword) {
                definitions.extend(found);
            }
        }
        let mut anchors = HashMap::new();
        collect_anchors(&Value::Object(schema.clone()), "", &mut anchors);
        Source {
            root,
            definitions,
            anchors,
        }
    }

    /// Splits a local reference into the definition it starts at and the rest of its pointer.
    fn locate(&self, reference: &str) -> Option<(Place, String)> {
        let fragment = reference.strip_prefix('#')?;
        let pointer = match self.anchors.get(fragment) {
            Some(pointer) => pointer.clone(),
            None => percent_encoding::percent_decode_str(fragment)
                .decode_utf8()
                .ok()?
                .into_owned(),
        };
        for keyword in ["/$defs/", "/definitions/"] {
            if let Some(rest) = pointer.strip_prefix(keyword) {
                let (name, tail) = match rest.split_once('/') {
                    Some((name, tail)) => (name, format!("/{tail}")),
                    None => (rest, String::new()),
                };
                let name = name.replace("~1", "/").replace("~0", "~");
                return Some((Place::Definition(name), tail));
            }
        }
        Some((Place::Root, pointer))
    }

    fn root_is_referenced(&self) -> bool {
        let mut found = false;
        let mut look = |reference: &str| {
            if let Some((Place::Root, _)) = self.locate(reference) {
                found = true;
            }
        };
        each_reference(&Value::Object(self.root.clone()), &mut look);
        for definition in self.definitions.values() {
            each_reference(definition, &mut look);
        }
        found
    }

    /// Text of a definition and all it leads to: equal texts under equal names mean one thing.
    fn closure(&self, name: &str) -> String {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![name.to_owned()];
        while let Some(name) = waiting.pop() {
            let Some(definition) = self.definitions.get(&name) else {
                continue;
            };
            if !reached.insert(name) {
                continue;
            }
            let mut leads_to_root = false;
            each_reference(definition, &mut |reference| match self.locate(reference) {
                Some((Place::Definition(next), _)) => waiting.push(next),
                Some((Place::Root, _)) => leads_to_root = true,
                None => {}
            });
            if leads_to_root {
                return self.whole();
            }
        }
        let parts: BTreeMap<&str, &Value> = reached
            .iter()
            .filter_map(|name| {
                self.definitions
                    .get(name)
                    .map(|found| (name.as_str(), found))
            })
            .collect();
        json!(parts).to_string()
    }

    fn whole(&self) -> String {
        json!([self.root, self.definitions]).to_string()
    }
}

enum Place {
    Root,
    Definition(String),
}

/// Where the references of one schema lead in the document.
struct Target<'a> {
    source: &'a Source,
    names: &'a HashMap<String, String>,
    root: Option<&'a str>,
}

impl Target<'_> {
    fn rewritten(&self, schema: &Value) -> Value {
        let Value::Object(members) = schema else {
            return schema.clone();
        };
        let mut result = Map::new();
        for (keyword, value) in members {
            let new = match (keyword.as_str(), value) {
                // Anchors would meet those of other schemas; references to them are pointers now.
                ("$anchor" | "$dynamicAnchor" | "$id", Value::String(_)) => continue,
                ("$ref" | "$dynamicRef", Value::String(reference)) => {
                    result.insert("$ref".to_owned(), Value::String(self.reference(reference)));
                    continue;
                }
                (keyword, Value::Object(inner)) if maps_to_schemas(keyword) => inner
                    .iter()
                    .map(|(name, inner)| (name.clone(), self.rewritten(inner)))
                    .collect(),
                (keyword, Value::Array(inner)) if lists_schemas(keyword) => {
                    inner.iter().map(|inner| self.rewritten(inner)).collect()
                }
                (keyword, inner) if holds_schema(keyword) => self.rewritten(inner),
                (_, other) => other.clone(),
            };
            result.insert(keyword.clone(), new);
        }
        Value::Object(result)
    }

    fn reference(&self, reference: &str) -> String {
        let (name, tail) = match self.source.locate(reference) {
            Some((Place::Definition(name), tail)) => {
                (self.names.get(&name).map(String::as_str), tail)
            }
            Some((Place::Root, tail)) => (self.root, tail),
            None => (None, String::new()),
        };
        match name {
            Some(name) => format!("#/components/schemas/{name}{tail}"),
            None => reference.to_owned(),
        }
    }
}

fn maps_to_schemas(keyword: &str) -> bool {
    matches!(
        keyword,
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions"
    )
}

fn lists_schemas(keyword: &str) -> bool {
    matches!(
        keyword,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" | "items"
    )
}

fn holds_schema(keyword: &str) -> bool {
    matches!(
        keyword,
        "items"
            | "additionalItems"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contains"
            | "propertyNames"
            | "contentSchema"
            | "not"
            | "if"
            | "then"
            | "else"
    )
}

/// Calls `look` with each reference. Only keywords that hold schemas are entered: a `$ref` in a
/// default or an enumeration is data.
fn each_reference(schema: &Value, look: &mut impl FnMut(&str)) {
    let Value::Object(members) = schema else {
        return;
    };
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("$ref" | "$dynamicRef", Value::String(reference)) => look(reference),
            (keyword, Value::Object(inner)) if maps_to_schemas(keyword) => {
                for inner in inner.values() {
                    each_reference(inner, look);
                }
            }
            (keyword, Value::Array(inner)) if lists_schemas(keyword) => {
                for inner in inner {
                    each_reference(inner, look);
                }
            }
            (keyword, inner) if holds_schema(keyword) => each_reference(inner, look),
            _ => {}
        }
    }
}

fn collect_anchors(schema: &Value, pointer: &str, anchors: &mut HashMap<String, String>) {
    let Value::Object(members) = schema else {
        return;
    };
    for keyword in ["$anchor", "$dynamicAnchor"] {
        if let Some(Value::String(anchor)) = members.get(keyword) {
            anchors.insert(anchor.clone(), pointer.to_owned());
        }
    }
    for (keyword, value) in members {
        match value {
            Value::Object(inner) if maps_to_schemas(keyword) => {
                for (name, inner) in inner {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    collect_anchors(inner, &format!("{pointer}/{keyword}/{name}"), anchors);
                }
            }
            Value::Array(inner) if lists_schemas(keyword) => {
                for (index, inner) in inner.iter().enumerate() {
                    collect_anchors(inner, &format!("{pointer}/{keyword}/{index}"), anchors);
                }
            }
            inner if holds_schema(keyword) => {
                collect_anchors(inner, &format!("{pointer}/{keyword}"), anchors);
            }
            _ => {}
        }
    }
}

fn error_shape() -> Value {
    json!({
        "type": "object",
        "description": "Why a call failed.",
        "required": ["code", "message"],
        "properties": {
            "code": { "type": "string", "description": "One of the codes of the response; stable." },
            "message": { "type": "string", "description": "One sentence for a person." },
            "details": { "description": "Data about the failure; its form depends on the code." },
        },
    })
}

fn meta_shape() -> Value {
    json!({
        "type": "object",
        "description": "Where the data came from.",
        "required": ["source"],
        "properties": {
            "source": { "type": "string", "enum": ["local", "http", "mcp"] },
            "operationId": { "type": "string" },
            "timestamp": { "type": "number", "description": "Milliseconds since 1970-01-01T00:00:00Z, when the data was wrapped." },
            "requestId": { "type": "string" },
            "durationMs": { "type": "number" },
            "provider": {
                "type": "object",
                "properties": { "type": { "type": "string" }, "id": { "type": "string" } },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopt_all(schemas: &[(Value, Side)]) -> (Vec<Value>, Map<String, Value>) {
        let mut components = Components::with_own_shapes();
        let adopted = schemas
            .iter()
            .map(|(schema, side)| components.adopt(schema, "thing.do", *side))
            .collect();
        (adopted, components.into_schemas())
    }

    #[test]
    fn equal_definitions_are_shared() {
        let schema = json!({ "$ref": "#/$defs/Task", "$defs": { "Task": { "type": "object" } } });
        let (adopted, schemas) =
            adopt_all(&[(schema.clone(), Side::Output), (schema, Side::Input)]);
        assert_eq!(adopted[0], adopted[1]);
        assert_eq!(adopted[0], json!({ "$ref": "#/components/schemas/Task" }));
        assert!(!schemas.contains_key("TaskInput"));
    }

    #[test]
    fn same_name_with_other_content_is_renamed() {
        let first = json!({ "$ref": "#/$defs/Task", "$defs": { "Task": { "type": "object" } } });
        let second = json!({ "$ref": "#/$defs/Task", "$defs": { "Task": { "type": "string" } } });
        let (adopted, schemas) = adopt_all(&[
            (first, Side::Output),
            (second.clone(), Side::Input),
            (
                json!({ "$ref": "#/$defs/Task", "$defs": { "Task": { "type": "null" } } }),
                Side::Output,
            ),
            (second, Side::Input),
        ]);
        assert_eq!(
            adopted[1],
            json!({ "$ref": "#/components/schemas/TaskInput" })
        );
        assert_eq!(adopted[2], json!({ "$ref": "#/components/schemas/Task2" }));
        assert_eq!(adopted[3], adopted[1]);
        assert_eq!(schemas["TaskInput"], json!({ "type": "string" }));
    }

    #[test]
    fn equal_text_leading_to_other_content_is_renamed() {
        let outer = json!({ "items": { "$ref": "#/$defs/Inner" } });
        let schema = |inner: &str| {
            json!({
                "$ref": "#/$defs/Outer",
                "$defs": { "Outer": outer, "Inner": { "type": inner } },
            })
        };
        let (adopted, schemas) = adopt_all(&[
            (schema("string"), Side::Output),
            (schema("number"), Side::Output),
        ]);
        assert_eq!(adopted[1], json!({ "$ref": "#/components/schemas/Outer2" }));
        assert_eq!(
            schemas["Outer2"],
            json!({ "items": { "$ref": "#/components/schemas/Inner2" } })
        );
    }

    #[test]
    fn schema_referring_to_itself_becomes_a_component() {
        let schema = json!({
            "type": "object",
            "properties": {
                "children": { "type": "array", "items": { "$ref": "#" } },
                "first": { "$ref": "#/properties/children/items" },
            },
        });
        let (adopted, schemas) = adopt_all(&[(schema, Side::Output)]);
        assert_eq!(
            adopted[0],
            json!({ "$ref": "#/components/schemas/thing.do.Output" })
        );
        let root = &schemas["thing.do.Output"]["properties"];
        assert_eq!(
            root["children"]["items"]["$ref"],
            "#/components/schemas/thing.do.Output"
        );
        assert_eq!(
            root["first"]["$ref"],
            "#/components/schemas/thing.do.Output/properties/children/items"
        );
    }

    #[test]
    fn anchors_become_pointers_and_data_stays_data() {
        let schema = json!({
            "properties": { "a": { "$ref": "#leaf" } },
            "default": { "$ref": "#/$defs/Leaf" },
            "$defs": { "Leaf": { "$anchor": "leaf", "type": "string" } },
        });
        let (adopted, schemas) = adopt_all(&[(schema, Side::Input)]);
        assert_eq!(
            adopted[0]["properties"]["a"]["$ref"],
            "#/components/schemas/Leaf"
        );
        assert_eq!(adopted[0]["default"]["$ref"], "#/$defs/Leaf");
        assert_eq!(schemas["Leaf"], json!({ "type": "string" }));
    }

    #[test]
    fn definition_cannot_replace_the_hubs_own_shape() {
        let schema =
            json!({ "$ref": "#/$defs/CallError", "$defs": { "CallError": { "type": "null" } } });
        let (adopted, schemas) = adopt_all(&[(schema, Side::Output)]);
        assert_eq!(
            adopted[0],
            json!({ "$ref": "#/components/schemas/CallError2" })
        );
        assert_eq!(schemas[ERROR]["type"], "object");
    }

    #[test]
    fn two_definitions_that_differ_only_in_odd_letters_stay_two() {
        let schema = json!({
            "anyOf": [{ "$ref": "#/$defs/a~1b" }, { "$ref": "#/$defs/a%20b" }],
            "$defs": { "a/b": { "type": "string" }, "a b": { "type": "null" } },
        });
        let (adopted, schemas) = adopt_all(&[(schema, Side::Output)]);
        let slash = adopted[0]["anyOf"][0]["$ref"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let space = adopted[0]["anyOf"][1]["$ref"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        assert_eq!(schemas[slash], json!({ "type": "string" }));
        assert_eq!(schemas[space], json!({ "type": "null" }));
    }
}
