//! The four tools: what they take, what they give, and how they are described to a model.

use std::sync::Arc;

use alkhub_hub::mcp::MOST_OWN_TOOLS;
use alkhub_operations::OperationType;
use rmcp::model::{ErrorData, JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::object;

/// Most names `schema` takes.
pub(super) const MOST_NAMES: usize = 20;
/// Most calls `call` takes at once.
pub(super) const MOST_CALLS: usize = 20;
/// Most operations of one answer of `list`.
pub(super) const LIST_LIMIT: usize = 200;
/// Most operations of one answer of `search`.
pub(super) const SEARCH_LIMIT: usize = 50;
/// Longest time a subscription is read for, in ms.
pub(super) const LONGEST_READ_MS: u64 = 60_000;

/// Most tools a client sees.
pub(super) const MOST_TOOLS: usize = MOST_OWN_TOOLS + 4;

/// Input of `list`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct List {
    pub(super) namespace: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<OperationType>,
    #[serde(default = "fifty")]
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
}

/// Input of `search`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Search {
    pub(super) query: String,
    #[serde(default = "ten")]
    pub(super) limit: usize,
    pub(super) namespace: Option<String>,
}

/// Input of `schema`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Schemas {
    pub(super) name: Option<String>,
    pub(super) names: Option<Vec<String>>,
}

/// Input of `call`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Call {
    pub(super) operation: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) idempotency_key: Option<String>,
    pub(super) calls: Option<Vec<One>>,
    pub(super) max_items: Option<usize>,
    pub(super) max_ms: Option<u64>,
}

/// One of several calls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct One {
    pub(super) operation: String,
    #[serde(default = "empty")]
    pub(super) input: Value,
}

fn fifty() -> usize {
    50
}

fn ten() -> usize {
    10
}

/// The input of a call that gives none.
pub(super) fn empty() -> Value {
    json!({})
}

/// Reads the arguments of one of the four tools. Errors: −32602 with the fault.
pub(super) fn read<T: DeserializeOwned>(
    tool: &str,
    arguments: Option<JsonObject>,
) -> Result<T, ErrorData> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_json::from_value(arguments)
        .map_err(|fault| bad_arguments(format!("the arguments of {tool} do not fit: {fault}")))
}

/// −32602.
pub(super) fn bad_arguments(message: impl Into<std::borrow::Cow<'static, str>>) -> ErrorData {
    ErrorData::invalid_params(message, None)
}

/// The four tools, in the order a model needs them. What may fail carries `error` in its structured
/// content, so nothing is demanded of it.
pub(super) fn four() -> [Tool; 4] {
    let found = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "title": { "type": "string" },
            "description": { "type": "string" },
            "type": { "type": "string" },
            "score": { "type": "number" }
        }
    });
    [
        tool(
            "list",
            "List the operations this key may call, by name, with the number in each namespace. \
             Use search when you know what you look for.",
            json!({
                "namespace": { "type": "string", "description": "Only this one, such as task" },
                "type": { "enum": ["query", "mutation", "subscription"] },
                "limit": { "type": "integer", "minimum": 1, "maximum": LIST_LIMIT, "default": 50 },
                "cursor": { "type": "string", "description": "nextCursor of the page before" }
            }),
            &[],
            json!({
                "operations": { "type": "array", "items": found },
                "namespaces": { "type": "array", "items": { "type": "object" } },
                "nextCursor": { "type": "string" }
            }),
            true,
        ),
        tool(
            "search",
            "Find operations by words of their name, title, tags, description or input fields, \
             best first. Start here.",
            json!({
                "query": { "type": "string", "minLength": 1, "maxLength": 200 },
                "limit": { "type": "integer", "minimum": 1, "maximum": SEARCH_LIMIT, "default": 10 },
                "namespace": { "type": "string" }
            }),
            &["query"],
            json!({ "operations": { "type": "array", "items": found } }),
            true,
        ),
        tool(
            "schema",
            "What operations take, give and may fail with. Read it before the first call of an \
             operation.",
            json!({
                "name": { "type": "string", "description": "Full name, such as task.create" },
                "names": {
                    "type": "array",
                    "items": { "type": "string" },
                    "minItems": 1,
                    "maxItems": MOST_NAMES,
                    "description": "Several, in the place of name"
                }
            }),
            &[],
            json!({
                "operations": { "type": "array", "items": { "type": "object" } },
                "missing": { "type": "array", "items": { "type": "string" } }
            }),
            true,
        ),
        tool(
            "call",
            "Call an operation, or up to 20 at once (calls; they run in parallel). A failed call \
             says CODE: message. Of a subscription the first items are read.",
            json!({
                "operation": { "type": "string", "description": "Full name" },
                "input": { "type": "object", "description": "As its schema says", "default": {} },
                "timeoutMs": { "type": "integer", "minimum": 1 },
                "idempotencyKey": {
                    "type": "string",
                    "minLength": 8,
                    "maxLength": 128,
                    "description": "The same key never runs twice"
                },
                "calls": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_CALLS,
                    "items": {
                        "type": "object",
                        "properties": {
                            "operation": { "type": "string" },
                            "input": { "type": "object", "default": {} }
                        },
                        "required": ["operation"],
                        "additionalProperties": false
                    },
                    "description": "In the place of operation and input"
                },
                "maxItems": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Items of a subscription to wait for"
                },
                "maxMs": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": LONGEST_READ_MS,
                    "default": 10_000,
                    "description": "How long to wait for them"
                }
            }),
            &[],
            json!({
                "requestId": { "type": "string" },
                "output": {},
                "results": { "type": "array", "items": { "type": "object" } },
                "items": { "type": "array" },
                "ended": { "type": "boolean" }
            }),
            false,
        ),
    ]
}

fn tool(
    name: &'static str,
    description: &'static str,
    takes: Value,
    required: &[&str],
    gives: Value,
    reads_only: bool,
) -> Tool {
    let mut input = object(json!({
        "type": "object",
        "properties": takes,
        "additionalProperties": false
    }));
    if !required.is_empty() {
        input.insert("required".to_owned(), json!(required));
    }
    let mut gives = object(gives);
    gives.insert("error".to_owned(), json!({ "type": "object" }));
    gives.insert("requestId".to_owned(), json!({ "type": "string" }));
    let output = object(json!({ "type": "object", "properties": gives }));
    let tool =
        Tool::new(name, description, Arc::new(input)).with_raw_output_schema(Arc::new(output));
    if reads_only {
        tool.with_annotations(ToolAnnotations::new().read_only(true))
    } else {
        tool
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of all descriptions in a piece of JSON.
    fn described(json: &Value) -> usize {
        match json {
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) if key == "description" => text.chars().count(),
                    other => described(other),
                })
                .sum(),
            Value::Array(items) => items.iter().map(described).sum(),
            _ => 0,
        }
    }

    #[test]
    fn descriptions_stay_under_600_tokens() {
        let characters: usize = four().iter().map(|tool| described(&json!(tool))).sum();
        assert!(characters <= 2_400, "{characters} characters");
    }

    #[test]
    fn only_call_may_change_something() {
        let read_only: Vec<bool> = four()
            .iter()
            .map(|tool| {
                let hints = tool.annotations.as_ref();
                hints.and_then(|hints| hints.read_only_hint) == Some(true)
            })
            .collect();
        assert_eq!(read_only, [true, true, true, false]);
        assert!(four()[3].annotations.is_none());
    }

    #[test]
    fn arguments_that_do_not_fit_are_bad_parameters() {
        let wrong = object(json!({ "query": "a", "nmespace": "b" }));
        let error = read::<Search>("search", Some(wrong)).unwrap_err();
        assert_eq!(error.code.0, -32602);
        assert!(error.message.contains("nmespace"), "{}", error.message);
        assert!(read::<Search>("search", None).is_err());
        assert_eq!(read::<List>("list", None).unwrap().limit, 50);
    }
}
