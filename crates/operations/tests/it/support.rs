//! What several test modules build their cases from.

use std::sync::Arc;

use alkhub_operations::{
    AccessControl, AnyHandler, CallError, Caller, Context, Handler, Identity, Operation,
    OperationSpec, Registry, Reply, RequestId, Schema, SpecOwner, StreamHandler,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::{Value, json};

/// A spec of this id and type with schemas that accept anything.
pub(crate) fn spec(id: &str, kind: &str) -> OperationSpec {
    let (namespace, name) = id.rsplit_once('.').unwrap();
    OperationSpec::from_json(
        &json!({
            "namespace": namespace, "name": name, "version": "1.0.0", "type": kind,
            "description": "", "inputSchema": {}, "outputSchema": {},
            "accessControl": { "requiredScopes": [] },
        }),
        SpecOwner::Host,
    )
    .unwrap()
}

/// The query `test.testOp`: `{value: string}` to `{result: string}`.
pub(crate) fn test_op() -> Operation {
    let mut spec = spec("test.testOp", "query");
    spec.input_schema = schema(json!({
        "type": "object", "properties": { "value": { "type": "string" } }, "required": ["value"],
    }));
    spec.output_schema = schema(json!({
        "type": "object", "properties": { "result": { "type": "string" } }, "required": ["result"],
    }));
    Operation::new(
        spec,
        Some(call(|input, _| async move {
            let value = input["value"].as_str().unwrap().to_owned();
            Ok(Reply::Data(
                json!({ "result": format!("processed: {value}") }),
            ))
        })),
    )
}

/// An operation with open schemas that this function runs.
pub(crate) fn query<F, R>(id: &str, function: F) -> Operation
where
    F: Fn(Value, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, CallError>> + Send + 'static,
{
    Operation::new(spec(id, "query"), Some(call(function)))
}

/// A subscription with open schemas.
pub(crate) fn subscription<F, S>(id: &str, function: F) -> Operation
where
    F: Fn(Value, Context) -> S + Send + Sync + 'static,
    S: futures::Stream<Item = Result<Reply, CallError>> + Send + 'static,
{
    let handler = Streaming(Box::new(move |input, ctx| function(input, ctx).boxed()));
    Operation::new(
        spec(id, "subscription"),
        Some(AnyHandler::Stream(Arc::new(handler))),
    )
}

/// A query that gives this value.
pub(crate) fn constant(id: &str, value: Value) -> Operation {
    query(id, move |_, _| {
        let value = value.clone();
        async move { Ok(Reply::Data(value)) }
    })
}

pub(crate) fn with_access(mut operation: Operation, access: AccessControl) -> Operation {
    operation.spec.access_control = access;
    operation
}

pub(crate) fn with_input(mut operation: Operation, json: Value) -> Operation {
    operation.spec.input_schema = schema(json);
    operation
}

pub(crate) fn with_output(mut operation: Operation, json: Value) -> Operation {
    operation.spec.output_schema = schema(json);
    operation
}

pub(crate) fn schema(json: Value) -> Schema {
    Schema::new(json).unwrap()
}

/// A registry with these operations.
pub(crate) fn registry(operations: impl IntoIterator<Item = Operation>) -> Arc<Registry> {
    let registry = Registry::new();
    registry.register_all(operations).unwrap();
    Arc::new(registry)
}

/// A context of nobody.
pub(crate) fn anonymous() -> Context {
    Context::new(RequestId::random(), Caller::Anonymous)
}

/// A context of an account with these scopes whose nested calls go to the registry.
pub(crate) fn as_account(scopes: &[&str], registry: &Arc<Registry>) -> Context {
    Context::new(RequestId::random(), Caller::Identity(identity(scopes)))
        .with_executor(registry.clone())
}

pub(crate) fn identity(scopes: &[&str]) -> Identity {
    Identity {
        id: "acc-1".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..Identity::default()
    }
}

pub(crate) fn call<F, R>(function: F) -> AnyHandler
where
    F: Fn(Value, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, CallError>> + Send + 'static,
{
    AnyHandler::Call(Arc::new(Calling(Box::new(move |input, ctx| {
        Box::pin(function(input, ctx))
    }))))
}

/// The rules of `details.issues`, with their paths.
pub(crate) fn issues(error: &CallError) -> Vec<(String, String)> {
    let text = |issue: &Value, name: &str| issue[name].as_str().unwrap().to_owned();
    error.details.as_ref().unwrap()["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| (text(issue, "path"), text(issue, "rule")))
        .collect()
}

pub(crate) fn rule(error: &CallError) -> &str {
    error.details.as_ref().unwrap()["rule"].as_str().unwrap()
}

type CallFunction =
    dyn Fn(Value, Context) -> BoxFuture<'static, Result<Reply, CallError>> + Send + Sync;
type StreamFunction =
    dyn Fn(Value, Context) -> BoxStream<'static, Result<Reply, CallError>> + Send + Sync;

struct Calling(Box<CallFunction>);
struct Streaming(Box<StreamFunction>);

#[async_trait::async_trait]
impl Handler for Calling {
    async fn call(&self, input: Value, ctx: Context) -> Result<Reply, CallError> {
        (self.0)(input, ctx).await
    }
}

impl StreamHandler for Streaming {
    fn subscribe(
        &self,
        input: Value,
        ctx: Context,
    ) -> BoxStream<'static, Result<Reply, CallError>> {
        (self.0)(input, ctx)
    }
}
