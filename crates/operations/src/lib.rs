//! Typed operations: define a function once with its JSON Schemas, its access rule and its errors,
//! and call it through one pipeline that checks all of them.
//!
//! The crate does no I/O. It knows no sockets, tables or files; a server, a client of a protocol or a
//! command line is built around it.
//!
//! # An example
//!
//! ```
//! use std::sync::Arc;
//!
//! use alkhub_operations::{
//!     CallError, Caller, Context, Identity, OperationType, Registry, RequestId, operation,
//! };
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! #[derive(Deserialize, schemars::JsonSchema)]
//! #[serde(rename_all = "camelCase", deny_unknown_fields)]
//! struct Add {
//!     left: i64,
//!     right: i64,
//! }
//!
//! #[derive(Serialize, schemars::JsonSchema)]
//! struct Sum {
//!     sum: i64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Arc::new(Registry::new());
//! registry.register(
//!     operation::<Add, Sum>("math.add", OperationType::Query)
//!         .description("Adds two numbers.")
//!         .scopes(&["math:use"])
//!         .error("OVERFLOW", "The sum does not fit into 64 bits.")
//!         .handler(|_ctx, input: Add| async move {
//!             match input.left.checked_add(input.right) {
//!                 Some(sum) => Ok(Sum { sum }),
//!                 None => Err(CallError::new("OVERFLOW".into(), "the sum is too large")),
//!             }
//!         }),
//! )?;
//!
//! let ada = Identity { id: "ada".into(), scopes: vec!["math:use".into()], ..Identity::default() };
//! let ctx = Context::new(RequestId::random(), Caller::Identity(ada))
//!     .with_executor(registry.clone());
//!
//! let answer = registry.execute("math.add", json!({ "left": 1, "right": 2 }), ctx.clone()).await?;
//! assert_eq!(answer.data, json!({ "sum": 3 }));
//!
//! let refused = registry.execute("math.add", json!({ "left": 1 }), ctx).await.unwrap_err();
//! assert_eq!(refused.code, "VALIDATION_ERROR");
//! assert_eq!(refused.details.unwrap()["issues"][0]["path"], "/right");
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a call
//!
//! [`Registry::execute`] does all of it; a server that puts authentication, limits or a record
//! between the stages calls them one by one:
//!
//! 1. [`Registry::resolve`] and [`Entry::check_kind`]: is there such an operation?
//! 2. [`Entry::authorize`]: may the caller? A [`Decision`], made from plain data ([`check_access`]).
//! 3. [`Entry::validate_input`]: does the input fit its [`Schema`]? Every [`Issue`] is told, no value
//!    is quoted.
//! 4. [`Entry::run`] or [`Entry::stream`]: the handler, within its deadline; it can be aborted, and
//!    its panic becomes an error.
//! 5. [`Entry::validate_output`]: the output is checked and never changed.
//!
//! Every failure is a [`CallError`] of a code, a sentence and data. Every success is an
//! [`Envelope`]: data, and where it came from.
//!
//! # What the crate keeps
//!
//! - A handler calls others by [`Context::call`] as its own caller, within its own deadline, and never
//!   with more rights; only the program that holds the [`HostCapability`] can lend its own.
//! - Schemas fetch nothing, their patterns run in linear time, and their sizes are bounded.
//! - What is written down about a call goes through [`record`], which takes secrets out.
//! - [`events`] are the messages of the call protocol as types, [`protocol`] its two halves: who calls
//!   and who runs. Sockets are built elsewhere.

pub mod access;
pub mod adapters;
pub mod builder;
pub mod canonical;
pub mod context;
pub mod envelope;
pub mod error;
pub mod events;
pub mod handler;
pub mod issue;
pub mod names;
pub mod protocol;
pub mod record;
pub mod registry;
pub mod request_id;
pub mod schema;
pub mod spec;

pub use access::{
    AccessControl, Addressed, Decision, Identity, Missing, Mode, ResourceDemand, check_access,
};
pub use builder::{Empty, OperationBuilder, TypedOperation, operation, read_input};
pub use canonical::{canonical_json, sha256_hex};
pub use context::{
    Caller, Context, Elevation, EnvelopeStream, Executor, HostCapability, NestedCall, Progress,
    ProgressSink, SystemCaller,
};
pub use envelope::{Block, Envelope, Meta, Source};
pub use error::{CallError, ErrorCode, Provider, ProviderKind};
pub use events::{AbortBy, CallEvent, Frame};
pub use handler::{AnyHandler, Handler, Operation, Reply, StreamHandler};
pub use issue::Issue;
pub use names::{NameError, Namespace, OperationId, OperationName};
pub use registry::{Entry, Expected, Registry, RegistryError, input_or_empty};
pub use request_id::{RequestId, RequestIdError};
pub use schema::{Compatibility, Schema, SchemaError, coerce_query};
pub use spec::{
    ErrorDefinition, JsonObject, OperationSpec, OperationType, RecordPolicy, SpecError, SpecExt,
    SpecOwner,
};
