//! PostgreSQL: how a connection is set up, and what its refusals mean.

use std::str::FromStr;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Executor};
use sea_orm::{DatabaseConnection, QueryFilter, Select, SqlxPostgresConnector};
use serde_json::{Map, Value};

use super::{Meaning, always, raised};
use crate::entity::parts;
use crate::error::StorageError;
use crate::sessions::SearchTerm;

/// How long an unused connection is taken to be alive without asking.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long a statement waits for a free connection, or for a server that is gone to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the first connection may take to say anything.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens a pool. Sessions run in UTC, so that answers do not depend on the server's own zone.
///
/// A server that refuses the connection is told at once, a silent one after [`CONNECT_TIMEOUT`]; how long
/// to wait for one that is about to start is the caller's question.
pub(crate) async fn connect(
    url: &str,
    max_connections: u32,
    statement_timeout: Duration,
) -> Result<DatabaseConnection, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("alkhub")
        .disable_statement_logging();
    let setup = format!(
        "set timezone = 'UTC'; set statement_timeout = {}; set client_min_messages = warning",
        statement_timeout.as_millis()
    );
    // The pool would try a refused connection again and again for as long as a statement may wait.
    let first = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options))
        .await
        .map_err(|_silent| {
            let message = format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs());
            sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
        })??;
    first.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A sign of life is asked for after a pause only: before every statement it would double the way.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let setup = setup.clone();
            Box::pin(async move {
                connection.execute(sqlx::AssertSqlSafe(setup)).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// What a refusal of the server means.
pub(super) fn meaning(refusal: &PgDatabaseError) -> Option<Meaning> {
    let text = |part: Option<&str>| part.map(str::to_owned);
    match refusal.code() {
        "23505" => always(StorageError::Unique {
            index: text(refusal.constraint())?,
        }),
        // 23001 is what servers from version 18 on say for ON DELETE RESTRICT.
        "23503" | "23001" => always(StorageError::ForeignKey {
            constraint: text(refusal.constraint()),
            table: text(refusal.table()),
        }),
        "23514" => always(StorageError::Check {
            name: text(refusal.constraint())?,
        }),
        "23502" => always(StorageError::Check {
            name: format!("chk_{}_{}", refusal.table()?, refusal.column()?),
        }),
        "P0001" => raised(refusal.message()).and_then(always),
        // Serialization, deadlock, lock not had in time, statement timeout.
        "40001" | "40P01" | "55P03" | "57014" => always(StorageError::Busy),
        "53100" => always(StorageError::Full),
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
            Some(Box::new(StorageError::Unavailable))
        }
        _ => None,
    }
}

/// A JSON object with the keys of `patch` taken over; a null removes a key.
pub(super) fn merged_object(object: &str, patch: &Map<String, Value>) -> SimpleExpr {
    let (removed, set): (Map<_, _>, Map<_, _>) = patch
        .clone()
        .into_iter()
        .partition(|(_, value)| value.is_null());
    let removed: Vec<&String> = removed.keys().collect();
    Expr::cust_with_values(
        format!("({object} - $1) || $2"),
        [super::text_array(&removed), Value::Object(set).into()],
    )
}

/// Parts in whose words all terms are found.
///
/// The index answers for words; phrases are then looked up in the text it was made from, in which
/// exactly one space stands between words. The score counts occurrences, each further one for less.
pub(super) fn matching_parts(
    select: Select<parts::Entity>,
    terms: &[SearchTerm],
) -> (Select<parts::Entity>, SimpleExpr) {
    // Written as the index has it.
    let text = r#"hub_fts_text(parts."type", parts.data)"#;
    let mut select = select
        .filter(Expr::cust(
            r#"parts."type" in ('text', 'reasoning', 'tool-call')"#,
        ))
        .filter(Expr::cust_with_values(
            r#"hub_fts_vector(parts."type", parts.data) @@ cast($1 as tsquery)"#,
            [words_query(terms)],
        ));
    let mut scores = Vec::new();
    let mut wanted: Vec<sea_orm::Value> = Vec::new();
    for term in terms {
        let end = if term.prefix { "" } else { " " };
        let phrase = format!(" {}{end}", term.words.join(" "));
        if term.words.len() > 1 {
            let found = Expr::cust_with_values(
                format!("position($1 in ' ' || {text} || ' ') > 0"),
                [phrase.clone()],
            );
            select = select.filter(if term.excluded { found.not() } else { found });
        }
        if !term.excluded {
            wanted.push(phrase.trim_end().to_owned().into());
            let number = wanted.len();
            let occurrences = format!(
                "(length({text}) - length(replace(' ' || {text}, ${number}, '')) + 1)::float8 \
                 / length(${number})"
            );
            scores.push(format!("{occurrences} / ({occurrences} + 1.2)"));
        }
    }
    let score = format!("cast(({}) * 1000000 as bigint)", scores.join(" + "));
    (select, Expr::cust_with_values(score, wanted))
}

/// All words that must occur, none that must not; phrases that must not are left to the text.
fn words_query(terms: &[SearchTerm]) -> String {
    let mut words = Vec::new();
    for term in terms
        .iter()
        .filter(|term| !term.excluded || term.words.len() == 1)
    {
        let last = term.words.len().saturating_sub(1);
        for (place, word) in term.words.iter().enumerate() {
            // Letters and digits only, so nothing in it needs escaping. Cut as in the index.
            let word: String = word.chars().take(500).collect();
            let prefix = if term.prefix && place == last {
                ":*"
            } else {
                ""
            };
            let not = if term.excluded { "!" } else { "" };
            words.push(format!("{not}'{word}'{prefix}"));
        }
    }
    words.join(" & ")
}
