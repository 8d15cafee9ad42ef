//! How a spoke is set up.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::{Operation, Registry};
use secrecy::{ExposeSecret, SecretString};

use crate::connection;
use crate::devenv::host_info;
use crate::error::SpokeError;
use crate::offer::SpokeType;
use crate::shared::{Settings, Shared};
use crate::socket::websocket_url;
use crate::spoke::Spoke;

/// Settings of a spoke; made by [`Spoke::builder`].
pub struct SpokeBuilder {
    settings: Settings,
    operations: Vec<Operation>,
    host: Option<Arc<dyn Any + Send + Sync>>,
}

impl SpokeBuilder {
    pub(crate) fn new(url: String, key: SecretString) -> Self {
        Self {
            settings: Settings {
                url,
                key,
                name: None,
                spoke_type: SpokeType::default(),
                project_id: None,
                spoke_id: None,
                labels: BTreeMap::new(),
                max_in_flight: 64,
                replace: false,
                host_info: host_info(),
                patience: Duration::ZERO,
                drain: Duration::from_secs(10),
            },
            operations: Vec::new(),
            host: None,
        }
    }

    /// The spoke's name, 1 to 100 characters. With the key's account and the project it identifies
    /// the spoke over restarts, so only one process may use it at a time. Needed to offer operations;
    /// without a name the program only calls.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Offers an operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<Operation>) -> Self {
        self.operations.push(operation.into());
        self
    }

    /// Offers several operations.
    #[must_use]
    pub fn operations(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// What sort of machine it is; [`SpokeType::Custom`] unless said.
    #[must_use]
    pub fn spoke_type(mut self, spoke_type: SpokeType) -> Self {
        self.settings.spoke_type = spoke_type;
        self
    }

    /// The project it works for: its id.
    #[must_use]
    pub fn project(mut self, project_id: impl Into<String>) -> Self {
        self.settings.project_id = Some(project_id.into());
        self
    }

    /// The id this spoke had at the hub before, when the name alone does not tell.
    #[must_use]
    pub fn spoke_id(mut self, spoke_id: impl Into<String>) -> Self {
        self.settings.spoke_id = Some(spoke_id.into());
        self
    }

    /// A label it can be chosen by, such as `gpu` = `a100`.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.labels.insert(name.into(), value.into());
        self
    }

    /// Calls it takes at once; 64 unless said, and at most what the hub allows.
    #[must_use]
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.settings.max_in_flight = calls;
        self
    }

    /// Takes the place of a live connection under the same name, instead of being refused.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.settings.replace = replace;
        self
    }

    /// A value of the program, which handlers get by `ctx.host::<T>()`.
    #[must_use]
    pub fn host<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.host = Some(Arc::new(value));
        self
    }

    /// How long [`SpokeBuilder::connect`] goes on trying to reach a hub that is not there yet; not at
    /// all unless said. Once connected, a spoke tries for ever.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How long [`Spoke::stop`] waits for calls that run; 10 s unless said.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.settings.drain = drain;
        self
    }

    /// Connects and registers. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SpokeError`]; only an unreachable or busy hub is waited for, as long as
    /// [`SpokeBuilder::patience`] says.
    pub async fn connect(self) -> Result<Spoke, SpokeError> {
        let mut settings = self.settings;
        settings.url = websocket_url(&settings.url)?;
        if settings.key.expose_secret().is_empty() {
            return Err(SpokeError::Settings("the key is empty".to_owned()));
        }
        if settings.name.is_none() && !self.operations.is_empty() {
            let message = "a spoke that offers operations needs a name";
            return Err(SpokeError::Settings(message.to_owned()));
        }
        let registry = Registry::new();
        registry.register_all(self.operations)?;
        let shared = Shared::new(settings, Arc::new(registry), self.host);
        let driver = connection::start(&shared).await?;
        Ok(Spoke::new(shared, driver))
    }
}

impl std::fmt::Debug for SpokeBuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SpokeBuilder")
            .field("url", &self.settings.url)
            .field("name", &self.settings.name)
            .field("operations", &self.operations.len())
            .finish_non_exhaustive()
    }
}
