//! Settings: one table, and everything that is derived from it.
//!
//! [`SETTINGS`] lists each setting once: key, kind, default, meaning. From it come the typed
//! [`Config`], the JSON Schema of the file, the annotated file of `alkhub config init`, the page
//! `docs/configuration.md` and the hints for misspelt keys.
//!
//! [`load()`] merges what the process was given (flags, environment, file) and reports every fault
//! at once. The result is a [`LiveConfig`]: readers take [`LiveConfig::current`], an operation may
//! change the settings marked *live* while the hub runs.
//!
//! Precedence: flag, environment, live setting, file, default.

mod document;
mod environment;
mod file;
mod kind;
mod live;
mod load;
mod process;
mod secret_file;
mod settings;
#[cfg(test)]
mod tests;
mod typed;

pub use document::{reference, schema, template};
pub use kind::{Kind, Rule, redact_url};
pub use live::{LiveConfig, Reloaded, SetError, SettingValue, Source};
pub use load::{Fault, Loaded, Sources, load};
pub use process::{SourcesError, user_data_dir};
pub use secret_file::{SecretFileError, read_secret_file};
pub use settings::{SETTINGS, Setting, find, nearest};
pub use typed::{
    AuthConfig, CallsConfig, ClientsConfig, Config, DatabaseConfig, DispatchConfig, HubConfig,
    LimitsConfig, LogConfig, LogFormat, ProjectsConfig, RecordAhead, RecorderConfig, ServerConfig,
    SqliteSynchronous,
};
