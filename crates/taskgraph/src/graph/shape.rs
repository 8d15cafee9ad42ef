//! The shape of graphology JSON: the first fault in the order of the format.

use serde_json::{Map, Value};

use super::attributes::FIELDS;
use crate::InvalidInput;
use crate::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};

/// A document whose shape is right.
pub(super) struct Checked<'a> {
    pub(super) attributes: &'a Map<String, Value>,
    pub(super) nodes: &'a [Value],
    pub(super) edges: &'a [Value],
}

impl<'a> Checked<'a> {
    /// Checks the shape: for each object first the missing properties in their order, then the
    /// values in the same order.
    pub(super) fn new(data: &'a Value) -> Result<Self, InvalidInput> {
        let top = object(data, "", &["attributes", "options", "nodes", "edges"])?;
        let attributes = object(&top["attributes"], "attributes", &[])?;
        check_options(&top["options"])?;
        let nodes = array(&top["nodes"], "nodes")?;
        for (number, node) in nodes.iter().enumerate() {
            let path = format!("nodes/{number}");
            let node = object(node, &path, &["key", "attributes"])?;
            string(&node["key"], &format!("{path}/key"))?;
            check_attributes(&node["attributes"], &format!("{path}/attributes"))?;
        }
        let edges = array(&top["edges"], "edges")?;
        for (number, edge) in edges.iter().enumerate() {
            let path = format!("edges/{number}");
            let edge = object(edge, &path, &["key", "source", "target"])?;
            for property in ["key", "source", "target"] {
                string(&edge[property], &format!("{path}/{property}"))?;
            }
            // An export leaves out empty attributes, so their absence is no fault.
            if let Some(attributes) = edge.get("attributes") {
                let attributes = object(attributes, &format!("{path}/attributes"), &[])?;
                if attributes
                    .get("qualityRetention")
                    .is_some_and(|value| !value.is_number())
                {
                    let field = format!("{path}/attributes/qualityRetention");
                    return Err(InvalidInput::shape(field, "Expected number"));
                }
            }
        }
        Ok(Self {
            attributes,
            nodes,
            edges,
        })
    }
}

/// Checks the options, of which only one set is possible.
pub(super) fn check_options(options: &Value) -> Result<(), InvalidInput> {
    let options = object(options, "options", &["type", "multi", "allowSelfLoops"])?;
    if options["type"] != "directed" {
        return Err(InvalidInput::shape("options/type", "Expected 'directed'"));
    }
    for option in ["multi", "allowSelfLoops"] {
        if options[option] != false {
            return Err(InvalidInput::shape(
                format!("options/{option}"),
                "Expected false",
            ));
        }
    }
    Ok(())
}

fn check_attributes(value: &Value, path: &str) -> Result<(), InvalidInput> {
    let attributes = object(value, path, &["name"])?;
    for field in FIELDS {
        if let Some(value) = attributes.get(field)
            && let Some(message) = fault_of(field, value)
        {
            return Err(InvalidInput::shape(format!("{path}/{field}"), message));
        }
    }
    Ok(())
}

/// What is wrong with the value of a node attribute, if anything.
pub(crate) fn fault_of(field: &str, value: &Value) -> Option<&'static str> {
    let text = value.as_str();
    let valid = match field {
        "name" => {
            return if text.is_some() {
                None
            } else {
                Some("Expected string")
            };
        }
        "scope" => text.is_some_and(|text| text.parse::<TaskScope>().is_ok()),
        "risk" => text.is_some_and(|text| text.parse::<TaskRisk>().is_ok()),
        "impact" => text.is_some_and(|text| text.parse::<TaskImpact>().is_ok()),
        "level" => text.is_some_and(|text| text.parse::<TaskLevel>().is_ok()),
        "priority" => text.is_some_and(|text| text.parse::<TaskPriority>().is_ok()),
        "status" => text.is_some_and(|text| text.parse::<TaskStatus>().is_ok()),
        _ => true,
    };
    if valid {
        None
    } else {
        Some("Expected union value")
    }
}

fn object<'a>(
    value: &'a Value,
    path: &str,
    required: &[&str],
) -> Result<&'a Map<String, Value>, InvalidInput> {
    let object = value
        .as_object()
        .ok_or_else(|| InvalidInput::shape(path, "Expected object"))?;
    for property in required {
        if !object.contains_key(*property) {
            let field = if path.is_empty() {
                (*property).to_owned()
            } else {
                format!("{path}/{property}")
            };
            return Err(InvalidInput::shape(field, "Expected required property"));
        }
    }
    Ok(object)
}

fn array<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], InvalidInput> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(InvalidInput::shape(path, "Expected array")),
    }
}

fn string(value: &Value, path: &str) -> Result<(), InvalidInput> {
    if value.is_string() {
        Ok(())
    } else {
        Err(InvalidInput::shape(path, "Expected string"))
    }
}
