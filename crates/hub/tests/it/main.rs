//! The hub as its surfaces use it: started on a database of its own, called through the pipeline.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails fails its test"
)]

mod access;
mod calls;
mod clients;
mod events;
mod faults;
mod identity;
mod pipeline;
mod projects;
mod support;
mod tasks;
