//! `list`, `search` and `schema`: what there is to call, by the hub's own operations for it.

use std::collections::BTreeMap;

use alkhub_operations::Entry;
use rmcp::model::{CallToolResult, ErrorData};
use serde_json::{Value, json};

use super::calls::{Asked, Ended};
use super::tools::{self, LIST_LIMIT, List, MOST_NAMES, SEARCH_LIMIT, Schemas, Search};
use super::{Caller, answer};

impl Caller {
    /// The tool `list`.
    pub(super) async fn list(&self, list: List) -> Result<CallToolResult, ErrorData> {
        within("limit", list.limit, LIST_LIMIT)?;
        let mut input = json!({
            "limit": list.limit,
            "order": "asc",
            // What a provider is away for stays in the list, so that the list stays the same.
            "live": false,
        });
        put(&mut input, "namespace", list.namespace);
        put(&mut input, "type", list.kind.map(|kind| kind.to_string()));
        put(&mut input, "cursor", list.cursor);
        let mut page = match self.ask("operation.list", input).await {
            Ok(page) => page,
            Err(failed) => return Ok(*failed),
        };
        let mut given = json!({
            "operations": summaries(page["items"].take(), false),
            "namespaces": namespaces(&self.hub.visible_operations(&self.principal)),
        });
        if let Some(cursor) = page.get("nextCursor").filter(|cursor| !cursor.is_null()) {
            given["nextCursor"] = cursor.clone();
        }
        Ok(answer::structured(given))
    }

    /// The tool `search`.
    pub(super) async fn search(&self, search: Search) -> Result<CallToolResult, ErrorData> {
        within("limit", search.limit, SEARCH_LIMIT)?;
        let length = search.query.trim().chars().count();
        if !(1..=200).contains(&length) {
            return Err(tools::bad_arguments("query has 1 to 200 characters"));
        }
        let mut input = json!({ "query": search.query, "limit": search.limit });
        put(&mut input, "namespace", search.namespace);
        Ok(match self.ask("operation.search", input).await {
            Ok(found) => answer::structured(json!({ "operations": summaries(found, true) })),
            Err(failed) => *failed,
        })
    }

    /// The tool `schema`.
    pub(super) async fn schema(&self, asked: Schemas) -> Result<CallToolResult, ErrorData> {
        let names = match (asked.name, asked.names) {
            (Some(name), None) => vec![name],
            (None, Some(names)) if (1..=MOST_NAMES).contains(&names.len()) => names,
            _ => {
                return Err(tools::bad_arguments(format!(
                    "give either name or 1 to {MOST_NAMES} names"
                )));
            }
        };
        let visible = self.hub.visible_operations(&self.principal);
        let entry_of = |name: &String| visible.iter().find(|entry| entry.id().as_str() == name);
        let (known, missing): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| entry_of(name).is_some());
        let specs = if known.is_empty() {
            Vec::new()
        } else {
            match self
                .ask("operation.schema", json!({ "names": known }))
                .await
            {
                Ok(Value::Array(specs)) => specs,
                Ok(_) => Vec::new(),
                Err(failed) => return Ok(*failed),
            }
        };
        let operations: Vec<Value> = known
            .iter()
            .zip(&specs)
            .map(|(name, spec)| {
                let idempotent = entry_of(name).is_some_and(|entry| entry.spec().idempotent());
                definition(name, spec, idempotent)
            })
            .collect();
        Ok(answer::structured(
            json!({ "operations": operations, "missing": missing }),
        ))
    }

    /// The data of one of the hub's operations, or the result that tells why not.
    pub(super) async fn ask(
        &self,
        operation: &str,
        input: Value,
    ) -> Result<Value, Box<CallToolResult>> {
        match self
            .run(Asked::plain(operation, input, self.bounds(None, None)))
            .await
        {
            Ended::Answer(answer) => Ok(answer.envelope.data),
            other => Err(Box::new(other.into_result())),
        }
    }
}

fn within(name: &str, value: usize, most: usize) -> Result<(), ErrorData> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(tools::bad_arguments(format!("{name} is 1 to {most}")))
    }
}

fn put(input: &mut Value, name: &str, value: Option<String>) {
    if let Some(value) = value {
        input[name] = json!(value);
    }
}

/// What a model needs to choose one: no more than that.
fn summaries(operations: Value, scored: bool) -> Vec<Value> {
    let Value::Array(operations) = operations else {
        return Vec::new();
    };
    operations
        .into_iter()
        .map(|mut operation| {
            let mut summary = json!({
                "name": operation["name"].take(),
                "description": operation["description"].take(),
                "type": operation["type"].take(),
            });
            if operation["title"].is_string() {
                summary["title"] = operation["title"].take();
            }
            if scored {
                summary["score"] = operation["score"].take();
            }
            summary
        })
        .collect()
}

fn namespaces(visible: &[std::sync::Arc<Entry>]) -> Vec<Value> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for entry in visible {
        *counts.entry(entry.spec().namespace.as_str()).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(name, count)| json!({ "name": name, "count": count }))
        .collect()
}

fn definition(name: &str, spec: &Value, idempotent: bool) -> Value {
    let errors: Vec<Value> = spec["errorSchemas"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| json!({ "code": error["code"], "description": error["description"] }))
        .collect();
    json!({
        "name": name,
        "description": spec["description"],
        "type": spec["type"],
        "inputSchema": spec["inputSchema"],
        "outputSchema": spec["outputSchema"],
        "errors": errors,
        "idempotent": idempotent,
    })
}
