//! What can go wrong in the database, told by kind and place.

use sea_orm::DbErr;

use crate::engine;

/// Why a query did not do what was asked. Each variant is something a caller can act on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The row is not there, or the scope hides it.
    #[error("no such row")]
    NotFound,
    /// A unique index refuses the row; primary keys are named `<table>_pkey`.
    #[error("a row with this value exists already ({index})")]
    Unique {
        /// Name of the index.
        index: String,
    },
    /// The row refers to one that is not there, or is referred to. SQLite does not say by which key.
    #[error("a row that is referred to is missing, or this one is referred to")]
    ForeignKey {
        /// Name of the key.
        constraint: Option<String>,
        /// Table of the child row.
        table: Option<String>,
    },
    /// A check refuses a value.
    #[error("a value is not allowed ({name})")]
    Check {
        /// `chk_<table>_<column>`.
        name: String,
    },
    /// The column never changes.
    #[error("{table}.{column} never changes")]
    Immutable {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A rule between rows refuses the write.
    #[error("a rule of the database refuses this ({name})")]
    Rule {
        /// Name of the rule, such as `other_project`.
        name: String,
    },
    /// The status may not follow the row's present one.
    #[error("{table} does not go from {from} to {to}")]
    IllegalTransition {
        /// The table.
        table: &'static str,
        /// The status of the row.
        from: &'static str,
        /// The one that was asked for.
        to: &'static str,
    },
    /// The row was changed since the caller read it.
    #[error("the row was changed meanwhile")]
    Stale,
    /// Another writer was faster, or a lock was not had in time; the whole transaction may be tried
    /// again.
    #[error("the database is busy")]
    Busy,
    /// The disk is full.
    #[error("no space is left for the database")]
    Full,
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unavailable(#[source] DbErr),
    /// The cursor is broken, or belongs to another list.
    #[error("the cursor does not belong to this list")]
    Cursor,
    /// Anything else; not for callers' eyes.
    #[error("the database failed")]
    Other(#[source] DbErr),
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        engine::classify(error)
    }
}

impl StorageError {
    /// Whether the index refused the row.
    pub fn is_unique(&self, index: &str) -> bool {
        matches!(self, Self::Unique { index: found } if found == index)
    }

    /// Whether the whole transaction may succeed when tried again at once.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy)
    }

    /// A rule between rows that the queries themselves keep.
    pub(crate) fn rule(name: &str) -> Self {
        Self::Rule {
            name: name.to_owned(),
        }
    }

    /// An answer that does not have the shape its query promises.
    pub(crate) fn unexpected(what: &str) -> Self {
        Self::Other(DbErr::Type(what.to_owned()))
    }
}

/// Gives conflicts the caller's own meaning.
pub trait StorageResultExt<T> {
    /// Replaces a refusal by the unique index `index`; other failures are converted.
    fn on_unique<E: From<StorageError>>(self, index: &str, error: E) -> Result<T, E>;

    /// Replaces a refusal by a foreign key; other failures are converted.
    fn on_foreign_key<E: From<StorageError>>(self, error: E) -> Result<T, E>;

    /// Replaces a refusal by the rule `name`; other failures are converted.
    fn on_rule<E: From<StorageError>>(self, name: &str, error: E) -> Result<T, E>;
}

impl<T> StorageResultExt<T> for Result<T, StorageError> {
    fn on_unique<E: From<StorageError>>(self, index: &str, error: E) -> Result<T, E> {
        self.map_err(|found| {
            if found.is_unique(index) {
                error
            } else {
                found.into()
            }
        })
    }

    fn on_foreign_key<E: From<StorageError>>(self, error: E) -> Result<T, E> {
        self.map_err(|found| match found {
            StorageError::ForeignKey { .. } => error,
            other => other.into(),
        })
    }

    fn on_rule<E: From<StorageError>>(self, name: &str, error: E) -> Result<T, E> {
        self.map_err(|found| match found {
            StorageError::Rule { name: broken } if broken == name => error,
            other => other.into(),
        })
    }
}
