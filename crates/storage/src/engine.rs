//! The two engines, and every piece of SQL that must differ between them.
//!
//! The rest of the crate writes its queries once and asks this module for the parts that cannot be
//! written alike.

mod postgres;
mod sqlite;

use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoLikeExpr, LikeExpr, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Select, Value, sqlx};

use serde_json::{Map, Value as Json};

use crate::entity::parts;
use crate::error::StorageError;
use crate::sessions::SearchTerm;
use crate::time::DateTimeUtc;

pub(crate) use postgres::connect as connect_postgres;
pub(crate) use sqlite::{connect as connect_sqlite, network_file_system};

/// Which database serves the hub.
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

    /// A column compared and ordered by its bytes, whatever collation the database has.
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

    /// The integer under a top-level key of a JSON column.
    pub(crate) fn json_integer(self, table: &str, column: &str, key: &str) -> SimpleExpr {
        let text = self.json_text_sql(&format!("\"{table}\".\"{column}\""), key);
        Expr::cust(format!("cast({text} as integer)"))
    }

    /// Whether nothing, or null, stands at a path of a JSON column.
    pub(crate) fn json_path_is_null(self, table: &str, column: &str, path: &[&str]) -> SimpleExpr {
        let column = format!("\"{table}\".\"{column}\"");
        Expr::cust(match self {
            Self::Sqlite => format!("json_extract({column}, '$.{}') is null", path.join(".")),
            Self::Postgres => format!("{column} #>> '{{{}}}' is null", path.join(",")),
        })
    }

    /// The same as text of SQL; `column` may be qualified.
    pub(crate) fn json_text_sql(self, column: &str, key: &str) -> String {
        match self {
            Self::Sqlite => format!("json_extract({column}, '$.{key}')"),
            Self::Postgres => format!("{column} ->> '{key}'"),
        }
    }

    /// The text at a path of keys in a JSON column.
    pub(crate) fn json_path_text(self, table: &str, column: &str, path: &[&str]) -> SimpleExpr {
        let column = format!("\"{table}\".\"{column}\"");
        Expr::cust(match self {
            Self::Sqlite => format!("json_extract({column}, '$.{}')", path.join(".")),
            Self::Postgres => format!("{column} #>> '{{{}}}'", path.join(",")),
        })
    }

    /// Whether a time column holds a moment, to the millisecond: rows that hand-written SQL touched
    /// are finer on PostgreSQL than what a caller was shown.
    pub(crate) fn same_moment(self, table: &str, column: &str, moment: DateTimeUtc) -> SimpleExpr {
        let column = format!("\"{table}\".\"{column}\"");
        match self {
            Self::Sqlite => Expr::cust(format!("strftime('%Y-%m-%dT%H:%M:%f', {column})"))
                .eq(moment.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()),
            Self::Postgres => {
                Expr::cust(format!("date_trunc('milliseconds', {column})")).eq(moment)
            }
        }
    }

    /// A moment as SQLite keeps it, for parameters that travel inside JSON.
    pub(crate) fn moment_text(self, moment: DateTimeUtc) -> String {
        moment.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)
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

    /// The notes of a row with the keys of `patch` taken over; a null removes a key.
    pub(crate) fn merged_metadata(self, table: &str, patch: &Map<String, Json>) -> SimpleExpr {
        let column = format!("coalesce(\"{table}\".\"metadata\", '{{}}')");
        match self {
            Self::Sqlite => sqlite::merged_object(&column, patch),
            Self::Postgres => postgres::merged_object(&column, patch),
        }
    }

    /// Narrows parts to those in whose text all terms are found, and how well they fit: an integer,
    /// greater is better.
    pub(crate) fn matching_parts(
        self,
        select: Select<parts::Entity>,
        terms: &[SearchTerm],
    ) -> (Select<parts::Entity>, SimpleExpr) {
        match self {
            Self::Sqlite => sqlite::matching_parts(select, terms),
            Self::Postgres => postgres::matching_parts(select, terms),
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

    /// Whether a text starts with another, byte for byte. The form each engine has an index for:
    /// a range on SQLite, whose LIKE ignores case, a pattern on PostgreSQL.
    pub(crate) fn in_prefix(self, column: SimpleExpr, prefix: &str) -> SimpleExpr {
        match self {
            Self::Sqlite => match after_prefix(prefix) {
                Some(end) => column.clone().gte(prefix).and(column.lt(end)),
                None => column.gte(prefix),
            },
            Self::Postgres => column.like(LikeExpr::new(quoted(prefix) + "%").escape('\\')),
        }
    }

    /// Whether a text matches a pattern in which `*` stands for any run of characters.
    pub(crate) fn matches_glob(self, column: SimpleExpr, glob: &str) -> SimpleExpr {
        let parts: Vec<String> = glob.split('*').map(quoted).collect();
        column.like(LikeExpr::new(parts.join("%")).escape('\\'))
    }

    /// Lower case of ASCII letters only, on both engines.
    fn folded(self, column: SimpleExpr) -> SimpleExpr {
        match self {
            Self::Sqlite => Func::lower(column).into(),
            Self::Postgres => Expr::cust_with_expr("lower($1 collate \"C\")", column),
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
        return Some(StorageError::Immutable {
            table: table.to_owned(),
            column: column.to_owned(),
        });
    }
    said.strip_prefix("rule:").map(|name| StorageError::Rule {
        name: name.to_owned(),
    })
}

fn always(meaning: StorageError) -> Option<Meaning> {
    Some(Box::new(move |_| meaning))
}

/// A pattern that matches `text` itself, with `%` behind and `before` in front.
fn escaped(before: &str, text: &str) -> LikeExpr {
    let text = quoted(&text.to_ascii_lowercase());
    LikeExpr::new(format!("{before}{text}%"))
        .escape('\\')
        .into_like_expr()
}

/// A text of which no character is special to LIKE.
fn quoted(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// The least text that sorts behind every text with this prefix; none when there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The gap of the surrogates is no character.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// A PostgreSQL array of texts.
pub(crate) fn text_array<T: AsRef<str>>(texts: &[T]) -> Value {
    Value::from(
        texts
            .iter()
            .map(|text| text.as_ref().to_owned())
            .collect::<Vec<String>>(),
    )
}

/// A JSON array of texts as one text, for `json_each`.
pub(crate) fn json_array<T: AsRef<str>>(texts: &[T]) -> String {
    serde_json::Value::from(
        texts
            .iter()
            .map(|text| serde_json::Value::from(text.as_ref()))
            .collect::<Vec<_>>(),
    )
    .to_string()
}
