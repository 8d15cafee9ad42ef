//! The two engines, and every piece of SQL that must differ between them.
//!
//! The rest of the crate writes its queries once and asks this module for the parts that cannot be
//! written alike.

mod postgres;
mod sqlite;

use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoLikeExpr, LikeExpr, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Value, sqlx};

use crate::error::StorageError;
use crate::time::DateTimeUtc;

pub(crate) use postgres::connect as connect_postgres;
pub(crate) use sqlite::{connect as connect_sqlite, network_file_system};

/// Which data base serves the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Engine {
    /// Embedded, one writer.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// The engine behind a connection or transaction.
    pub fn of(db: &impl ConnectionTrait) -> Self {
        match db.get_database_backend() {
            DbBackend::Postgres => Self::Postgres,
            _ => Self::Sqlite,
        }
    }

    /// Most parameters a statement may carry.
    pub(crate) fn max_parameters(self) -> usize {
        match self {
            Self::Sqlite => 32_000,
            Self::Postgres => 65_000,
        }
    }

    /// A column compared and ordered by its bytes, whatever collation the data base has.
    pub(crate) fn bytewise(self, table: &str, column: &str) -> SimpleExpr {
        match self {
            Self::Sqlite => Expr::cust(format!("\"{table}\".\"{column}\"")),
            Self::Postgres => Expr::cust(format!("\"{table}\".\"{column}\" collate \"C\"")),
        }
    }

    /// The text under a top-level key of a JSON column.
    pub(crate) fn json_text(self, table: &str, column: &str, key: &str) -> SimpleExpr {
        Expr::cust(self.json_text_sql(&format!("\"{table}\".\"{column}\""), key))
    }

    /// The same as text of SQL; `column` may be qualified.
    pub(crate) fn json_text_sql(self, column: &str, key: &str) -> String {
        match self {
            Self::Sqlite => format!("json_extract({column}, '$.{key}')"),
            Self::Postgres => format!("{column} ->> '{key}'"),
        }
    }

    /// `updated_at` of a write at `now`: at least one millisecond after the row's old value.
    pub(crate) fn touched(self, table: &str, now: DateTimeUtc) -> SimpleExpr {
        let next = Expr::cust(self.next_moment_sql(&format!("\"{table}\".\"updated_at\"")));
        match self {
            Self::Sqlite => Func::cust("max").args([Expr::val(now), next]).into(),
            Self::Postgres => Func::cust("greatest").args([Expr::val(now), next]).into(),
        }
    }

    /// One millisecond after a time column.
    pub(crate) fn next_moment_sql(self, column: &str) -> String {
        match self {
            Self::Sqlite => {
                format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', {column}, '+0.001 seconds')")
            }
            Self::Postgres => {
                format!("date_trunc('milliseconds', {column}) + interval '1 millisecond'")
            }
        }
    }

    /// The greatest of two expressions.
    pub(crate) fn greatest(self) -> &'static str {
        match self {
            Self::Sqlite => "max",
            Self::Postgres => "greatest",
        }
    }

    /// Whether a column is one of many texts. One parameter, however many there are.
    pub(crate) fn one_of<T: AsRef<str>>(self, column: SimpleExpr, texts: &[T]) -> SimpleExpr {
        match self {
            Self::Sqlite => sqlite::one_of(column, texts),
            Self::Postgres => column.eq(Func::cust("any").arg(Expr::val(text_array(texts)))),
        }
    }

    /// Whether a text contains another, ASCII letters folded.
    pub(crate) fn contains(self, column: SimpleExpr, text: &str) -> SimpleExpr {
        self.folded(column).like(escaped("%", text))
    }

    /// Whether a text starts with another, ASCII letters folded.
    pub(crate) fn starts_with(self, column: SimpleExpr, text: &str) -> SimpleExpr {
        self.folded(column).like(escaped("", text))
    }

    /// Lower case of ASCII letters only, on both engines.
    fn folded(self, column: SimpleExpr) -> SimpleExpr {
        match self {
            Self::Sqlite => Func::lower(column).into(),
            Self::Postgres => Func::cust("lower")
                .arg(column.binary(sea_orm::sea_query::BinOper::Custom("collate".into()), Expr::cust("\"C\"")))
                .into(),
        }
    }

    /// The suffix that locks the rows a query reads; SQLite has one writer and needs none.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update",
        }
    }
}

/// Tells what a failure of the driver means.
pub(crate) fn classify(error: DbErr) -> StorageError {
    match &error {
        DbErr::ConnectionAcquire(_) => return StorageError::Unavailable(error),
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => {
            if let Some(meaning) = meaning_of(cause) {
                return meaning(error);
            }
        }
        DbErr::RecordNotFound(_) | DbErr::RecordNotUpdated => return StorageError::NotFound,
        _ => {}
    }
    StorageError::Other(error)
}

type Meaning = Box<dyn FnOnce(DbErr) -> StorageError>;

fn meaning_of(cause: &sqlx::Error) -> Option<Meaning> {
    match cause {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Some(Box::new(StorageError::Unavailable)),
        sqlx::Error::Database(refusal) => {
            let refusal = refusal.as_ref();
            if let Some(refusal) = refusal.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                postgres::meaning(refusal)
            } else if let Some(refusal) = refusal.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                sqlite::meaning(refusal)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Reads what a trigger of ours says, `alkhub:immutable:<table>.<column>` or `alkhub:rule:<name>`.
fn raised(message: &str) -> Option<StorageError> {
    let said = message.strip_prefix("alkhub:")?;
    if let Some(place) = said.strip_prefix("immutable:") {
        let (table, column) = place.split_once('.')?;
        return Some(StorageError::Immutable { table: table.to_owned(), column: column.to_owned() });
    }
    said.strip_prefix("rule:").map(|name| StorageError::Rule { name: name.to_owned() })
}

fn always(meaning: StorageError) -> Option<Meaning> {
    Some(Box::new(move |_| meaning))
}

/// A pattern that matches `text` itself, with `%` behind and `before` in front.
fn escaped(before: &str, text: &str) -> LikeExpr {
    let mut pattern = before.to_owned();
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\').into_like_expr()
}

/// A PostgreSQL array of texts.
pub(crate) fn text_array<T: AsRef<str>>(texts: &[T]) -> Value {
    Value::from(texts.iter().map(|text| text.as_ref().to_owned()).collect::<Vec<String>>())
}

/// A JSON array of texts as one text, for `json_each`.
pub(crate) fn json_array<T: AsRef<str>>(texts: &[T]) -> String {
    serde_json::Value::from(
        texts.iter().map(|text| serde_json::Value::from(text.as_ref())).collect::<Vec<_>>(),
    )
    .to_string()
}
