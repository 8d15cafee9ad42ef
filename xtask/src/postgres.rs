//! A private PostgreSQL server for tests and benches.
//!
//! [`PrivatePostgres::start`] finds the server's programs (or installs them), initialises a cluster
//! in a temporary directory and runs it on a free port of the loopback address, as an unprivileged
//! user even when we are root, because PostgreSQL refuses to run as root. Dropping the value stops
//! the server and removes the directory. What a commit promises stays on (`fsync`,
//! `synchronous_commit`): durability is part of what the tests test.

mod locate;
mod server;
mod user;

pub(crate) use locate::{Installation, LocateError};
pub(crate) use server::{PostgresError, PrivatePostgres};
pub(crate) use user::{ServerUser, UserError};
