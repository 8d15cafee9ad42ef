//! Runs the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod calls;
mod graph;
mod help;
mod kill;
mod mcp;
mod postgres;
mod server;
mod settings;
mod spoke;
mod support;
mod sync;
mod tour;
mod wrong_use;
