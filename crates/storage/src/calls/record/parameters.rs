//! The parameters of the batches: one JSON document on SQLite, one array a column on PostgreSQL.

use sea_orm::Value;
use serde_json::{Map, json};

use super::{CallEnd, NewCall};
use crate::engine::Engine;
use crate::time::DateTimeUtc;

pub(super) fn document(rows: impl Iterator<Item = serde_json::Value>) -> Value {
    serde_json::Value::Array(rows.collect()).to_string().into()
}

pub(super) fn texts(texts: impl Iterator<Item = String>) -> Value {
    Value::from(texts.collect::<Vec<String>>())
}

pub(super) fn row(call: &NewCall) -> serde_json::Value {
    let mut row = Map::new();
    let mut put = |key: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            row.insert(key.to_owned(), value);
        }
    };
    let moment = |moment: DateTimeUtc| json!(Engine::Sqlite.moment_text(moment));
    put("id", Some(json!(call.id)));
    put("request_id", Some(json!(call.request_id)));
    put("operation_id", Some(json!(call.operation_id)));
    put(
        "parent_request_id",
        call.parent_request_id.as_ref().map(|id| json!(id)),
    );
    put("identity", call.identity.clone());
    put(
        "caller_account_id",
        call.caller_account_id.as_ref().map(|id| json!(id)),
    );
    put("status", Some(json!(call.status)));
    put("input", call.input.clone());
    put("output", call.output.clone());
    put("error", call.error.clone());
    put("started_at", call.started_at.map(moment));
    put("completed_at", call.completed_at.map(moment));
    put("created_at", Some(moment(call.created_at)));
    put(
        "metadata",
        Some(serde_json::Value::Object(call.metadata.clone())),
    );
    serde_json::Value::Object(row)
}

pub(super) fn end_row(end: &CallEnd) -> serde_json::Value {
    let mut row = json!({
        "request_id": end.request_id,
        "status": end.status,
        "completed_at": Engine::Sqlite.moment_text(end.completed_at),
    });
    if let Some(output) = &end.output {
        row["output"] = output.clone();
    }
    if let Some(error) = &end.error {
        row["error"] = error.clone();
    }
    if !end.metadata.is_empty() {
        row["metadata"] = serde_json::Value::Object(end.metadata.clone());
    }
    row
}

/// The columns of a batch of new calls in the order of `INSERT_POSTGRES`.
pub(super) fn insert_arrays(calls: &[&NewCall]) -> Vec<Value> {
    let column = |value: &dyn Fn(&NewCall) -> String| texts(calls.iter().map(|call| value(call)));
    let moment =
        |moment: Option<DateTimeUtc>| moment.map(|moment| moment.to_rfc3339()).unwrap_or_default();
    vec![
        column(&|call| call.id.to_string()),
        column(&|call| call.request_id.clone()),
        column(&|call| call.operation_id.to_string()),
        column(&|call| call.parent_request_id.clone().unwrap_or_default()),
        column(&|call| json_text(call.identity.as_ref())),
        column(&|call| {
            call.caller_account_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        }),
        column(&|call| call.status.as_str().to_owned()),
        column(&|call| json_text(call.input.as_ref())),
        column(&|call| json_text(call.output.as_ref())),
        column(&|call| json_text(call.error.as_ref())),
        column(&|call| moment(call.started_at)),
        column(&|call| moment(call.completed_at)),
        column(&|call| object_text(&call.metadata)),
        Value::from(calls.iter().map(|call| call.created_at).collect::<Vec<_>>()),
    ]
}

/// The columns of a batch of ends in the order of `FINISH_POSTGRES`.
pub(super) fn finish_arrays(ends: &[&CallEnd]) -> Vec<Value> {
    let column = |value: &dyn Fn(&CallEnd) -> String| texts(ends.iter().map(|end| value(end)));
    vec![
        column(&|end| end.request_id.clone()),
        column(&|end| end.status.as_str().to_owned()),
        column(&|end| json_text(end.output.as_ref())),
        column(&|end| json_text(end.error.as_ref())),
        Value::from(ends.iter().map(|end| end.completed_at).collect::<Vec<_>>()),
        column(&|end| {
            if end.metadata.is_empty() {
                String::new()
            } else {
                object_text(&end.metadata)
            }
        }),
    ]
}

pub(super) fn json_text(value: Option<&serde_json::Value>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn object_text(map: &Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(map.clone()).to_string()
}
