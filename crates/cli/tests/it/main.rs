//! Runs the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod help;
mod settings;
mod support;
mod wrong_use;
