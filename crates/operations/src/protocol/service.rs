//! What runs requests that arrive.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CallMap, CallServer, ServerLimits};
use crate::context::{Caller, Context, EnvelopeStream, Executor};
use crate::envelope::Envelope;
use crate::error::CallError;
use crate::events::CallRequested;
use crate::registry::Registry;
use crate::spec::OperationType;

/// A request that arrived.
#[derive(Debug)]
pub struct Inbound {
    /// As it came, except for its metadata, which is in the context. Its identity is only what the
    /// peer claims.
    pub requested: CallRequested,
    /// Request id, parent, deadline, pause limit, cancellation, metadata and progress. The caller is
    /// [`Caller::Anonymous`]: who it is, is for the service to say.
    pub context: Context,
}

/// Runs requests that arrive.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Runs a query or mutation. The context's token fires when the request is aborted; a service
    /// that does not end within a few seconds then is dropped.
    ///
    /// # Errors
    /// Any, as the caller shall see it.
    async fn call(&self, request: Inbound) -> Result<Envelope, CallError>;

    /// Starts a subscription. Dropping the stream stops it.
    ///
    /// # Errors
    /// What refuses it before the first item.
    async fn subscribe(&self, request: Inbound) -> Result<EnvelopeStream, CallError>;

    /// Which of the two an operation needs. An unknown operation is called, so that the service can
    /// say so.
    fn kind(&self, operation: &str) -> Option<OperationType>;
}

/// Runs requests by a registry, on behalf of the identity that the peer sends: for providers, who
/// take the hub's word for it.
pub struct RegistryService {
    registry: Arc<Registry>,
    prepare: Box<dyn Fn(Context) -> Context + Send + Sync>,
}

impl RegistryService {
    /// A service of this registry, whose handlers can call nothing.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            prepare: Box::new(|context| context),
        }
    }

    /// The same; each context passes through this function before its handler gets it.
    #[must_use]
    pub fn prepared_by(
        mut self,
        prepare: impl Fn(Context) -> Context + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    fn admit(&self, request: Inbound) -> (CallRequested, Context) {
        let mut requested = request.requested;
        let caller = requested
            .identity
            .take()
            .map_or(Caller::Anonymous, Caller::Identity);
        let context = (self.prepare)(request.context.on_behalf_of(caller));
        (requested, context)
    }
}

#[async_trait]
impl Service for RegistryService {
    async fn call(&self, request: Inbound) -> Result<Envelope, CallError> {
        let (requested, context) = self.admit(request);
        self.registry
            .execute(&requested.operation_id, requested.input, context)
            .await
    }

    async fn subscribe(&self, request: Inbound) -> Result<EnvelopeStream, CallError> {
        let (requested, context) = self.admit(request);
        self.registry
            .subscribe(&requested.operation_id, requested.input, context)
    }

    fn kind(&self, operation: &str) -> Option<OperationType> {
        Some(self.registry.get(operation)?.spec().kind)
    }
}

/// The provider's half for the operations of a registry. Answers go where the map's requests go, and
/// handlers call others through the map, as children of the call they run in.
///
/// Must be called within a tokio runtime.
#[must_use]
pub fn build_call_handler(registry: Arc<Registry>, call_map: Arc<CallMap>) -> Arc<CallServer> {
    let sink = call_map.sink();
    let service = RegistryService::new(registry).prepared_by(move |context| {
        let executor: Arc<dyn Executor> = call_map.clone();
        context.with_executor(executor)
    });
    let server = CallServer::detached(Arc::new(service), ServerLimits::default());
    if let Some(sink) = sink {
        server.attach(sink, None);
    }
    server
}
