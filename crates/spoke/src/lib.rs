//! A spoke of an alkhub: a program that connects to the hub, offers operations, and calls those of
//! others.
//!
//! An operation is a typed async function. What it takes and gives are two structs; their JSON
//! Schemas, the checks of every input and output, and the form of errors come from them.
//!
//! ```no_run
//! use alkhub_spoke::{OperationType, Spoke, SpokeError, operation};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     name: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting {
//!     text: String,
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), SpokeError> {
//! let greet = operation::<Greet, Greeting>("hello.greet", OperationType::Query)
//!     .description("Greets somebody by name.")
//!     .handler(|_ctx, input: Greet| async move {
//!         Ok(Greeting { text: format!("Hello, {}!", input.name) })
//!     });
//!
//! Spoke::builder("ws://127.0.0.1:4848/ws", "alk_…")
//!     .name("greeter")
//!     .operation(greet)
//!     .connect()
//!     .await?
//!     .run()
//!     .await
//! # }
//! ```
//!
//! # What it takes care of
//!
//! - **Connection.** The key goes into a header. After a lost connection it comes back by itself, 1 s
//!   after the first failure and up to 60 s after later ones, at random times so that many spokes do
//!   not come at once. A refused key ends it with [`SpokeError::KeyRefused`], another process under
//!   the same name with [`SpokeError::Replaced`].
//! - **Calls it runs.** They go on while the connection is lost. Back within the hub's grace, they are
//!   told to the hub, and answers that did not arrive are sent again. Nothing runs twice under one
//!   request id. An aborted call's handler is dropped where it waits.
//! - **Calls it makes** ([`Client::call`], or `ctx.call` inside a handler). After a lost connection
//!   those that may be repeated are ([`OutgoingCall::idempotent`], or an id of your own); others end
//!   with `UNAVAILABLE` and `details.maybeExecuted`.
//! - **Streams.** A subscription's items are sent as fast as they are taken, never faster.
//!
//! [`devenv`] holds ready-made operations of a developer's machine: files, shell, processes, git.

mod backoff;
mod builder;
mod client;
mod connection;
pub mod devenv;
mod error;
mod offer;
mod outbox;
mod shared;
mod socket;
mod spoke;

pub use builder::SpokeBuilder;
pub use client::{Client, OutgoingCall};
pub use error::SpokeError;
pub use offer::{RefusedOperation, Registration, SpokeType};
pub use spoke::{Spoke, Stopper};

pub use alkhub_operations as operations;
pub use alkhub_operations::{
    CallError, Context, Empty, Envelope, ErrorCode, Operation, OperationType, operation,
};
