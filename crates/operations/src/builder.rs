//! Typed operations: a pair of structs and a function become a spec and a handler.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::AccessControl;
use crate::context::Context;
use crate::error::{CallError, DETAILS_LIMIT, ErrorCode, IMPORT_DETAILS_LIMIT};
use crate::handler::{AnyHandler, Handler, Operation, Reply, StreamHandler};
use crate::issue::Issue;
use crate::names::{Namespace, OperationId, OperationName};
use crate::schema::Schema;
use crate::spec::wire::pointer;
use crate::spec::{
    ErrorDefinition, JsonObject, OperationSpec, OperationType, RecordPolicy, SpecExt, SpecOwner,
};

/// The input of an operation that takes nothing: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A typed operation that other code calls by its type: see [`Context::call_op`].
pub trait TypedOperation {
    /// Its id.
    const ID: &'static str;
    /// What it takes.
    type Input: Serialize + Send;
    /// What it gives.
    type Output: DeserializeOwned;
}

/// Starts a typed operation. `I` is what it takes and `O` what it gives; both schemas are derived
/// from them.
///
/// ```
/// use alkhub_operations::{CallError, Context, OperationType, operation};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Greet { name: String }
///
/// let greet = operation::<Greet, String>("demo.greet", OperationType::Query)
///     .description("Greets by name.")
///     .scopes(&["demo:read"])
///     .handler(|_ctx: Context, input: Greet| async move {
///         Ok::<_, CallError>(format!("hello {}", input.name))
///     });
/// assert_eq!(greet.spec.id().as_str(), "demo.greet");
/// ```
///
/// # Panics
/// When `id` is no legal id: an operation is a constant of the program, so this shows at its start.
pub fn operation<I, O>(id: &str, kind: OperationType) -> OperationBuilder<I, O> {
    let id: OperationId = defined(id, id.parse());
    let (namespace, name) = id.split();
    OperationBuilder {
        namespace,
        name,
        kind,
        version: semver::Version::new(1, 0, 0),
        title: None,
        description: String::new(),
        tags: Vec::new(),
        access_control: AccessControl::none(),
        errors: Vec::new(),
        meta: None,
        ext: SpecExt::default(),
        open: false,
        details_limit: DETAILS_LIMIT,
        types: PhantomData,
    }
}

/// Gathers what an operation is; made by [`operation`].
#[must_use = "an operation exists once it has its handler"]
pub struct OperationBuilder<I, O> {
    namespace: Namespace,
    name: OperationName,
    kind: OperationType,
    version: semver::Version,
    title: Option<String>,
    description: String,
    tags: Vec<String>,
    access_control: AccessControl,
    errors: Vec<ErrorDefinition>,
    meta: Option<JsonObject>,
    ext: SpecExt,
    open: bool,
    details_limit: usize,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> OperationBuilder<I, O> {
    /// Name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What it does.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Words to find it by.
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags = owned(tags);
        self
    }

    /// The caller needs all of these scopes.
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.access_control.required_scopes = owned(scopes);
        self
    }

    /// The caller needs one of these scopes.
    pub fn any_scopes(mut self, scopes: &[&str]) -> Self {
        self.access_control.required_scopes_any = owned(scopes);
        self
    }

    /// It needs no key at all.
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The caller needs the right to do `action` on the resource of this type that the input names.
    pub fn resource(mut self, kind: &str, action: &str) -> Self {
        self.access_control = self.access_control.with_resource(kind, action);
        self
    }

    /// The input field, or JSON Pointer, that names the resource; without it `{type}Id`, or `id` in
    /// the namespace of the type.
    pub fn resource_id_from(mut self, field: &str) -> Self {
        self.ext.resource_id_from = Some(field.to_owned());
        self
    }

    /// Declares an error; its status is that of the code, or 422 for a code of the operation's own.
    /// Details may be anything.
    pub fn error(self, code: impl Into<ErrorCode>, description: &str) -> Self {
        self.declare(code.into(), description, None)
    }

    /// Declares an error with its HTTP status, 400…599.
    pub fn error_with_status(
        self,
        code: impl Into<ErrorCode>,
        description: &str,
        http_status: u16,
    ) -> Self {
        self.declare(code.into(), description, Some(http_status))
    }

    /// How much of a call is recorded.
    pub fn record(mut self, policy: RecordPolicy) -> Self {
        self.ext.record = Some(policy);
        self
    }

    /// Deadline of a call that asks for none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.ext.timeout = Some(timeout);
        self
    }

    /// Whether it may run twice; queries may, others may not unless this says so.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.ext.idempotent = Some(idempotent);
        self
    }

    /// Version of the definition; 1.0.0 without it.
    ///
    /// # Panics
    /// When the text is no semantic version.
    pub fn version(mut self, version: &str) -> Self {
        self.version = defined(
            &format!("{}.{}", self.namespace, self.name),
            version.parse(),
        );
        self
    }

    /// One member of `_meta`.
    pub fn meta(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.meta
            .get_or_insert_default()
            .insert(name.to_owned(), value.into());
        self
    }

    /// Its errors may list very many faults: details up to 4 MiB instead of 64 KiB.
    pub fn long_details(mut self) -> Self {
        self.details_limit = IMPORT_DETAILS_LIMIT;
        self
    }

    fn declare(mut self, code: ErrorCode, description: &str, http_status: Option<u16>) -> Self {
        let description = description.to_owned();
        self.errors.push(ErrorDefinition {
            code,
            description,
            schema: Schema::any(),
            http_status,
        });
        self
    }
}

impl<I, O> OperationBuilder<I, O>
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
{
    /// Finishes a query or mutation with the function that runs it.
    ///
    /// # Panics
    /// When the definition breaks a rule of [`OperationSpec::check`], a schema does not compile, or
    /// the type is a subscription: faults of the program that show at its start.
    #[must_use]
    pub fn handler<F, R>(self, function: F) -> Operation
    where
        F: Fn(Context, I) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O, CallError>> + Send + 'static,
    {
        let handler = CallFunction {
            function,
            types: PhantomData::<fn(I) -> O>,
        };
        self.finish(AnyHandler::Call(Arc::new(handler)))
    }

    /// Finishes a subscription with the function that makes its stream.
    ///
    /// # Panics
    /// As [`OperationBuilder::handler`]; also when the type is no subscription.
    #[must_use]
    pub fn stream<F, S>(self, function: F) -> Operation
    where
        F: Fn(Context, I) -> S + Send + Sync + 'static,
        S: futures::Stream<Item = Result<O, CallError>> + Send + 'static,
    {
        let handler = StreamFunction {
            function,
            types: PhantomData::<fn(I) -> O>,
        };
        self.finish(AnyHandler::Stream(Arc::new(handler)))
    }

    fn finish(self, handler: AnyHandler) -> Operation {
        let id = OperationId::join(&self.namespace, &self.name);
        assert!(
            handler.fits(self.kind),
            "operation {id}: a {} needs another handler",
            self.kind
        );
        let spec = OperationSpec {
            namespace: self.namespace,
            name: self.name,
            version: self.version,
            kind: self.kind,
            title: self.title,
            description: self.description,
            tags: self.tags,
            input_schema: defined(id.as_str(), Schema::of_input::<I>()),
            output_schema: defined(id.as_str(), Schema::of_output::<O>()),
            error_schemas: self.errors,
            access_control: self.access_control,
            meta: self.meta,
            ext: self.ext,
        };
        defined(id.as_str(), spec.check(SpecOwner::Host));
        Operation {
            open: self.open,
            details_limit: self.details_limit,
            ..Operation::new(spec, Some(handler))
        }
    }
}

/// Reads a typed input. The schema has been passed already, but a type may be stricter than its
/// schema; the issue then tells where, without quoting the value.
///
/// # Errors
/// `VALIDATION_ERROR` with one issue.
pub fn read_input<I: DeserializeOwned>(input: Value) -> Result<I, CallError> {
    serde_path_to_error::deserialize(input).map_err(|error| {
        let message = expectation(&error.inner().to_string());
        let issue = Issue::new(pointer(error.path()), "invalid", message);
        let told = format!("the input is invalid: {issue}");
        CallError::validation(vec![issue], told)
    })
}

struct CallFunction<F, I, O> {
    function: F,
    types: PhantomData<fn(I) -> O>,
}

#[async_trait]
impl<F, R, I, O> Handler for CallFunction<F, I, O>
where
    F: Fn(Context, I) -> R + Send + Sync,
    R: Future<Output = Result<O, CallError>> + Send,
    I: DeserializeOwned + Send,
    O: Serialize + Send,
{
    async fn call(&self, input: Value, ctx: Context) -> Result<Reply, CallError> {
        let output = (self.function)(ctx, read_input(input)?).await?;
        written(&output)
    }
}

struct StreamFunction<F, I, O> {
    function: F,
    types: PhantomData<fn(I) -> O>,
}

impl<F, S, I, O> StreamHandler for StreamFunction<F, I, O>
where
    F: Fn(Context, I) -> S + Send + Sync,
    S: futures::Stream<Item = Result<O, CallError>> + Send + 'static,
    I: DeserializeOwned,
    O: Serialize + 'static,
{
    fn subscribe(
        &self,
        input: Value,
        ctx: Context,
    ) -> BoxStream<'static, Result<Reply, CallError>> {
        match read_input(input) {
            Ok(input) => (self.function)(ctx, input)
                .map(|item| item.and_then(|output| written(&output)))
                .boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }
}

fn written<O: Serialize>(output: &O) -> Result<Reply, CallError> {
    serde_json::to_value(output)
        .map(Reply::Data)
        .map_err(|error| CallError::internal(&error))
}

/// What of serde's message comes from the program: the part behind `expected`. What stands before
/// it quotes the value.
fn expectation(message: &str) -> String {
    const QUOTING: [&str; 5] = [
        "invalid type:",
        "invalid value:",
        "invalid length",
        "unknown variant",
        "unknown field",
    ];
    let behind = QUOTING
        .iter()
        .any(|start| message.starts_with(start))
        .then(|| {
            message
                .rsplit_once(", expected ")
                .map(|(_, expected)| expected)
        })
        .flatten();
    match behind {
        Some(expected) => format!("must be {expected}"),
        None => "does not fit what the operation expects".to_owned(),
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The value of a definition that is a constant of the program.
fn defined<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("operation {what} is defined wrongly: {error}"),
    }
}

impl Schema {
    /// The schema that accepts every value.
    #[must_use]
    pub fn any() -> Self {
        defined("schema", Self::new(json!({})))
    }
}
