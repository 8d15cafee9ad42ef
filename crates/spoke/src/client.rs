//! Calls that a spoke makes.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_operations::protocol::{Request, Subscription};
use alkhub_operations::{
    CallError, Envelope, EnvelopeStream, ErrorCode, Executor, NestedCall, Operation, OperationSpec,
    RequestId,
};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::shared::Shared;

/// Room a frame needs beside the input.
const FRAME_OVERHEAD: usize = 64 * 1024;

/// Makes calls over a spoke's connection. Cheap to clone; works for as long as the
/// [`Spoke`](crate::Spoke) does.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// A call that is made when it is awaited.
#[must_use = "a call is made when it is awaited"]
pub struct OutgoingCall {
    shared: Arc<Shared>,
    request: Request,
    repeat: bool,
    idempotent: bool,
}

impl Client {
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Calls an operation with the rights of the spoke's key. While the connection is lost, the call
    /// waits for the next one.
    ///
    /// Awaited, it gives the envelope or the error of the call; `UNAVAILABLE` with
    /// `details.maybeExecuted` when the connection was lost and the call must not be repeated.
    pub fn call(&self, operation: impl Into<String>, input: Value) -> OutgoingCall {
        OutgoingCall {
            shared: Arc::clone(&self.shared),
            request: Request::new(operation, input),
            repeat: false,
            idempotent: false,
        }
    }

    /// Starts a subscription. It ends with `UNAVAILABLE` when the connection is lost; dropping it
    /// stops it at its provider.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the spoke is stopped.
    pub async fn subscribe(
        &self,
        operation: impl Into<String>,
        input: Value,
    ) -> Result<Subscription, CallError> {
        self.open(Request::new(operation, input)).await
    }

    /// Starts a subscription with all that a request can say.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn open(&self, request: Request) -> Result<Subscription, CallError> {
        self.shared.wait_until_up(None).await?;
        Ok(self.shared.map.subscribe(request))
    }

    /// Offers another operation, or one of the same id anew.
    ///
    /// # Errors
    /// Of the operation itself, of the call `hub.update`, or why the hub does not take it.
    pub async fn offer(&self, operation: impl Into<Operation>) -> Result<(), CallError> {
        let operation = operation.into();
        let id = operation.spec.id();
        let spec = wire(&operation.spec)?;
        let before = self.shared.registry.replace(operation)?;
        let told = self.update(json!({ "add": [spec] })).await;
        if told.is_err() {
            // What the hub does not know of is not offered here either.
            match before {
                Some(before) => drop(self.shared.registry.replace(before.operation().clone())?),
                None => drop(self.shared.registry.unregister(id.as_str())),
            }
        }
        told
    }

    /// Offers an operation no longer. Calls that run end.
    ///
    /// # Errors
    /// Those of the call `hub.update`.
    pub async fn withdraw(&self, operation: &str) -> Result<(), CallError> {
        self.update(json!({ "remove": [operation] })).await?;
        drop(self.shared.registry.unregister(operation));
        Ok(())
    }

    async fn update(&self, change: Value) -> Result<(), CallError> {
        let answer = self.call("hub.update", change).await?.unwrap();
        match answer["refused"].as_array().and_then(|list| list.first()) {
            None => Ok(()),
            Some(refused) => {
                let text = |name: &str| refused[name].as_str().unwrap_or_default().to_owned();
                Err(CallError::new(
                    ErrorCode::other(text("code")),
                    text("message"),
                ))
            }
        }
    }
}

impl OutgoingCall {
    /// It may be repeated: after a lost connection it is.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self.repeat = true;
        self
    }

    /// Under this id. The hub runs one id once, so the call is repeated after a lost connection, and
    /// may be by you: the same id with the same input gives the recorded answer.
    pub fn request_id(mut self, id: RequestId) -> Self {
        self.request.request_id = id;
        self.repeat = true;
        self
    }

    /// With a deadline this far from now; else the hub's own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(timeout);
        self
    }

    /// As a child of a call that this spoke is running, with that caller's rights. `ctx.call` does it
    /// by itself.
    pub fn parent(mut self, id: RequestId) -> Self {
        self.request.parent_request_id = Some(id);
        self
    }

    /// With this beside the input.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let metadata = self.request.metadata.get_or_insert_default();
        metadata.insert(name.into(), value.into());
        self
    }

    async fn run(mut self) -> Result<Envelope, CallError> {
        let shared = Arc::clone(&self.shared);
        let most = shared.frame_bytes.load(Ordering::Relaxed);
        if size_of(&self.request.input) + FRAME_OVERHEAD > most {
            let message = format!("the input does not fit into a frame of {most} bytes");
            return Err(
                CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, message).with_detail("limit", most)
            );
        }
        let deadline = self.request.timeout.map(|timeout| Instant::now() + timeout);
        loop {
            shared.wait_until_up(deadline).await?;
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                self.request.timeout = Some(left);
            }
            let remembered = self
                .repeat
                .then(|| Remembered::new(&shared, self.request.clone()));
            let outcome = shared.map.call(self.request.clone()).await;
            drop(remembered);
            match outcome {
                // Lost between the look and the call: it was never sent.
                Err(error) if was_not_sent(&error) && !*shared.up.borrow() => {}
                Err(error) if self.idempotent && answer_not_kept(&error) => {
                    let before =
                        std::mem::replace(&mut self.request.request_id, RequestId::random());
                    self = self.metadata("retryOf", before.to_string());
                }
                outcome => return outcome,
            }
        }
    }
}

impl IntoFuture for OutgoingCall {
    type Output = Result<Envelope, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Calls that handlers make: children of the call they are made in.
#[async_trait]
impl Executor for Client {
    async fn call(&self, call: NestedCall) -> Result<Envelope, CallError> {
        let request = nested(call);
        self.shared.wait_until_up(None).await?;
        self.shared.map.call(request).await
    }

    async fn subscribe(&self, call: NestedCall) -> Result<EnvelopeStream, CallError> {
        Ok(self.open(nested(call)).await?.boxed())
    }
}

impl Shared {
    /// Waits until calls can be made.
    fn wait_until_up(
        self: &Arc<Self>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<(), CallError>> + Send + 'static {
        let shared = Arc::clone(self);
        async move {
            let mut up = shared.up.subscribe();
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                up = up.wait_for(|up| *up) => match up {
                    Ok(_) => Ok(()),
                    Err(_) => Err(unavailable("the spoke has stopped", false)),
                },
                () = shared.ended.cancelled() => Err(unavailable("the spoke has stopped", false)),
                () = late => Err(unavailable("there is no connection to the hub", false)),
            }
        }
    }
}

/// A call that is sent again while this lives.
struct Remembered<'a> {
    shared: &'a Shared,
    id: RequestId,
}

impl<'a> Remembered<'a> {
    fn new(shared: &'a Shared, request: Request) -> Self {
        let id = request.request_id.clone();
        shared.remember(request);
        Self { shared, id }
    }
}

impl Drop for Remembered<'_> {
    fn drop(&mut self) {
        self.shared.forget(&self.id);
    }
}

/// `UNAVAILABLE` of a call, with what is known of its execution.
pub(crate) fn unavailable(message: &str, maybe_executed: bool) -> CallError {
    CallError::unavailable(message).with_detail("maybeExecuted", maybe_executed)
}

/// A spec as the hub takes it.
pub(crate) fn wire(spec: &OperationSpec) -> Result<Value, CallError> {
    serde_json::to_value(spec).map_err(|error| CallError::internal(&error))
}

fn nested(call: NestedCall) -> Request {
    let context = call.context;
    let mut request =
        Request::new(call.operation, call.input).with_id(context.request_id().clone());
    request.parent_request_id = context.parent_request_id().cloned();
    request.timeout = context.remaining();
    request
}

fn was_not_sent(error: &CallError) -> bool {
    error.code == ErrorCode::PROVIDER_LOST
        && error
            .details
            .as_ref()
            .is_some_and(|it| it["started"] == false)
}

fn answer_not_kept(error: &CallError) -> bool {
    error.code == ErrorCode::CONFLICT
        && error
            .details
            .as_ref()
            .is_some_and(|it| it["rule"] == "answer_not_kept")
}

/// Bytes of JSON, without making the text.
fn size_of(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
