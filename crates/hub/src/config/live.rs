//! Settings that may change while the hub runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::Value;

use super::kind::redact_url;
use super::load::{Loaded, build};
use super::settings::{self, SETTINGS, Setting};
use super::typed::Config;

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The table of settings.
    Default,
    /// The configuration file.
    File,
    /// `config.set`, kept in the database.
    Live,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Source::Default => "default",
            Source::File => "file",
            Source::Live => "live",
            Source::Environment => "environment",
            Source::Flag => "flag",
        })
    }
}

/// One setting as `config.get` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingValue {
    /// Value in force, durations in ms, sizes in bytes; null = none. Without passwords.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
    /// Value without any source; null = none.
    pub default: Value,
    /// Whether it may carry a secret.
    pub secret: bool,
    /// Whether a change needs a restart.
    pub restart: bool,
}

/// Why a live setting cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No such setting.
    #[error("there is no setting of that name{}", nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    UnknownKey {
        /// The known key nearest to it.
        nearest: Option<&'static str>,
    },
    /// It counts only at start.
    #[error("a change needs a restart: set it in the configuration file")]
    NeedsRestart,
    /// The value is not possible.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
}

/// What reading the sources again changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Live settings with a new value.
    pub changed: Vec<&'static str>,
    /// Settings whose new value counts only after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// The settings in force, readable without a lock and changeable where marked live.
#[derive(Debug)]
pub struct LiveConfig {
    state: ArcSwap<State>,
    /// Held while a new state is made, so that two changes do not undo each other.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    layers: Layers,
}

impl LiveConfig {
    pub(super) fn new(config: Config, layers: Layers) -> Self {
        LiveConfig {
            state: ArcSwap::from_pointee(State {
                config: Arc::new(config),
                layers,
            }),
            changing: Mutex::new(()),
        }
    }

    /// The settings now. Take it once a request, so that one request sees one state.
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.state.load().config)
    }

    /// The setting of that key, or all; an unknown key gives an empty map.
    pub fn get(&self, key: Option<&str>) -> BTreeMap<String, SettingValue> {
        let state = self.state.load();
        SETTINGS
            .iter()
            .filter(|setting| key.is_none_or(|key| key == setting.key))
            .map(|setting| (setting.key.to_owned(), state.layers.show(setting)))
            .collect()
    }

    /// Checks a change without making it; answers the canonical value.
    ///
    /// # Errors
    /// See [`SetError`].
    pub fn check_live(&self, key: &str, value: &Value) -> Result<Value, SetError> {
        self.changed(key, value).map(|(value, _)| value)
    }

    /// Makes a change in memory; answers the canonical value, which the caller stores.
    ///
    /// # Errors
    /// See [`SetError`].
    pub fn set_live(&self, key: &str, value: Value) -> Result<Value, SetError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, state) = self.changed(key, &value)?;
        self.state.store(Arc::new(state));
        Ok(value)
    }

    /// Puts stored live settings in force at start. Answers a sentence for each one that cannot
    /// be: a setting that a newer version dropped must not keep the hub from starting.
    pub fn apply_stored(&self, stored: Vec<(String, Value)>) -> Vec<String> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut warnings = Vec::new();
        for (key, value) in stored {
            let overruled = self.overruled(&key);
            match self.with_live(&key, &value) {
                Ok((_, state)) => {
                    self.state.store(Arc::new(state));
                    if let Some(source) = overruled {
                        warnings.push(format!(
                            "the stored setting {key} is overruled by the {source}"
                        ));
                    }
                }
                Err(error) => {
                    warnings.push(format!("the stored setting {key} is ignored: {error}"));
                }
            }
        }
        warnings
    }

    /// Takes over newly read sources: live settings count at once, others are named.
    ///
    /// # Errors
    /// The new sources do not fit the stored live settings: (key, message); nothing changes then.
    pub fn reload(&self, loaded: Loaded) -> Result<Reloaded, Vec<(String, String)>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.load();
        let fresh = loaded.config.state.load();
        let mut layers = state.layers.clone();
        let mut reloaded = Reloaded::default();
        for setting in SETTINGS {
            if setting.live {
                let before = layers.get(setting.key).map(|(value, _)| value.clone());
                for source in [Source::File, Source::Environment, Source::Flag] {
                    layers.copy(setting.key, source, &fresh.layers);
                }
                if layers.get(setting.key).map(|(value, _)| value) != before.as_ref() {
                    reloaded.changed.push(setting.key);
                }
            } else if state.layers.get(setting.key).map(|(value, _)| value)
                != fresh.layers.get(setting.key).map(|(value, _)| value)
            {
                reloaded.needs_restart.push(setting.key);
            }
        }
        let config = Arc::new(build(&layers)?);
        self.state.store(Arc::new(State { config, layers }));
        Ok(reloaded)
    }

    /// JSON Schema of the configuration file.
    pub fn schema(&self) -> Value {
        super::document::schema()
    }

    fn changed(&self, key: &str, value: &Value) -> Result<(Value, State), SetError> {
        let changed = self.with_live(key, value)?;
        match self.overruled(key) {
            Some(source) => Err(SetError::Invalid {
                message: format!("the {source} sets {key} and counts more than a live setting"),
            }),
            None => Ok(changed),
        }
    }

    fn overruled(&self, key: &str) -> Option<Source> {
        let state = self.state.load();
        let source = state.layers.get(key).map(|(_, source)| source);
        source.filter(|source| *source > Source::Live)
    }

    fn with_live(&self, key: &str, value: &Value) -> Result<(Value, State), SetError> {
        let setting = settings::find(key).ok_or_else(|| SetError::UnknownKey {
            nearest: settings::nearest(key),
        })?;
        if !setting.live {
            return Err(SetError::NeedsRestart);
        }
        let value = setting
            .kind
            .read(value)
            .map_err(|message| SetError::Invalid {
                message: format!("{key}: {message}"),
            })?;
        let mut layers = self.state.load().layers.clone();
        layers.put(setting.key, Source::Live, value.clone());
        let config = build(&layers).map_err(|problems| SetError::Invalid {
            message: problems
                .into_iter()
                .map(|(key, message)| format!("{key}: {message}"))
                .collect::<Vec<_>>()
                .join("; "),
        })?;
        Ok((
            value,
            State {
                config: Arc::new(config),
                layers,
            },
        ))
    }
}

/// Canonical values by source.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers(BTreeMap<Source, BTreeMap<&'static str, Value>>);

impl Layers {
    pub(super) fn replace(&mut self, source: Source, values: BTreeMap<&'static str, Value>) {
        self.0.insert(source, values);
    }

    /// The value in force and where it comes from.
    pub(super) fn get(&self, key: &str) -> Option<(&Value, Source)> {
        self.0
            .iter()
            .rev()
            .find_map(|(source, values)| values.get(key).map(|value| (value, *source)))
    }

    fn put(&mut self, key: &'static str, source: Source, value: Value) {
        self.0.entry(source).or_default().insert(key, value);
    }

    fn copy(&mut self, key: &'static str, source: Source, from: &Layers) {
        let values = self.0.entry(source).or_default();
        match from.0.get(&source).and_then(|values| values.get(key)) {
            Some(value) => {
                values.insert(key, value.clone());
            }
            None => {
                values.remove(key);
            }
        }
    }

    fn show(&self, setting: &'static Setting) -> SettingValue {
        let (value, source) = self
            .get(setting.key)
            .map_or((Value::Null, Source::Default), |(value, source)| {
                (value.clone(), source)
            });
        let value = match (&value, setting.secret) {
            (Value::String(url), true) => Value::String(redact_url(url)),
            _ => value,
        };
        SettingValue {
            value,
            source,
            default: self
                .0
                .get(&Source::Default)
                .and_then(|defaults| defaults.get(setting.key))
                .cloned()
                .unwrap_or(Value::Null),
            secret: setting.secret,
            restart: !setting.live,
        }
    }
}
