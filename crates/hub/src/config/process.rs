//! Gathers the sources of the running process: environment, configuration file, home directory.

use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::load::Sources;

/// Why the configuration file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The file named by `--config` or `ALKHUB_CONFIG` is not there.
    #[error("there is no configuration file {}", .0.display())]
    Missing(PathBuf),
    /// The file is there and cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

impl Sources {
    /// The sources of this process. `config_file` is the file of `--config`; without it
    /// `ALKHUB_CONFIG`, then `./alkhub.toml`, the user's configuration directory and
    /// `/etc/alkhub/alkhub.toml` are looked at.
    ///
    /// # Errors
    /// A named file is missing, or a file cannot be read.
    pub fn of_process(
        flags: Vec<(String, String)>,
        config_file: Option<PathBuf>,
    ) -> Result<Sources, SourcesError> {
        let env: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = config_file.or_else(|| {
            env.iter()
                .find(|(name, value)| name == "ALKHUB_CONFIG" && !value.is_empty())
                .map(|(_, value)| PathBuf::from(value))
        });
        let file = match named {
            Some(path) => match read(&path)? {
                Some(text) => Some((path, text)),
                None => return Err(SourcesError::Missing(path)),
            },
            None => first_of_usual_places()?,
        };
        Ok(Sources {
            flags,
            env,
            file,
            user_data_dir: user_data_dir(),
            ..Sources::default()
        })
    }
}

/// `alkhub` in the user's data directory; `None` without a home directory.
pub fn user_data_dir() -> Option<PathBuf> {
    etcetera::choose_base_strategy()
        .ok()
        .map(|strategy| strategy.data_dir().join("alkhub"))
}

fn first_of_usual_places() -> Result<Option<(PathBuf, String)>, SourcesError> {
    let mut places = vec![PathBuf::from("alkhub.toml")];
    if let Ok(strategy) = etcetera::choose_base_strategy() {
        places.push(strategy.config_dir().join("alkhub").join("alkhub.toml"));
    }
    places.push(PathBuf::from("/etc/alkhub/alkhub.toml"));
    for path in places {
        if let Some(text) = read(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<String>, SourcesError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(SourcesError::Unreadable {
            path: path.to_path_buf(),
            reason,
        }),
    }
}
