//! JSON Schemas of the wire types whose JSON form is written by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::envelope::Envelope;
use crate::request_id::{REQUEST_ID_LENGTH, RequestId};

impl JsonSchema for RequestId {
    fn schema_name() -> Cow<'static, str> {
        "RequestId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Visible ASCII; a UUID unless the sender has a reason.",
            "type": "string", "minLength": 1, "maxLength": REQUEST_ID_LENGTH, "pattern": "^[!-~]+$",
        })
    }
}

impl JsonSchema for Envelope {
    fn schema_name() -> Cow<'static, str> {
        "Envelope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let source = |name: &str, members: serde_json::Value| {
            let mut properties = members;
            properties["source"] = serde_json::json!({ "const": name });
            let needed: Vec<_> = properties
                .as_object()
                .into_iter()
                .flat_map(|members| members.keys().cloned())
                .filter(|name| !matches!(name.as_str(), "structuredContent" | "_meta"))
                .collect();
            serde_json::json!({
                "title": name, "type": "object", "required": needed, "properties": properties,
            })
        };
        json_schema!({
            "description": "An answer: the data, and where it came from. Answers that leave the hub also \
                have meta.requestId, meta.durationMs and meta.provider.",
            "type": "object",
            "required": ["meta"],
            "properties": {
                "data": { "description": "What the operation gave; absent is null." },
                "meta": { "oneOf": [
                    source("local", serde_json::json!({
                        "operationId": { "type": "string" },
                        "timestamp": { "type": "number", "description": "ms since 1970" },
                    })),
                    source("http", serde_json::json!({
                        "statusCode": { "type": "integer", "minimum": 100, "maximum": 999 },
                        "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                        "contentType": { "type": "string" },
                    })),
                    source("mcp", serde_json::json!({
                        "isError": { "type": "boolean" },
                        "content": { "type": "array", "items": { "type": "object" } },
                        "structuredContent": { "type": "object" },
                        "_meta": { "type": "object" },
                    })),
                ] },
            },
        })
    }
}
