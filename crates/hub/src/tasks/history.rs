//! `task.history`: what became of a task, from the audit log and its mappings.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::enums::{MappingStatus, TaskStatus};
use alkhub_storage::identity::{self, AuditFilter};
use alkhub_storage::ids::{AccountId, MappingId, SessionId};
use alkhub_storage::time::format as to_wire;
use alkhub_storage::{AuditLog, Mapping, Order, PageRequest, Scope, coordination};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::visible_task;
use crate::error::HubError;
use crate::page::{PageView, list_input};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<TaskHistory, PageView<HistoryItem>>("task.history", OperationType::Query)
            .description(
                "The changes of a task's status and the sessions that worked on it, newest first.",
            )
            .scopes(&["task:read"])
            .handler(handle(history)),
    ]
}

list_input! {
    struct TaskHistory {
        /// Id of the task.
        id: String,
    }
}

/// Something that became of a task.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryItem {
    /// When.
    at: String,
    /// What: `status` for a change of the status, `mapping` for a session that began to work on it.
    kind: HistoryKind,
    /// Who changed the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    /// The status before; absent when the task was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<TaskStatus>,
    /// The status after.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<TaskStatus>,
    /// Why, as it was told then.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The mapping that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<MappingId>,
    /// The session that began to work on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// How the try stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping_status: Option<MappingStatus>,
}

/// Kind of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum HistoryKind {
    /// The status changed, or the task was made.
    Status,
    /// A session began to work on it.
    Mapping,
}

async fn history(call: Call, input: Arc<TaskHistory>) -> Result<PageView<HistoryItem>, HubError> {
    let reader = call.database().reader();
    let task = visible_task(reader, &call.scope()?, "/id", &input.id).await?;
    let request = input.page();
    let position = match &request.cursor {
        Some(cursor) => Position::read(cursor)?,
        None => Position {
            audit: None,
            since: None,
        },
    };
    // Whoever may see the task may see what became of it, also what others did.
    let filter = AuditFilter {
        action: Some("task.*".to_owned()),
        target: Some(("task".to_owned(), task.id.to_string())),
        ..AuditFilter::default()
    };
    let order = request.order;
    let request = PageRequest {
        cursor: position.audit,
        ..request
    };
    let entries = identity::list_audit(reader, &Scope::All, &filter, &request).await?;
    let last = entries.items.last().map(|entry| entry.created_at);
    let more = entries.next_cursor.is_some();
    let mut items: Vec<(DateTime<Utc>, HistoryItem)> =
        entries.items.iter().filter_map(status_item).collect();
    // A page holds the mappings that began within the time its entries span; the last one all others.
    let until = if more { last } else { None };
    let tries = coordination::mappings_of_task(reader, &task.id).await?;
    items.extend(
        tries
            .iter()
            .filter(|mapping| within(mapping.created_at, position.since, until, order))
            .map(mapping_item),
    );
    items.sort_by(|(a, _), (b, _)| {
        if order == Order::Asc {
            a.cmp(b)
        } else {
            b.cmp(a)
        }
    });
    let next_cursor = match (entries.next_cursor, last) {
        (Some(audit), Some(since)) => Some(
            Position {
                audit: Some(audit),
                since: Some(since),
            }
            .write(),
        ),
        _ => None,
    };
    Ok(PageView {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next_cursor,
    })
}

/// Where a page begins: behind which entry, and behind which moment.
struct Position {
    audit: Option<String>,
    since: Option<DateTime<Utc>>,
}

impl Position {
    fn write(&self) -> String {
        let since = self.since.map(|at| at.timestamp_micros());
        URL_SAFE_NO_PAD.encode(serde_json::json!([self.audit, since]).to_string())
    }

    fn read(cursor: &str) -> Result<Self, HubError> {
        let parts = URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<(String, i64)>(&bytes).ok())
            .and_then(|(audit, since)| Some((audit, DateTime::from_timestamp_micros(since)?)));
        match parts {
            Some((audit, since)) => Ok(Self {
                audit: Some(audit),
                since: Some(since),
            }),
            None => {
                let message = "is not a cursor of this list";
                Err(CallError::validation_field("/cursor", "cursor", message).into())
            }
        }
    }
}

fn within(
    at: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    order: Order,
) -> bool {
    match order {
        Order::Desc => {
            since.is_none_or(|since| at < since) && until.is_none_or(|until| at >= until)
        }
        Order::Asc => since.is_none_or(|since| at > since) && until.is_none_or(|until| at <= until),
    }
}

fn status_item(entry: &AuditLog) -> Option<(DateTime<Utc>, HistoryItem)> {
    let details = serde_json::to_value(&entry.details).ok()?;
    let status = |side: &str| -> Option<TaskStatus> {
        serde_json::from_value(details.get(side)?.get("status")?.clone()).ok()
    };
    let to = status("after")?;
    let item = HistoryItem {
        at: to_wire(entry.created_at),
        kind: HistoryKind::Status,
        account_id: Some(entry.owner_id.clone()),
        from: status("before"),
        to: Some(to),
        reason: details
            .get("reason")
            .and_then(Value::as_str)
            .map(str::to_owned),
        mapping: None,
        session_id: None,
        mapping_status: None,
    };
    Some((entry.created_at, item))
}

fn mapping_item(mapping: &Mapping) -> (DateTime<Utc>, HistoryItem) {
    let item = HistoryItem {
        at: to_wire(mapping.created_at),
        kind: HistoryKind::Mapping,
        account_id: None,
        from: None,
        to: None,
        reason: None,
        mapping: Some(mapping.id.clone()),
        session_id: Some(mapping.session_id.clone()),
        mapping_status: Some(mapping.status),
    };
    (mapping.created_at, item)
}
