//! The registry: which operations there are, and the whole way of a call through one of them.

mod entry;
mod run;

pub use entry::{Entry, Expected};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::access::Mode;
use crate::context::{Context, EnvelopeStream, Executor, HostCapability, NestedCall};
use crate::envelope::Envelope;
use crate::error::CallError;
use crate::handler::{AnyHandler, Operation};
use crate::names::OperationId;
use crate::spec::{OperationSpec, OperationType, SpecError, SpecOwner};

/// Why the registry did not take an operation. Nothing is stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The id is taken, or the operation has a handler already.
    #[error("operation {0} is registered already")]
    Conflict(OperationId),
    /// No operation of this id.
    #[error("operation {0} is not registered")]
    NotRegistered(String),
    /// The handler is of the other sort than the operation's type.
    #[error("operation {id} is a {kind} and needs a handler of that sort")]
    KindMismatch {
        /// The operation.
        id: OperationId,
        /// Its type.
        kind: OperationType,
    },
    /// The spec breaks a rule.
    #[error("operation {id} is invalid")]
    Invalid {
        /// The operation.
        id: OperationId,
        /// The rules.
        source: SpecError,
    },
    /// One of several is refused, so none is stored.
    #[error("operation {id} at index {index} is refused")]
    At {
        /// Its place in the list, from 0.
        index: usize,
        /// The operation.
        id: OperationId,
        /// Why.
        source: Box<RegistryError>,
    },
}

impl From<RegistryError> for CallError {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match error {
            RegistryError::Conflict(_) => Self::conflict("registered", message),
            RegistryError::NotRegistered(id) => Self::operation_not_found(&id),
            RegistryError::KindMismatch { .. } => Self::validation_rule("kind", message),
            RegistryError::Invalid { source, .. } => source.into(),
            RegistryError::At { source, .. } => (*source).into(),
        }
    }
}

type Entries = BTreeMap<OperationId, Arc<Entry>>;

/// Operations by id. Reading takes no lock; writing makes a new map and exchanges it, so running
/// calls end on the entry they began with.
pub struct Registry {
    entries: ArcSwap<Entries>,
    /// Held by whoever makes the next map, so that no change is lost.
    writing: Mutex<()>,
    mode: Mode,
    host: Option<HostCapability>,
}

impl Registry {
    /// An empty registry without a host: nobody is believed to be the system.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entries: ArcSwap::default(),
            writing: Mutex::new(()),
            mode: Mode::Required,
            host: None,
        }
    }

    /// The same; callers made with this capability are unrestricted.
    #[must_use]
    pub fn with_host(mut self, capability: &HostCapability) -> Self {
        self.host = Some(capability.clone());
        self
    }

    /// The same; `execute` and `subscribe` count resources in this mode.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Registers an operation with or without a handler.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when the id is taken, [`RegistryError::Invalid`] and
    /// [`RegistryError::KindMismatch`] when it cannot be taken.
    pub fn register(&self, operation: impl Into<Operation>) -> Result<(), RegistryError> {
        let entry = self.entry(operation.into())?;
        self.change(|entries| insert(entries, entry))
    }

    /// Registers all of a list or none of it.
    ///
    /// # Errors
    /// [`RegistryError::At`] with index and id of the first that is refused.
    pub fn register_all(
        &self,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Result<(), RegistryError> {
        let at = |index, id: &OperationId| {
            let id = id.clone();
            move |source| RegistryError::At {
                index,
                id,
                source: Box::new(source),
            }
        };
        let mut ready = Vec::new();
        for (index, operation) in operations.into_iter().enumerate() {
            let id = operation.spec.id();
            ready.push(self.entry(operation).map_err(at(index, &id))?);
        }
        self.change(|entries| {
            for (index, entry) in ready.into_iter().enumerate() {
                let id = entry.id().clone();
                insert(entries, entry).map_err(at(index, &id))?;
            }
            Ok(())
        })
    }

    /// Registers a spec that nobody runs yet.
    ///
    /// # Errors
    /// As [`Registry::register`].
    pub fn register_spec(&self, spec: OperationSpec) -> Result<(), RegistryError> {
        self.register(spec)
    }

    /// Gives a registered spec its handler.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::KindMismatch`], or
    /// [`RegistryError::Conflict`] when there is a handler already.
    pub fn register_handler(&self, id: &str, handler: AnyHandler) -> Result<(), RegistryError> {
        self.change(|entries| {
            let known = entries
                .get(id)
                .ok_or_else(|| RegistryError::NotRegistered(id.to_owned()))?;
            if known.handler().is_some() {
                return Err(RegistryError::Conflict(known.id().clone()));
            }
            let mut operation = known.operation().clone();
            operation.handler = Some(handler);
            let entry = self.entry(operation)?;
            entries.insert(entry.id().clone(), Arc::new(entry));
            Ok(())
        })
    }

    /// Puts an operation in the place of the one with the same id, or adds it. Running calls end on
    /// the old one. Gives the old one.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] and [`RegistryError::KindMismatch`]; the old one stays then.
    pub fn replace(
        &self,
        operation: impl Into<Operation>,
    ) -> Result<Option<Arc<Entry>>, RegistryError> {
        let entry = self.entry(operation.into())?;
        self.change(|entries| Ok(entries.insert(entry.id().clone(), Arc::new(entry))))
    }

    /// As [`Registry::replace`] for many, at once: all of them or, when one is invalid, none.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] and [`RegistryError::KindMismatch`].
    pub fn replace_all(
        &self,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Result<(), RegistryError> {
        let ready = operations
            .into_iter()
            .map(|operation| self.entry(operation))
            .collect::<Result<Vec<_>, _>>()?;
        if ready.is_empty() {
            return Ok(());
        }
        self.change(|entries| {
            for entry in ready {
                entries.insert(entry.id().clone(), Arc::new(entry));
            }
            Ok(())
        })
    }

    /// Removes an operation and gives it. Running calls end; later ones find nothing.
    pub fn unregister(&self, id: &str) -> Option<Arc<Entry>> {
        let _writing = self.lock();
        let mut entries = Entries::clone(&self.entries.load());
        let removed = entries.remove(id);
        self.entries.store(Arc::new(entries));
        removed
    }

    /// The operation of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.load().get(id).cloned()
    }

    /// The operation of this name in this namespace.
    #[must_use]
    pub fn get_by_name(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.get(&format!("{namespace}.{name}"))
    }

    /// The spec of this id.
    #[must_use]
    pub fn get_spec(&self, id: &str) -> Option<OperationSpec> {
        self.get(id).map(|entry| entry.spec().clone())
    }

    /// The handler of this id; `None` also for a spec without one.
    #[must_use]
    pub fn get_handler(&self, id: &str) -> Option<AnyHandler> {
        self.get(id).and_then(|entry| entry.handler().cloned())
    }

    /// All operations in the order of their ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Entry>> {
        self.entries.load().values().cloned().collect()
    }

    /// All specs in the order of their ids.
    #[must_use]
    pub fn get_all_specs(&self) -> Vec<OperationSpec> {
        self.entries
            .load()
            .values()
            .map(|entry| entry.spec().clone())
            .collect()
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load().len()
    }

    /// True when there is no operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First stage of a call: the operation of this id.
    ///
    /// # Errors
    /// `OPERATION_NOT_FOUND` with `details.operationId`.
    pub fn resolve(&self, id: &str) -> Result<Arc<Entry>, CallError> {
        self.get(id)
            .ok_or_else(|| CallError::operation_not_found(id))
    }

    /// Runs a query or mutation through every stage: resolve, authorize, validate the input, run,
    /// validate the output. Absent input is `{}`.
    ///
    /// # Errors
    /// Of the first stage that fails.
    pub async fn execute(
        &self,
        id: &str,
        input: impl Into<Option<Value>>,
        ctx: Context,
    ) -> Result<Envelope, CallError> {
        let (entry, input) = self.admit(id, input.into(), &ctx, Expected::Call)?;
        let envelope = entry.run(input, &ctx).await?;
        entry.validate_output(envelope)
    }

    /// Starts a subscription. Every check runs now, so a refusal is no item of the stream; each item
    /// is checked against the output schema, and the first that fails ends the stream.
    ///
    /// # Errors
    /// Of the first stage that fails.
    pub fn subscribe(
        &self,
        id: &str,
        input: impl Into<Option<Value>>,
        ctx: Context,
    ) -> Result<EnvelopeStream, CallError> {
        let (entry, input) = self.admit(id, input.into(), &ctx, Expected::Subscription)?;
        entry.stream(input, &ctx)
    }

    fn admit(
        &self,
        id: &str,
        input: Option<Value>,
        ctx: &Context,
        expected: Expected,
    ) -> Result<(Arc<Entry>, Value), CallError> {
        let entry = self.resolve(id)?;
        entry.check_kind(expected)?;
        let input = input_or_empty(input);
        entry
            .authorize(ctx.caller(), &input, self.mode)
            .into_result(entry.id())?;
        entry.validate_input(&input)?;
        Ok((entry, input))
    }

    fn entry(&self, operation: Operation) -> Result<Entry, RegistryError> {
        Entry::new(operation, self.host.clone())
    }

    /// Makes the next map and exchanges it, unless the change is refused.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Entries) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let _writing = self.lock();
        let mut entries = Entries::clone(&self.entries.load());
        let result = change(&mut entries)?;
        self.entries.store(Arc::new(entries));
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data: whoever panicked with it has not exchanged the map.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_set()
            .entries(self.entries.load().keys())
            .finish()
    }
}

/// A registry runs the nested calls of its own handlers.
#[async_trait]
impl Executor for Registry {
    async fn call(&self, call: NestedCall) -> Result<Envelope, CallError> {
        self.execute(&call.operation, call.input, call.context)
            .await
    }

    async fn subscribe(&self, call: NestedCall) -> Result<EnvelopeStream, CallError> {
        Self::subscribe(self, &call.operation, call.input, call.context)
    }
}

/// Absent input is `{}`; an explicit `null` is `null`.
#[must_use]
pub fn input_or_empty(input: Option<Value>) -> Value {
    input.unwrap_or_else(|| Value::Object(Map::new()))
}

fn insert(entries: &mut Entries, entry: Entry) -> Result<(), RegistryError> {
    if entries.contains_key(entry.id()) {
        return Err(RegistryError::Conflict(entry.id().clone()));
    }
    entries.insert(entry.id().clone(), Arc::new(entry));
    Ok(())
}

impl Entry {
    pub(super) fn check(operation: &Operation) -> Result<(), RegistryError> {
        let id = operation.spec.id();
        if let Err(source) = operation.spec.check(SpecOwner::Host) {
            return Err(RegistryError::Invalid { id, source });
        }
        let kind = operation.spec.kind;
        match &operation.handler {
            Some(handler) if !handler.fits(kind) => Err(RegistryError::KindMismatch { id, kind }),
            _ => Ok(()),
        }
    }
}
