//! Finds the hub and the key: options, environment, then what the running hub left in its data
//! directory.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use alkhub_hub::config::{self, SecretFileError, Sources, read_secret_file};
use secrecy::SecretString;
use serde::Deserialize;

use crate::args::Global;
use crate::failure::Failure;

/// What the running hub writes to `<data dir>/hub.json`.
#[derive(Debug, Deserialize)]
struct Announced {
    url: String,
    pid: u32,
}

/// A hub's address and how it was found.
#[derive(Debug)]
pub(crate) struct Located {
    /// Without a slash at the end.
    pub(crate) url: String,
    /// Process id of the hub that announced the address; `None` when the user named it.
    pub(crate) announced_by: Option<u32>,
}

/// Refuses a key in the environment, whatever the command.
pub(crate) fn refuse_key_in_environment() -> Result<(), Failure> {
    if std::env::var_os("ALKHUB_KEY").is_some() {
        return Err(Failure::Usage(
            "ALKHUB_KEY is set: a key must not stand in the environment, where other programs \
             can read it. Put it into a file of mode 0600 and name that file in ALKHUB_KEY_FILE \
             or with --key-file"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The data directory: `--data-dir`, `ALKHUB_DATA_DIR`, the configuration file, the default.
pub(crate) fn data_dir(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(directory) = &global.data_dir {
        return Ok(directory.clone());
    }
    let sources = Sources::of_process(Vec::new(), global.config.clone())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let loaded = config::load(sources).map_err(Failure::Settings)?;
    Ok(loaded.config.current().data_dir.clone())
}

/// The hub to call.
pub(crate) fn hub(global: &Global) -> Result<Located, Failure> {
    if let Some(url) = named(global.url.clone(), "ALKHUB_URL") {
        return Ok(Located {
            url: check_url(&url)?,
            announced_by: None,
        });
    }
    let directory = data_dir(global)?;
    match announced(&directory)? {
        Some(hub) => Ok(Located {
            url: check_url(&hub.url)?,
            announced_by: Some(hub.pid),
        }),
        None => Err(no_hub(&directory)),
    }
}

/// The key for this hub; `None` when no file is named and the data directory has none.
///
/// The local key goes to a hub of this machine only: an address somebody talked the user into must
/// not get it.
pub(crate) fn key(global: &Global, hub: &Located) -> Result<Option<SecretString>, Failure> {
    let named = global
        .key_file
        .clone()
        .or_else(|| named(None, "ALKHUB_KEY_FILE").map(PathBuf::from));
    if let Some(path) = named {
        return read_secret_file(&path)
            .map(|key| Some(SecretString::from(key)))
            .map_err(|error| Failure::NoKey(error.to_string()));
    }
    if hub.announced_by.is_none() && !is_loopback(&hub.url) {
        return Ok(None);
    }
    let path = data_dir(global)?.join("local-key");
    match read_secret_file(&path) {
        Ok(key) => Ok(Some(SecretString::from(key))),
        Err(SecretFileError::Unreadable { reason, .. })
            if reason.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::NoKey(error.to_string())),
    }
}

/// What the hub on this data directory announced; `None` when none runs.
fn announced(directory: &Path) -> Result<Option<Announced>, Failure> {
    let path = directory.join("hub.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(problem) => {
            return Err(Failure::Local(format!(
                "cannot read {}: {problem}",
                path.display()
            )));
        }
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|problem| Failure::Local(format!("{} is damaged: {problem}", path.display())))
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn no_hub(directory: &Path) -> Failure {
    Failure::NoHub(format!(
        "no hub runs on {}; start one with `alkhub serve`, or name another with --url",
        directory.display()
    ))
}

fn named(option: Option<String>, variable: &str) -> Option<String> {
    option
        .or_else(|| std::env::var(variable).ok())
        .filter(|value| !value.is_empty())
}

fn check_url(text: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{text:?} is no address of a hub: {why}"));
    let url = reqwest::Url::parse(text)
        .map_err(|_| wrong("expected something like http://127.0.0.1:4848"))?;
    if url.scheme() != "http" {
        return Err(wrong(
            "this command line speaks http only; reach a hub behind TLS through a tunnel",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::Usage(
            "the address of a hub carries no user and no password; the key goes into a file, see \
             --key-file"
                .to_owned(),
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_key_is_for_this_machine() {
        for own in [
            "http://127.0.0.1:4848",
            "http://localhost:1",
            "http://[::1]:4848",
        ] {
            assert!(is_loopback(own), "{own}");
        }
        for other in [
            "http://hub.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1:4848",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
