//! Merges flags, environment and file into the settings in force.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::environment;
use super::file::{self, FileSettings};
use super::kind::{Kind, has_password};
use super::live::{Layers, LiveConfig, Source};
use super::secret_file::{SecretFileError, read_secret_file};
use super::settings::{self, SETTINGS};
use super::typed::Config;

/// Everything settings come from. `Sources::default()` has no user data directory, so `dataDir`
/// must be among the flags then.
pub struct Sources {
    /// Settings of the command line: key and text; a list may be given in several entries.
    pub flags: Vec<(String, String)>,
    /// The environment, other programs' variables included.
    pub env: Vec<(String, String)>,
    /// Path and content of the configuration file.
    pub file: Option<(PathBuf, String)>,
    /// Default of `dataDir`.
    pub user_data_dir: Option<PathBuf>,
    /// Reads the files that hold secrets.
    pub read_secret: fn(&Path) -> Result<String, SecretFileError>,
}

impl Default for Sources {
    fn default() -> Self {
        Sources {
            flags: Vec::new(),
            env: Vec::new(),
            file: None,
            user_data_dir: None,
            read_secret: read_secret_file,
        }
    }
}

/// Settings in force, and what the user should know about them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: LiveConfig,
    /// Sentences; none of them keeps the hub from starting.
    pub warnings: Vec<String>,
}

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The configuration file, when the fault stands in it.
    pub file: Option<PathBuf>,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// The setting.
    pub key: Option<String>,
    /// What is wrong; never a secret.
    pub message: String,
}

impl Fault {
    pub(super) fn variable(variable: &str, key: Option<&str>, message: &str) -> Fault {
        Fault {
            file: None,
            line: None,
            column: None,
            key: key.map(str::to_owned),
            message: format!("{variable}: {message}"),
        }
    }

    fn plain(key: &str, message: String) -> Fault {
        Fault {
            file: None,
            line: None,
            column: None,
            key: Some(key.to_owned()),
            message,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{}:", file.display())?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(formatter, "{line}:{column}:")?;
            }
            write!(formatter, " ")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, "{key}: ")?;
        }
        formatter.write_str(&self.message)
    }
}

/// Merges the sources. Reads nothing but the files that hold secrets.
///
/// # Errors
/// All faults at once, those of the file in the order of the file.
pub fn load(sources: Sources) -> Result<Loaded, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut file = match &sources.file {
        Some((path, text)) => file::read(path, text, &mut faults),
        None => FileSettings::default(),
    };
    faults.sort_by_key(|fault| (fault.line, fault.column));
    refuse_password_in_file(&sources, &file, &mut faults);
    let mut env = environment::read(&sources.env, &mut faults, &mut warnings);
    let mut flags = read_flags(&sources.flags, &mut faults);
    for layer in [&mut file.values, &mut env, &mut flags] {
        read_url_file(layer, sources.read_secret, &mut faults);
    }
    if flags
        .get("database.url")
        .and_then(Value::as_str)
        .is_some_and(has_password)
        && !flags.contains_key("database.urlFile")
    {
        warnings.push(
            "the password on the command line can be read by other users of this machine; \
             database.urlFile keeps it in a file"
                .to_owned(),
        );
    }

    let mut layers = Layers::default();
    layers.replace(
        Source::Default,
        defaults(sources.user_data_dir.as_deref(), &mut faults),
    );
    layers.replace(Source::File, file.values);
    layers.replace(Source::Environment, env);
    layers.replace(Source::Flag, flags);
    if layers.get("dataDir").is_none()
        && !faults
            .iter()
            .any(|fault| fault.key.as_deref() == Some("dataDir"))
    {
        faults.push(Fault::plain(
            "dataDir",
            "the user has no home directory; name a directory with --data-dir".to_owned(),
        ));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    match build(&layers) {
        Ok(config) => Ok(Loaded {
            config: LiveConfig::new(config, layers),
            warnings,
        }),
        Err(problems) => Err(problems
            .into_iter()
            .map(|(key, message)| placed(&key, message, &sources, &file.places, &layers))
            .collect()),
    }
}

/// The typed settings of these layers, or what is wrong between settings: (key, message).
pub(super) fn build(layers: &Layers) -> Result<Config, Vec<(String, String)>> {
    let mut root = Map::new();
    for setting in SETTINGS {
        let (section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        let Some((value, _)) = layers.get(setting.key) else {
            continue;
        };
        if section.is_empty() {
            root.insert(name.to_owned(), value.clone());
            continue;
        }
        let entry = root
            .entry(section.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = entry {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    let config: Config = serde_json::from_value(Value::Object(root)).map_err(|error| {
        // The table and the structs have come apart; a test keeps this from being released.
        vec![("settings".to_owned(), error.to_string())]
    })?;
    let problems = between_settings(&config);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn between_settings(config: &Config) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut problem = |key: &str, message: String| problems.push((key.to_owned(), message));
    if config.server.listen.is_empty() {
        problem("server.listen", "names no address".to_owned());
    }
    for address in &config.server.listen {
        if !address.ip().is_loopback() && !config.server.allow_insecure {
            problem(
                "server.listen",
                format!(
                    "other machines can reach {address} and the hub speaks plain HTTP; put a \
                     proxy with TLS in front and set server.allowInsecure, or listen on 127.0.0.1"
                ),
            );
        }
    }
    if config.calls.deadline > config.calls.max_deadline {
        problem(
            "calls.deadline",
            "is longer than calls.maxDeadline".to_owned(),
        );
    }
    problems
}

fn defaults(
    user_data_dir: Option<&Path>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<&'static str, Value> {
    let mut values = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(text) = setting.default {
            match setting.kind.read_text(text) {
                Ok(value) => {
                    values.insert(setting.key, value);
                }
                Err(message) => faults.push(Fault::plain(setting.key, message)),
            }
        }
    }
    if let Some(directory) = user_data_dir {
        values.insert("dataDir", Value::String(directory.display().to_string()));
    }
    values
}

fn read_flags(
    flags: &[(String, String)],
    faults: &mut Vec<Fault>,
) -> BTreeMap<&'static str, Value> {
    let mut values: BTreeMap<&'static str, Value> = BTreeMap::new();
    for (key, text) in flags {
        let Some(setting) = settings::find(key) else {
            let hint = settings::nearest(key)
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            faults.push(Fault::plain(key, format!("unknown setting{hint}")));
            continue;
        };
        match (setting.kind.read_text(text), values.get_mut(setting.key)) {
            (Err(message), _) => faults.push(Fault::plain(setting.key, message)),
            (Ok(Value::Array(more)), Some(Value::Array(items)))
                if matches!(setting.kind, Kind::List(_)) =>
            {
                items.extend(more);
            }
            (Ok(value), _) => {
                values.insert(setting.key, value);
            }
        }
    }
    values
}

/// The content of `database.urlFile` becomes `database.url` of the same source, so that a URL of
/// a source that counts more still wins.
fn read_url_file(
    layer: &mut BTreeMap<&'static str, Value>,
    read_secret: fn(&Path) -> Result<String, SecretFileError>,
    faults: &mut Vec<Fault>,
) {
    let Some(path) = layer.get("database.urlFile").and_then(Value::as_str) else {
        return;
    };
    if layer.contains_key("database.url") {
        faults.push(Fault::plain(
            "database.urlFile",
            "database.url is set as well; leave one of them out".to_owned(),
        ));
        return;
    }
    let url = match read_secret(Path::new(path)) {
        Ok(content) => settings::find("database.url")
            .map_or(Ok(Value::String(content.clone())), |setting| {
                setting.kind.read_text(&content)
            }),
        Err(error) => Err(error.to_string()),
    };
    match url {
        Ok(url) => {
            layer.insert("database.url", url);
        }
        Err(message) => faults.push(Fault::plain("database.urlFile", message)),
    }
}

fn refuse_password_in_file(sources: &Sources, file: &FileSettings, faults: &mut Vec<Fault>) {
    let url = file.values.get("database.url").and_then(Value::as_str);
    if url.is_some_and(has_password) {
        let place = file.places.get("database.url");
        faults.push(Fault {
            file: sources.file.as_ref().map(|(path, _)| path.clone()),
            line: place.map(|(line, _)| *line),
            column: place.map(|(_, column)| *column),
            key: Some("database.url".to_owned()),
            message: "a password must not stand in the configuration file; put the URL into a \
                      file of mode 0600 and name that file in database.urlFile"
                .to_owned(),
        });
    }
}

fn placed(
    key: &str,
    message: String,
    sources: &Sources,
    places: &BTreeMap<&'static str, file::Place>,
    layers: &Layers,
) -> Fault {
    let in_file = layers
        .get(key)
        .is_some_and(|(_, source)| source == Source::File);
    let place = places.get(key).filter(|_| in_file);
    Fault {
        file: place.and(sources.file.as_ref().map(|(path, _)| path.clone())),
        line: place.map(|(line, _)| *line),
        column: place.map(|(_, column)| *column),
        key: Some(key.to_owned()),
        message,
    }
}
