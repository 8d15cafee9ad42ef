//! Typed operations.

pub mod access;
pub mod builder;
pub mod canonical;
pub mod context;
pub mod envelope;
pub mod error;
pub mod events;
pub mod handler;
pub mod issue;
pub mod names;
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
    SystemCaller,
};
pub use envelope::{Block, Envelope, Meta, Source};
pub use error::{CallError, ErrorCode, Provider, ProviderKind};
pub use events::{AbortBy, CallEvent, Frame};
pub use handler::{AnyHandler, Handler, Operation, Reply, StreamHandler};
pub use issue::Issue;
pub use names::{NameError, Namespace, OperationId, OperationName};
pub use registry::{Entry, Expected, Registry, RegistryError};
pub use request_id::{RequestId, RequestIdError};
pub use schema::{Compatibility, Schema, SchemaError, coerce_query};
pub use spec::{
    ErrorDefinition, JsonObject, OperationSpec, OperationType, RecordPolicy, SpecError, SpecExt,
    SpecOwner,
};
