//! The HTTP interface over real sockets, with a real hub on a database of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod bodies;
mod browsers;
mod calls;
mod document;
mod health;
mod jobs;
mod keys;
mod lifetime;
mod mcp;
mod socket;
mod spoke_library;
mod streams;
mod support;
