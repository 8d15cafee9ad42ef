//! SQLite: how a connection is set up, and what its refusals mean.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, SimpleExpr};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteError, SqliteJournalMode,
    SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, ConnectOptions, Connection};
use sea_orm::{DatabaseConnection, QueryFilter, QuerySelect, Select, SqlxSqliteConnector};
use serde_json::{Map, Value};

use super::{Meaning, always, json_array, raised};
use crate::database::SqliteSynchronous as Durability;
use crate::entity::parts;
use crate::error::StorageError;
use crate::sessions::SearchTerm;

/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the write-ahead log, 64 MiB, after which a commit moves them into the database itself. Before
/// that `Database::checkpoint` does, beside the writer; this bounds the log when that does not keep up. A
/// page that changed often is moved once, so a longer log saves work: a quarter of this costs a quarter of
/// the recorded calls.
const LOG_PAGES: &str = "16384";
/// How long a transaction waits for the one writing connection.
const WRITER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a query waits for a free reading connection.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the one writing connection and a pool of reading ones.
pub(crate) async fn connect(
    url: &str,
    readers: u32,
    synchronous: Durability,
) -> Result<(DatabaseConnection, DatabaseConnection), sqlx::Error> {
    let writing = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        // Only before the first table is made: it cannot be turned on later.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("recursive_triggers", "off")
        // 8 MiB a connection: what is not there is in the system's own cache, a copy away.
        .pragma("cache_size", "-8192")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(512)
        .disable_statement_logging();
    let reading = writing
        .clone()
        .synchronous(SqliteSynchronous::Normal)
        .pragma("query_only", "on");
    let writing = writing
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .synchronous(match synchronous {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        });
    let writer = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(outside_transactions(connection)))
        .acquire_timeout(WRITER_TIMEOUT);
    #[cfg(feature = "testing")]
    let writer = crate::testing::full_disk::watched(writer, url);
    let writer = writer.connect_with(writing).await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(readers)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(outside_transactions(connection)))
        .acquire_timeout(READER_TIMEOUT)
        .connect_with(reading)
        .await?;
    Ok((
        SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
        SqlxSqliteConnector::from_sqlx_sqlite_pool(reader),
    ))
}

/// Whether a connection that comes back is outside of every transaction; one that is not is closed.
///
/// On a full disk SQLite rolls back by itself, the driver's own ROLLBACK then fails, and the driver goes
/// on counting a transaction that is over. Transactions begun later would only be savepoints inside of
/// something that nobody ever commits: answered, visible to the writer, and lost.
async fn outside_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may still stand in the queue of the connection's thread; this waits for it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// The name of the network file system a path lies on; none for local ones.
///
/// The write-ahead log needs memory shared by all readers, which other machines do not see.
pub(crate) fn network_file_system(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let found = path.ancestors().find_map(|place| {
            let place = if place.as_os_str().is_empty() {
                Path::new(".")
            } else {
                place
            };
            rustix::fs::statfs(place).ok()
        })?;
        // Cut to 32 bits: the width of the field differs by architecture.
        match found.f_type as u32 {
            0x0000_6969 => Some("NFS"),
            0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
            0x5346_414f => Some("AFS"),
            0x7375_7245 => Some("Coda"),
            0x00c3_6400 => Some("Ceph"),
            0x0bd0_0bd0 => Some("Lustre"),
            _ => None,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// What a refusal of SQLite means.
pub(super) fn meaning(refusal: &SqliteError) -> Option<Meaning> {
    let message = refusal.message();
    let code: i32 = refusal.code()?.parse().ok()?;
    match code {
        // Unique index, primary key.
        2067 | 1555 => {
            let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
            always(StorageError::Unique {
                index: index_of(columns),
            })
        }
        787 => always(StorageError::ForeignKey {
            constraint: None,
            table: None,
        }),
        275 => {
            let name = message.strip_prefix("CHECK constraint failed: ")?;
            always(StorageError::Check {
                name: name.to_owned(),
            })
        }
        1299 => {
            let column = message.strip_prefix("NOT NULL constraint failed: ")?;
            always(StorageError::Check {
                name: format!("chk_{}", column.replace('.', "_")),
            })
        }
        // raise(abort, …) of a trigger; ON DELETE RESTRICT is one of SQLite's own.
        1811 if message == "FOREIGN KEY constraint failed" => always(StorageError::ForeignKey {
            constraint: None,
            table: None,
        }),
        1811 => raised(message).and_then(always),
        _ => match code & 0xff {
            5 | 6 => always(StorageError::Busy),
            13 => always(StorageError::Full),
            // Input or output failed, the file cannot be opened.
            10 | 14 => Some(Box::new(StorageError::Unavailable)),
            _ => None,
        },
    }
}

/// Whether a column is one of the texts of a JSON array.
pub(super) fn one_of<T: AsRef<str>>(column: SimpleExpr, texts: &[T]) -> SimpleExpr {
    let listed = Query::select()
        .column(Alias::new("value"))
        .from_function(
            Func::cust("json_each").arg(Expr::val(json_array(texts))),
            Alias::new("list"),
        )
        .to_owned();
    column.in_subquery(listed)
}

/// Columns of each unique index beside the primary keys: SQLite names the columns, callers know the
/// index.
const UNIQUE: &[(&str, &str)] = &[
    ("accounts.email", "unq_accounts_email"),
    ("organizations.name", "unq_organizations_name"),
    ("organizations.slug", "unq_organizations_slug"),
    (
        "organization_members.org_id, organization_members.account_id",
        "unq_org_members_org_account",
    ),
    ("sessions.slug", "unq_sessions_slug"),
    (
        "call_graph_nodes.request_id",
        "idx_call_graph_nodes_request_id",
    ),
    (
        "call_graph_edges.source_id, call_graph_edges.target_id, call_graph_edges.edge_type",
        "unq_call_graph_edges_source_target_type",
    ),
    (
        "operations.namespace, operations.name",
        "unq_operations_namespace_name",
    ),
    (
        "operation_registrations.operation_id, operation_registrations.provider_type, \
         operation_registrations.provider_id",
        "unq_operation_registrations_active",
    ),
    ("api_keys.key_hash", "unq_api_keys_key_hash"),
    ("clients.name", "unq_clients_name"),
    (
        "client_secrets.client_id, client_secrets.key",
        "unq_client_secrets_client_key",
    ),
    ("tasks.project_id, tasks.slug", "unq_tasks_project_slug"),
    (
        "task_dependencies.depends_on_task_id, task_dependencies.dependent_task_id",
        "unq_task_dependencies_depends_on_task",
    ),
    ("roles.name", "unq_roles_name"),
    (
        "hub_budgets.subject_type, hub_budgets.subject_id, hub_budgets.period",
        "hub_unq_budgets_subject_period",
    ),
];

/// The index over these columns; a primary key is called as on PostgreSQL.
fn index_of(columns: &str) -> String {
    UNIQUE
        .iter()
        .find(|(listed, _)| *listed == columns)
        .map_or_else(
            || format!("{}_pkey", columns.split('.').next().unwrap_or(columns)),
            |(_, index)| (*index).to_owned(),
        )
}

/// A JSON object with the keys of `patch` taken over; a null removes a key.
pub(super) fn merged_object(object: &str, patch: &Map<String, Value>) -> SimpleExpr {
    let mut sql = format!("json({object})");
    let mut values: Vec<sea_orm::Value> = Vec::new();
    for (key, value) in patch {
        // A path in quotes takes any key that has none itself; ours have none.
        let path = format!("$.\"{key}\"");
        if value.is_null() {
            sql = format!("json_remove({sql}, ?)");
            values.push(path.into());
        } else {
            sql = format!("json_set({sql}, ?, json(?))");
            values.push(path.into());
            values.push(value.to_string().into());
        }
    }
    Expr::cust_with_values(sql, values)
}

/// Parts in whose words all terms are found; the score is the full-text index's own.
pub(super) fn matching_parts(
    mut select: Select<parts::Entity>,
    terms: &[SearchTerm],
) -> (Select<parts::Entity>, SimpleExpr) {
    QuerySelect::query(&mut select)
        .inner_join(
            Alias::new("hub_fts_part_rows"),
            Expr::cust("hub_fts_part_rows.part_id = parts.id"),
        )
        .inner_join(
            Alias::new("hub_fts_parts"),
            Expr::cust("hub_fts_parts.rowid = hub_fts_part_rows.row"),
        );
    let select = select.filter(Expr::cust_with_values(
        "hub_fts_parts match ?",
        [words_query(terms)],
    ));
    (
        select,
        Expr::cust("cast(-hub_fts_parts.rank * 1000000 as integer)"),
    )
}

/// The terms in the language of the index: `("a" and "b c") not "d"`.
fn words_query(terms: &[SearchTerm]) -> String {
    let one = |term: &SearchTerm| {
        let prefix = if term.prefix { " *" } else { "" };
        format!("\"{}\"{prefix}", term.words.join(" "))
    };
    let (excluded, wanted): (Vec<&SearchTerm>, Vec<&SearchTerm>) =
        terms.iter().partition(|term| term.excluded);
    let wanted: Vec<String> = wanted.into_iter().map(one).collect();
    let mut query = format!("({})", wanted.join(" AND "));
    if !excluded.is_empty() {
        let excluded: Vec<String> = excluded.into_iter().map(one).collect();
        query += &format!(" NOT ({})", excluded.join(" OR "));
    }
    query
}
