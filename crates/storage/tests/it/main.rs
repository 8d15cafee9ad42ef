//! Every test body runs on SQLite and on PostgreSQL.

mod catalogue;
mod entities;
mod migrate;
mod on_delete;
mod rows;
mod sql;
mod status;
mod support;
mod triggers;
