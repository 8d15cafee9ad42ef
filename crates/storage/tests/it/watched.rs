//! Catches statements as the functions send them and explains them.
//!
//! For a query that is meant for a partial index the competing plain index is dropped first, in a
//! transaction that is undone, and the index's predicate must stand in the text: neither planner would
//! prove it for a parameter.

use std::sync::{Arc, Mutex};

use alkhub_storage::{Database, DatabaseTransaction, Engine, StorageError};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};

/// One connection whose statements are noted.
pub(crate) struct Watched {
    connection: DatabaseConnection,
    engine: Engine,
    noted: Arc<Mutex<Vec<Statement>>>,
    wrong: Vec<String>,
}

impl Watched {
    pub(crate) fn new(db: &Database) -> Self {
        let noted: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let mut connection = db.writer().clone();
        let notes = Arc::clone(&noted);
        connection.set_metric_callback(move |info| {
            notes.lock().unwrap().push(info.statement.clone());
        });
        Self {
            connection,
            engine: db.engine(),
            noted,
            wrong: Vec::new(),
        }
    }

    /// Runs a query in a transaction that is undone, and explains what it sent.
    pub(crate) async fn uses<T>(
        &mut self,
        name: &str,
        accepted: &[&str],
        query: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, StorageError>,
    ) {
        self.partial(name, accepted, None, query).await;
    }

    /// The same for an index that has the rows in the order that is asked for: nothing is sorted.
    pub(crate) async fn in_order<T>(
        &mut self,
        name: &str,
        accepted: &[&str],
        query: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, StorageError>,
    ) {
        let plans = self.watch(name, accepted, None, query).await;
        if ["Sort Key", "TEMP B-TREE"]
            .iter()
            .any(|sort| plans.contains(sort))
        {
            self.wrong.push(format!("{name}: sorts in\n{plans}"));
        }
    }

    /// The same for a partial index: its predicate as text, and the plain index that competes.
    pub(crate) async fn partial<T>(
        &mut self,
        name: &str,
        accepted: &[&str],
        partial: Option<(&str, &str)>,
        query: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, StorageError>,
    ) {
        self.watch(name, accepted, partial, query).await;
    }

    async fn watch<T>(
        &mut self,
        name: &str,
        accepted: &[&str],
        partial: Option<(&str, &str)>,
        query: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, StorageError>,
    ) -> String {
        let transaction = self.connection.begin().await.unwrap();
        if let Some((_, plain)) = partial {
            transaction
                .execute_unprepared(&format!("drop index {plain}"))
                .await
                .unwrap();
        }
        self.noted.lock().unwrap().clear();
        query(&transaction)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let sent: Vec<Statement> = self.noted.lock().unwrap().drain(..).collect();
        let mut plans = String::new();
        for statement in sent.iter().filter(|statement| explainable(&statement.sql)) {
            plans += &self.explain(&transaction, statement).await;
        }
        transaction.rollback().await.unwrap();
        if !accepted.iter().any(|index| plans.contains(index)) {
            let texts: Vec<&str> = sent
                .iter()
                .map(|statement| statement.sql.as_str())
                .collect();
            self.wrong.push(format!(
                "{name}: none of {accepted:?} in\n{plans}{}",
                texts.join("\n")
            ));
        }
        if let Some((predicate, _)) = partial
            && !sent
                .iter()
                .any(|statement| statement.sql.contains(predicate))
        {
            self.wrong
                .push(format!("{name}: {predicate} does not stand in the text"));
        }
        plans
    }

    /// Fails the test when a query did not use what was made for it.
    pub(crate) fn finish(self) {
        assert!(
            self.wrong.is_empty(),
            "{}:\n{}",
            self.engine,
            self.wrong.join("\n\n")
        );
    }

    async fn explain(&self, transaction: &DatabaseTransaction, statement: &Statement) -> String {
        let (prefix, column) = match self.engine {
            Engine::Postgres => ("explain", 0),
            Engine::Sqlite => ("explain query plan", 3),
        };
        let explained = Statement {
            sql: format!("{prefix} {}", statement.sql),
            ..statement.clone()
        };
        let rows = transaction.query_all_raw(explained).await.unwrap();
        rows.iter()
            .map(|row| row.try_get_by_index::<String>(column).unwrap() + "\n")
            .collect()
    }
}

fn explainable(sql: &str) -> bool {
    let first = sql.trim_start().get(..6).unwrap_or_default().to_lowercase();
    ["select", "update", "delete", "with r", "with c"].contains(&first.as_str())
}
