//! Times how many call records a PostgreSQL database takes a second, all durable.
//!
//! `call_rows URL recorder|plain ROWS` writes so many ended calls and prints the rows a second:
//! `recorder` with the statements of the hub's recorder, a thousand rows a transaction, one transaction
//! after the other; `plain` with INSERTs of a hundred rows on four connections. Both write the same
//! rows; the table is emptied before.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use alkhub_storage::calls::{self, NewCall};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{CallGraphNodeId, OperationId};
use alkhub_storage::{ConnectionTrait, Database, DatabaseOptions};
use serde_json::{Map, Value, json};

/// Rows of a transaction of the recorder: the default of `recorder.maxBatch`.
const BATCH: usize = 1_000;

/// Rows of a plain INSERT, and connections that write them.
const PLAIN: (usize, usize) = (100, 4);

const OPERATION: &str = "11111111-2222-4333-8444-555555555555";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, how, count] = arguments.as_slice() else {
        return Err("give an address, recorder or plain, and a number of rows".into());
    };
    let database = Database::connect(&DatabaseOptions::new(url.as_str())).await?;
    if !database.pending_migrations().await?.is_empty() {
        database.migrate().await?;
    }
    let prepare = format!(
        "truncate call_graph_nodes cascade;
         insert into operations (id, namespace, name, version, \"type\", description, input_schema, output_schema, access_control)
         values ('{OPERATION}', 'bench', 'rows', '1.0.0', 'query', 'for a bench', '{{}}', '{{}}', '{{}}')
         on conflict do nothing"
    );
    let transaction = database.begin().await?;
    transaction.execute_unprepared(&prepare).await?;
    transaction.commit().await?;
    let rows = rows(count.parse()?);
    let seconds = match how.as_str() {
        "recorder" => recorder(&database, &rows).await?,
        "plain" => plain(&database, &rows).await?,
        other => return Err(format!("{other} is neither recorder nor plain").into()),
    };
    print(rows.len() as f64 / seconds);
    database.close().await?;
    Ok(())
}

/// Ended calls as the recorder keeps them.
fn rows(count: usize) -> Vec<NewCall> {
    let now = alkhub_storage::time::now();
    let metadata: Map<String, Value> = Map::from_iter([
        (
            "hub".to_owned(),
            json!({ "id": OPERATION, "start": OPERATION }),
        ),
        (
            "inputMac".to_owned(),
            json!("c2hvcnQgYnV0IG5vdCB0b28gc2hvcnQ"),
        ),
    ]);
    let row = |_number| NewCall {
        id: CallGraphNodeId::random(),
        // As random as those of the hub.
        request_id: CallGraphNodeId::random().to_string(),
        operation_id: OperationId::from(OPERATION.to_owned()),
        parent_request_id: None,
        identity: Some(json!({ "id": OPERATION, "scopes": ["*"] })),
        caller_account_id: None,
        status: CallStatus::Completed,
        input: Some(json!({ "text": "what is asked" })),
        output: Some(json!({ "text": "what is answered" })),
        error: None,
        started_at: Some(now),
        completed_at: Some(now),
        created_at: now,
        metadata: metadata.clone(),
    };
    (0..count).map(row).collect()
}

async fn recorder(database: &Database, rows: &[NewCall]) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    for batch in rows.chunks(BATCH) {
        let transaction = database.begin().await?;
        calls::insert_calls(&transaction, batch).await?;
        transaction.commit().await?;
    }
    Ok(started.elapsed().as_secs_f64())
}

async fn plain(database: &Database, rows: &[NewCall]) -> Result<f64, Box<dyn Error>> {
    let statements: Arc<Vec<String>> = Arc::new(rows.chunks(PLAIN.0).map(statement).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut writers = Vec::new();
    for _ in 0..PLAIN.1 {
        let (statements, next) = (Arc::clone(&statements), Arc::clone(&next));
        let database = database.clone();
        writers.push(tokio::spawn(async move {
            while let Some(text) = statements.get(next.fetch_add(1, Ordering::Relaxed)) {
                // Each statement is a transaction of its own, as durable as the recorder's.
                database.writer().execute_unprepared(text).await?;
            }
            Ok::<(), alkhub_storage::DbErr>(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// One INSERT of these rows.
fn statement(rows: &[NewCall]) -> String {
    let json = |value: &Option<Value>| match value {
        Some(value) => format!("'{}'", value.to_string().replace('\'', "''")),
        None => "null".to_owned(),
    };
    let values: Vec<String> = rows
        .iter()
        .map(|row| {
            let created = row.created_at.to_rfc3339();
            format!(
                "('{}','{}','{OPERATION}',{},'completed',{},{},'{created}','{created}','{created}','{created}',{})",
                row.id,
                row.request_id,
                json(&row.identity),
                json(&row.input),
                json(&row.output),
                json(&Some(Value::Object(row.metadata.clone()))),
            )
        })
        .collect();
    format!(
        "insert into call_graph_nodes (id, request_id, operation_id, identity, status, input, output,
         started_at, completed_at, created_at, updated_at, metadata) values {}",
        values.join(",")
    )
}

#[expect(clippy::print_stdout, reason = "the figure is this program's output")]
fn print(rate: f64) {
    println!("{rate:.1}");
}
