//! Behaviour of the crate through its public face. Numbers in test names are those of the cases in
//! the specification.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod access;
mod adapters;
mod composition;
mod envelopes;
mod errors;
mod events;
mod execute;
mod protocol;
mod record;
mod registry;
mod request_id;
mod schema;
mod subscribe;
mod support;
mod validation;
