//! The integration tests of the crate.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod devenv;
mod hub;
mod sdk;
