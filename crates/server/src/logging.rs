//! Log lines: to standard error, for people on a terminal and as JSON elsewhere.
//!
//! Every line has `ts, level, target, msg`, the instance once it is known, and the fields of the
//! event and of the spans around it. The level can change while the process runs.

mod fields;
mod lines;
mod sampling;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use alkhub_hub::config::LogFormat;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use lines::{Form, Lines};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is neither a level nor a list of filters.
    #[error("log.level {level:?} is not a log filter: {reason}")]
    Filter {
        /// What was asked for.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another part of the process has set up logging already.
    #[error("logging is set up already")]
    Installed,
}

/// Sets up logging for the whole process, once. `level` is a level or filters by target:
/// `info,alkhub_hub=debug`.
///
/// # Errors
/// See [`LoggingError`].
pub fn init_logging(level: &str, format: LogFormat) -> Result<(), LoggingError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = Lines::new(io::stderr as fn() -> io::Stderr, form(format));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.clone())
        .try_init()
        .map_err(|_| LoggingError::Installed)?;
    INSTALLED
        .set(Installed { handle, lines })
        .map_err(|_| LoggingError::Installed)
}

/// Takes over a new level and format. Does nothing in a process whose logging is not ours.
///
/// # Errors
/// [`LoggingError::Filter`]; the former level stays.
pub(crate) fn change(level: &str, format: LogFormat) -> Result<(), LoggingError> {
    let new = filter(level)?;
    let Some(installed) = INSTALLED.get() else {
        return Ok(());
    };
    installed.lines.set_form(form(format));
    installed
        .handle
        .reload(new)
        .map_err(|error| LoggingError::Filter {
            level: level.to_owned(),
            reason: error.to_string(),
        })
}

/// Puts the name of this hub process on every line from now on; the first name stays.
pub(crate) fn name_instance(name: &str) {
    if let Some(installed) = INSTALLED.get() {
        installed.lines.name_instance(name);
    }
}

struct Installed {
    handle: reload::Handle<EnvFilter, Registry>,
    lines: Lines<fn() -> io::Stderr>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(level).map_err(|error| LoggingError::Filter {
        level: level.to_owned(),
        reason: error.to_string(),
    })
}

fn form(format: LogFormat) -> Form {
    match format {
        LogFormat::Json => Form::Json,
        LogFormat::Pretty => Form::Text {
            colour: io::stderr().is_terminal(),
        },
        LogFormat::Auto if io::stderr().is_terminal() => Form::Text { colour: true },
        LogFormat::Auto => Form::Json,
    }
}
