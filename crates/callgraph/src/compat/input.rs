//! What an input demands.

use serde_json::{Map, Value};

use super::output::same_value;
use super::{list, members, names, resolved};

/// Keywords that bound values of a type beyond their type.
const BOUNDS: [(&str, &[&str]); 4] = [
    ("string", &["format", "pattern", "minLength", "maxLength"]),
    (
        "number",
        &[
            "format",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ],
    ),
    (
        "array",
        &[
            "maxItems",
            "uniqueItems",
            "contains",
            "minContains",
            "maxContains",
        ],
    ),
    (
        "object",
        &["minProperties", "maxProperties", "propertyNames"],
    ),
];

/// The bounds of an input.
pub(super) struct Bounds;

impl Bounds {
    /// Keywords of an input that bound values of these types.
    pub(super) fn of(types: &[&str], input: &Map<String, Value>) -> Vec<&'static str> {
        let mut found: Vec<&'static str> = BOUNDS
            .iter()
            .filter(|(name, _)| {
                types.contains(name) || (*name == "number" && types.contains(&"integer"))
            })
            .flat_map(|(_, keywords)| keywords.iter().copied())
            .collect();
        // The length of a tuple is compared.
        if types.contains(&"array") && list(input, "prefixItems").is_empty() {
            found.push("minItems");
        }
        found.retain(|keyword| input.contains_key(*keyword));
        found
    }
}

/// The types an input names; none when it names none.
pub(super) fn types(input: &Map<String, Value>) -> Option<Vec<&str>> {
    match input.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// The lists of which one schema must accept.
pub(super) fn alternatives(input: &Map<String, Value>) -> Vec<(&'static str, &[Value])> {
    ["anyOf", "oneOf"]
        .into_iter()
        .map(|keyword| (keyword, list(input, keyword)))
        .filter(|(_, branches)| !branches.is_empty())
        .collect()
}

pub(super) fn has_object_keywords(input: &Map<String, Value>) -> bool {
    ["properties", "required", "additionalProperties"]
        .iter()
        .any(|keyword| input.contains_key(*keyword))
}

pub(super) fn has_array_keywords(input: &Map<String, Value>) -> bool {
    ["items", "prefixItems", "minItems"]
        .iter()
        .any(|keyword| input.contains_key(*keyword))
}

/// True when it is sure that no value fits both: other types, other listed values, or a member that
/// both demand with disjoint schemas.
pub(super) fn is_disjoint(root: &Value, left: &Value, right: &Value) -> bool {
    disjoint(root, left, right, 8)
}

fn disjoint(root: &Value, left: &Value, right: &Value, depth: usize) -> bool {
    let (Some(Value::Object(left)), Some(Value::Object(right)), true) =
        (resolved(root, left), resolved(root, right), depth > 0)
    else {
        return false;
    };
    if let (Some(left), Some(right)) = (super::output::values(left), super::output::values(right)) {
        let shared = |value: &&Value| right.iter().any(|other| same_value(value, other));
        return !left.iter().any(shared);
    }
    if let (Some(left), Some(right)) = (possible(left), possible(right)) {
        let number = |name: &str| name == "integer" || name == "number";
        let meets = |name: &&str| {
            right
                .iter()
                .any(|other| other == name || (number(other) && number(name)))
        };
        if !left.iter().any(meets) {
            return true;
        }
    }
    let both_demand = names(left, "required");
    let demanded = names(right, "required");
    let (Some(left_members), Some(right_members)) = (members(left), members(right)) else {
        return false;
    };
    // Members are demanded of objects only, so both must be nothing else.
    let only_objects = |side| types(side).is_some_and(|types| types == ["object"]);
    only_objects(left)
        && only_objects(right)
        && both_demand.iter().any(|name| {
            demanded.contains(name)
                && left_members
                    .get(*name)
                    .zip(right_members.get(*name))
                    .is_some_and(|(left, right)| disjoint(root, left, right, depth - 1))
        })
}

/// The types of values a schema may have, if it says.
fn possible(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    if let Some(values) = super::output::values(schema) {
        return Some(
            values
                .iter()
                .map(|value| super::output::type_of(value))
                .collect(),
        );
    }
    types(schema)
}
