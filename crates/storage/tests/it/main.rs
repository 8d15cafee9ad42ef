//! Every test body runs on SQLite and on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod calls;
mod catalogue;
mod coordination;
mod entities;
mod errors;
mod explain;
mod identity;
mod lost_transactions;
mod meta;
mod migrate;
mod on_delete;
mod plans;
mod projects;
mod random_script;
mod relations;
mod roles;
mod rows;
mod services;
mod sessions;
mod spokes;
mod sql;
mod status;
mod support;
mod tasks;
mod triggers;
mod watched;
mod world;
