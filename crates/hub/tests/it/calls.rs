//! Operations on recorded calls. Most calls of these tests are rows written past the hub, so that their
//! times, trees and outcomes are chosen.

mod aborting;
mod numbers;
mod reading;
mod recovery;
mod retention;
mod watching;

use alkhub_storage::calls::{self as queries, NewCall};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{AccountId, CallGraphNodeId};
use alkhub_storage::time::DateTimeUtc;
use alkhub_storage::{Database, spokes, time};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A call to be recorded.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    operation: String,
    pub(crate) call: NewCall,
}

impl Row {
    /// A call of nobody that ended well a second ago, after 100 ms.
    pub(crate) fn ended(operation: &str) -> Self {
        let created_at = time::now() - TimeDelta::seconds(1);
        let started_at = created_at + TimeDelta::milliseconds(5);
        let id = Uuid::new_v4().to_string();
        Self {
            operation: operation.to_owned(),
            call: NewCall {
                id: CallGraphNodeId::random(),
                request_id: id.clone(),
                operation_id: "".into(),
                parent_request_id: None,
                identity: None,
                caller_account_id: None,
                status: CallStatus::Completed,
                input: Some(json!({ "in": 1 })),
                output: Some(json!({ "out": 2 })),
                error: None,
                started_at: Some(started_at),
                completed_at: Some(started_at + TimeDelta::milliseconds(100)),
                created_at,
                metadata: Map::new(),
            },
            id,
        }
    }

    /// The same, running.
    pub(crate) fn running(operation: &str) -> Self {
        let mut row = Self::ended(operation);
        row.call.status = CallStatus::Running;
        row.call.completed_at = None;
        row.call.output = None;
        row
    }

    /// The same, failed with this code.
    pub(crate) fn failed(operation: &str, code: &str) -> Self {
        let mut row = Self::ended(operation);
        row.call.status = CallStatus::Failed;
        row.call.output = None;
        row.call.error = Some(json!({ "code": code, "message": "it went wrong" }));
        row
    }

    pub(crate) fn pending(operation: &str) -> Self {
        let mut row = Self::running(operation);
        row.call.status = CallStatus::Pending;
        row.call.started_at = None;
        row
    }

    pub(crate) fn about(self, project: &str) -> Self {
        self.noted("projectId", json!(project))
    }

    pub(crate) fn noted(mut self, key: &str, value: Value) -> Self {
        self.call.metadata.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn below(mut self, parent: &Row) -> Self {
        self.call.parent_request_id = Some(parent.id.clone());
        self
    }

    pub(crate) fn by(mut self, account: &AccountId) -> Self {
        self.call.caller_account_id = Some(account.clone());
        self.call.identity = Some(json!({ "id": account, "scopes": ["hub:read"] }));
        self
    }

    /// Requested at this moment, and so many milliseconds later started and ended.
    pub(crate) fn at(mut self, requested: DateTimeUtc, queue: i64, run: i64) -> Self {
        self.call.created_at = requested;
        let started = requested + TimeDelta::milliseconds(queue);
        self.call.started_at = self.call.started_at.map(|_| started);
        self.call.completed_at = self
            .call
            .completed_at
            .map(|_| started + TimeDelta::milliseconds(run));
        self
    }
}

/// Writes the rows; gives their request ids.
pub(crate) async fn record(database: &Database, rows: &[Row]) -> Vec<String> {
    let mut calls = Vec::new();
    for row in rows {
        let (namespace, name) = row.operation.rsplit_once('.').expect("a full name");
        let operation = spokes::operation_by_name(database.reader(), namespace, name)
            .await
            .expect("operations")
            .expect("an operation of the hub");
        let mut call = row.call.clone();
        call.operation_id = operation.id;
        calls.push(call);
    }
    write(database, &calls).await;
    rows.iter().map(|row| row.id.clone()).collect()
}

/// Writes calls whose operations are known.
async fn write(database: &Database, calls: &[NewCall]) {
    for batch in calls.chunks(1_000) {
        let transaction = database.begin().await.expect("a transaction");
        queries::insert_calls(&transaction, batch)
            .await
            .expect("the calls are written");
        transaction.commit().await.expect("commit");
    }
}

/// The ids of rows of a list.
fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    let id = |item: &Value| item["requestId"].as_str().expect("an id").to_owned();
    items.iter().map(id).collect()
}
