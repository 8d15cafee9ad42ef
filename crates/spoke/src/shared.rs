//! What the parts of a spoke share.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use alkhub_operations::protocol::{
    CallMap, CallServer, MapLimits, RegistryService, Request, ServerLimits,
};
use alkhub_operations::{Executor, Registry, RequestId};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::devenv::HostInfo;
use crate::offer::{Registration, SpokeType};

/// Largest frame, until the hub says another.
pub(crate) const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// What a spoke was built with.
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) key: SecretString,
    /// Without a name it offers nothing and is not registered.
    pub(crate) name: Option<String>,
    pub(crate) spoke_type: SpokeType,
    pub(crate) project_id: Option<String>,
    pub(crate) spoke_id: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) max_in_flight: usize,
    pub(crate) replace: bool,
    pub(crate) host_info: HostInfo,
    pub(crate) patience: Duration,
    pub(crate) drain: Duration,
}

/// The parts that outlive a connection.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) map: Arc<CallMap>,
    pub(crate) server: Arc<CallServer>,
    /// True while calls can be made.
    pub(crate) up: watch::Sender<bool>,
    pub(crate) stopping: CancellationToken,
    /// Fires when there will be no connection any more.
    pub(crate) ended: CancellationToken,
    /// Largest frame the hub takes.
    pub(crate) frame_bytes: AtomicUsize,
    registration: Mutex<Option<Registration>>,
    /// Open calls that are sent again after a lost connection.
    repeatable: Mutex<HashMap<RequestId, Request>>,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        registry: Arc<Registry>,
        host: Option<Arc<dyn Any + Send + Sync>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| {
            let me = me.clone();
            let service = RegistryService::new(Arc::clone(&registry)).prepared_by(move |context| {
                let context = match &host {
                    Some(host) => context.with_host(Arc::clone(host)),
                    None => context,
                };
                match me.upgrade() {
                    Some(shared) => {
                        let executor: Arc<dyn Executor> = Arc::new(Client::of(shared));
                        context.with_executor(executor)
                    }
                    None => context,
                }
            });
            let limits = ServerLimits {
                running: settings.max_in_flight,
                subscriptions: settings.max_in_flight,
                strip_reserved: false,
                keep_answers: true,
                ..ServerLimits::default()
            };
            Self {
                registry,
                map: CallMap::detached(MapLimits::default()),
                server: CallServer::detached(Arc::new(service), limits),
                up: watch::Sender::new(false),
                stopping: CancellationToken::new(),
                ended: CancellationToken::new(),
                frame_bytes: AtomicUsize::new(FRAME_BYTES),
                registration: Mutex::new(None),
                repeatable: Mutex::default(),
                settings,
            }
        })
    }

    pub(crate) fn registration(&self) -> Option<Registration> {
        lock(&self.registration).clone()
    }

    pub(crate) fn set_registration(&self, registration: Registration) {
        *lock(&self.registration) = Some(registration);
    }

    /// The id to come back under.
    pub(crate) fn spoke_id(&self) -> Option<String> {
        match &*lock(&self.registration) {
            Some(registration) => Some(registration.spoke_id.clone()),
            None => self.settings.spoke_id.clone(),
        }
    }

    pub(crate) fn remember(&self, request: Request) {
        lock(&self.repeatable).insert(request.request_id.clone(), request);
    }

    pub(crate) fn forget(&self, id: &RequestId) {
        lock(&self.repeatable).remove(id);
    }

    pub(crate) fn is_repeatable(&self, id: &RequestId) -> bool {
        lock(&self.repeatable).contains_key(id)
    }

    /// Calls that were open when the connection was lost and are to be sent again.
    pub(crate) fn repeatable(&self) -> Vec<Request> {
        lock(&self.repeatable).values().cloned().collect()
    }
}

/// Locks; nothing here panics with half-changed data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
