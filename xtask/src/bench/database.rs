//! The databases that benches bring about: a private PostgreSQL, and statements on a database beside a hub.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr};

use super::BenchError;
use super::lab::Lab;
use crate::postgres::PrivatePostgres;

/// Starts a PostgreSQL for this bench alone and notes its version.
pub(super) async fn postgres(lab: &mut Lab) -> Result<PrivatePostgres, BenchError> {
    let postgres = PrivatePostgres::start(&lab.workspace.output())
        .await
        .map_err(|error| BenchError::Contestant {
            who: "PostgreSQL".to_owned(),
            what: format!("does not start: {error}"),
        })?;
    lab.versions
        .insert("PostgreSQL".to_owned(), postgres.version().to_owned());
    Ok(postgres)
}

/// Makes an empty database.
pub(super) async fn create(postgres: &PrivatePostgres, name: &str) -> Result<(), BenchError> {
    run(
        &postgres.url("postgres"),
        &[format!("create database {name}")],
    )
    .await
}

/// Runs statements one after the other on a connection of their own, each a transaction.
pub(super) async fn run(url: &str, statements: &[String]) -> Result<(), BenchError> {
    let failed = |error: DbErr| BenchError::Contestant {
        who: "the database".to_owned(),
        what: format!("failed: {error}"),
    };
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.map_err(failed)?;
    for statement in statements {
        connection
            .execute_unprepared(statement)
            .await
            .map_err(failed)?;
    }
    connection.close().await.map_err(failed)
}
