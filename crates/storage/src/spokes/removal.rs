//! The end of a definition: what becomes of its records.

use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect};
use serde_json::json;

use crate::calls::calls_of_operation_count;
use crate::engine::Engine;
use crate::entity::operations::{Entity, Model};
use crate::error::StorageError;
use crate::ids::{OperationId, REMOVED_OPERATION};
use crate::{sql, time};

/// What becomes of the records of a removed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedRecords {
    /// The operation stays while there are any.
    Refuse,
    /// They are kept under the operation that stands for all removed ones.
    Reassign,
    /// They go.
    Delete,
}

/// What became of a removal.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    /// The definition is gone.
    Removed {
        /// As it was.
        operation: Box<Model>,
        /// Records moved or deleted.
        calls: u64,
        /// Registrations that went with it.
        registrations: u64,
    },
    /// Calls of it are open.
    RunningCalls(u64),
    /// Somebody offers it.
    ActiveProviders(u64),
    /// There are records, and they were not to be touched.
    HasCalls(u64),
}

/// Removes a definition. Its row is locked first: a call that would be recorded meanwhile waits, and
/// then finds it gone. T
///
/// `force` takes offers back. Errors: `NotFound`; `Rule` of `sentinel` for the one that stands for
/// removed ones.
pub async fn remove_operation(
    db: &impl ConnectionTrait,
    id: &OperationId,
    records: RemovedRecords,
    force: bool,
) -> Result<Removal, StorageError> {
    if id.as_str() == REMOVED_OPERATION {
        return Err(StorageError::Rule {
            name: "sentinel".to_owned(),
        });
    }
    let operation = Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)?;
    let (live, total) = calls_of_operation_count(db, id).await?;
    if live > 0 {
        return Ok(Removal::RunningCalls(live));
    }
    let counted = async |condition: &str| {
        let text = format!(
            "select count(*) from operation_registrations where operation_id = $1 and {condition}"
        );
        sql::count(db, &text, [id.as_str().into()]).await
    };
    let active = counted("status = 'active'").await?;
    if active > 0 && !force {
        return Ok(Removal::ActiveProviders(active));
    }
    let registrations = counted("1 = 1").await?;
    let calls = match records {
        RemovedRecords::Refuse if total > 0 => return Ok(Removal::HasCalls(total)),
        RemovedRecords::Refuse => 0,
        RemovedRecords::Reassign => reassign_calls(db, &operation, None).await?,
        RemovedRecords::Delete => {
            sql::execute(
                db,
                "delete from call_graph_nodes where operation_id = $1",
                [id.as_str().into()],
            )
            .await?
        }
    };
    Entity::delete_by_id(id.clone()).exec(db).await?;
    Ok(Removal::Removed {
        operation: Box::new(operation),
        calls,
        registrations,
    })
}

/// Moves records of an operation that are over to the one that stands for removed ones, noting what it
/// was; at most `limit`. Answers how many. T
pub async fn reassign_calls(
    db: &impl ConnectionTrait,
    operation: &Model,
    limit: Option<u32>,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let note = json!({
        "removedOperation": {
            "id": operation.id,
            "namespace": operation.namespace,
            "name": operation.name,
            "version": operation.version,
        }
    });
    let (merged, note) = match engine {
        Engine::Sqlite => (
            "json_set(coalesce(metadata, '{}'), '$.removedOperation', json($3))",
            note["removedOperation"].to_string(),
        ),
        Engine::Postgres => (
            "coalesce(metadata, '{}') || cast($3 as jsonb)",
            note.to_string(),
        ),
    };
    let text = format!(
        "update call_graph_nodes set operation_id = '{REMOVED_OPERATION}', metadata = {merged},
             updated_at = {}($2, {})
         where id in (
             select id from call_graph_nodes
             where operation_id = $1 and status in ('completed', 'failed', 'aborted')
             limit $4)",
        engine.greatest(),
        engine.next_moment_sql("updated_at"),
    );
    let limit = limit.map_or(i64::MAX, i64::from);
    let values = [
        operation.id.as_str().into(),
        time::now().into(),
        note.into(),
        limit.into(),
    ];
    sql::execute(db, &text, values).await
}
