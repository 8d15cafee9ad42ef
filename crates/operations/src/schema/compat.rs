//! Whether a new schema still accepts what an old one accepted.

use serde_json::Value;

use super::{Schema, local_target};
use crate::issue::pointer_join;

/// How deep two schemas are compared; recursive ones are cut there.
const DEPTH: usize = 32;
/// Most reasons that are listed.
const MOST_REASONS: usize = 20;

/// Keywords this comparison understands. With any other that constrains values the answer is
/// [`Compatibility::Unknown`] unless both schemas say the same.
const UNDERSTOOD: [&str; 20] = [
    "type",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "$ref",
    "format",
    "pattern",
];

/// Keywords that constrain nothing.
const SILENT: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$anchor",
];

/// The result of [`compare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// Every value the old schema accepts is accepted by the new one.
    Compatible,
    /// It is not; each reason is one sentence with its JSON Pointer.
    Incompatible(Vec<String>),
    /// Keywords beyond this comparison differ. Counts as incompatible.
    Unknown,
}

/// Does `new` accept everything that `old` accepted? Compares types, required sets, enums and
/// bounds. A new optional property counts as compatible, although an object that was open would have
/// taken anything under its name.
#[must_use]
pub fn compare(old: &Schema, new: &Schema) -> Compatibility {
    let mut comparison = Comparison {
        old: old.json(),
        new: new.json(),
        reasons: Vec::new(),
        unknown: false,
    };
    comparison.visit("", old.json(), new.json(), DEPTH);
    if !comparison.reasons.is_empty() {
        comparison.reasons.truncate(MOST_REASONS);
        Compatibility::Incompatible(comparison.reasons)
    } else if comparison.unknown {
        Compatibility::Unknown
    } else {
        Compatibility::Compatible
    }
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    reasons: Vec<String>,
    unknown: bool,
}

impl<'a> Comparison<'a> {
    fn visit(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        if old == new && self.old == self.new {
            return;
        }
        let targets = (local_target(self.old, old), local_target(self.new, new));
        let ((Some(old), Some(new)), true) = (targets, depth > 0) else {
            self.unknown = true;
            return;
        };
        if accepts_all(new) || *old == Value::Bool(false) {
            return;
        }
        if *new == Value::Bool(false) || accepts_all(old) {
            self.refuse(path, "accepts less than before");
            return;
        }
        if !self.all_understood(old, new) {
            self.unknown = true;
            return;
        }
        self.types(path, old, new);
        self.choices(path, old, new);
        self.bounds(path, old, new);
        self.texts(path, old, new);
        self.members(path, old, new, depth);
        if let Some(new_items) = new.get("items") {
            match old.get("items") {
                Some(old_items) => {
                    self.visit(
                        &pointer_join(path, "items"),
                        old_items,
                        new_items,
                        depth - 1,
                    );
                }
                None if !accepts_all(new_items) && may_be(old, "array") => {
                    self.refuse(path, "restricts items that were free");
                }
                None => {}
            }
        }
    }

    fn refuse(&mut self, path: &str, reason: &str) {
        let path = if path.is_empty() { "/" } else { path };
        self.reasons.push(format!("{path}: {reason}"));
    }

    /// True when both use only understood keywords, or say the same under the others.
    fn all_understood(&self, old: &Value, new: &Value) -> bool {
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            return false;
        };
        old.keys().chain(new.keys()).all(|keyword| {
            let name = keyword.as_str();
            UNDERSTOOD.contains(&name)
                || SILENT.contains(&name)
                || name.starts_with("x-")
                // Equal text means the same only when what it may refer to is the same.
                || (old.get(name) == new.get(name)
                    && (self.same_definitions() || !mentions_reference(old.get(name))))
        })
    }

    fn same_definitions(&self) -> bool {
        ["$defs", "definitions"]
            .iter()
            .all(|keyword| self.old.get(keyword) == self.new.get(keyword))
    }

    fn types(&mut self, path: &str, old: &Value, new: &Value) {
        let Some(new_types) = type_names(new) else {
            return;
        };
        let accepted = |name: &str| {
            new_types.contains(&name) || (name == "integer" && new_types.contains(&"number"))
        };
        match type_names(old) {
            Some(old_types) => {
                for lost in old_types.into_iter().filter(|name| !accepted(name)) {
                    self.refuse(path, &format!("no longer accepts {lost}"));
                }
            }
            None => match value_types(old) {
                Some(types) if types.iter().all(|name| accepted(name)) => {}
                _ => self.refuse(path, "restricts a type that was free"),
            },
        }
    }

    fn choices(&mut self, path: &str, old: &Value, new: &Value) {
        let Some(new_choices) = choices(new) else {
            return;
        };
        match choices(old) {
            Some(old_choices) => {
                if old_choices
                    .iter()
                    .any(|choice| !new_choices.contains(choice))
                {
                    self.refuse(path, "no longer accepts every value of the old list");
                }
            }
            None => self.refuse(path, "restricts a value that was free to a list"),
        }
    }

    fn bounds(&mut self, path: &str, old: &Value, new: &Value) {
        const LOWER: [&str; 5] = [
            "minimum",
            "exclusiveMinimum",
            "minLength",
            "minItems",
            "minProperties",
        ];
        const UPPER: [&str; 5] = [
            "maximum",
            "exclusiveMaximum",
            "maxLength",
            "maxItems",
            "maxProperties",
        ];
        let number = |schema: &Value, keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        for (keywords, upper) in [(LOWER, false), (UPPER, true)] {
            for keyword in keywords {
                let Some(new_bound) = number(new, keyword) else {
                    continue;
                };
                let kept = number(old, keyword).is_some_and(|old_bound| {
                    if upper {
                        old_bound <= new_bound
                    } else {
                        old_bound >= new_bound
                    }
                });
                if !kept {
                    self.refuse(path, &format!("has a narrower {keyword}"));
                }
            }
        }
    }

    fn texts(&mut self, path: &str, old: &Value, new: &Value) {
        for keyword in ["format", "pattern"] {
            if let Some(said) = new.get(keyword)
                && old.get(keyword) != Some(said)
            {
                self.refuse(path, &format!("has another {keyword}"));
            }
        }
    }

    fn members(&mut self, path: &str, old: &'a Value, new: &'a Value, depth: usize) {
        if !may_be(old, "object") {
            return;
        }
        let old_required = names(old);
        for name in names(new) {
            if !old_required.contains(&name) {
                self.refuse(&pointer_join(path, name), "is required now");
            }
        }
        let (old_named, new_named) = (properties(old), properties(new));
        for (name, old_property) in old_named.into_iter().flatten() {
            let here = pointer_join(path, name);
            match new_named
                .and_then(|named| named.get(name))
                .or(new.get("additionalProperties"))
            {
                Some(Value::Bool(false)) => self.refuse(&here, "is no longer accepted"),
                Some(new_property) => self.visit(&here, old_property, new_property, depth - 1),
                None => {}
            }
        }
        // A new optional property under a name the old schema left free does not count: nobody could
        // rely on a member that was never declared.
        let old_rest = old.get("additionalProperties");
        match (old_rest, new.get("additionalProperties")) {
            (_, None) | (Some(Value::Bool(false)), _) => {}
            (Some(old_rest), Some(new_rest)) => self.visit(path, old_rest, new_rest, depth - 1),
            (None, Some(new_rest)) if accepts_all(new_rest) => {}
            (None, Some(_)) => self.refuse(path, "restricts further members that were free"),
        }
    }
}

fn accepts_all(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(members) => members
            .keys()
            .all(|keyword| SILENT.contains(&keyword.as_str()) || keyword.starts_with("x-")),
        _ => false,
    }
}

fn mentions_reference(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(members)) => {
            members.contains_key("$ref")
                || members.values().any(|one| mentions_reference(Some(one)))
        }
        Some(Value::Array(items)) => items.iter().any(|item| mentions_reference(Some(item))),
        _ => false,
    }
}

fn type_names(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn may_be(schema: &Value, name: &str) -> bool {
    type_names(schema).is_none_or(|names| names.contains(&name))
}

fn choices(schema: &Value) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(listed)), _) => Some(listed.iter().collect()),
        (_, Some(only)) => Some(vec![only]),
        _ => None,
    }
}

/// The types of the values that an enum or const lists.
fn value_types(schema: &Value) -> Option<Vec<&'static str>> {
    Some(
        choices(schema)?
            .into_iter()
            .map(|value| match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_f64() => "number",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            })
            .collect(),
    )
}

fn names(schema: &Value) -> Vec<&str> {
    match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}
