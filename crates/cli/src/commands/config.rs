//! `alkhub config`: settings of this machine's hub, and of a running one.

use std::io::Write;
use std::path::PathBuf;

use alkhub_hub::config::{self as settings, Loaded, SettingValue, Sources};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::{View, column};

/// See, check and change settings
///
/// `get` and `set` ask a running hub; the others work on the files and the environment of this
/// machine.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub config show --sources")]
pub(crate) enum Config {
    /// Show the settings a hub started here would have
    ///
    /// Flags count more than the environment, that more than the file, that more than the default.
    #[command(after_help = "Example:\n  alkhub config show --sources --config ./alkhub.toml")]
    Show(Show),
    /// Look for mistakes in the settings
    ///
    /// Names all of them with their place; ends with 2 when there are any.
    #[command(after_help = "Example:\n  alkhub config check --config ./alkhub.toml")]
    Check,
    /// Print the JSON Schema of the configuration file
    ///
    /// For editors that complete and check TOML.
    #[command(after_help = "Example:\n  alkhub config schema > alkhub.schema.json")]
    Schema,
    /// Print the page about all settings as Markdown
    ///
    /// What each setting does, its values and its default.
    #[command(after_help = "Example:\n  alkhub config reference > configuration.md")]
    Reference,
    /// Write a configuration file with every setting, commented out
    ///
    /// An existing file is not overwritten.
    #[command(after_help = "Example:\n  alkhub config init ./alkhub.toml")]
    Init(Init),
    /// Show a setting of the running hub
    ///
    /// All of them without a key.
    #[command(after_help = "Example:\n  alkhub config get limits.rate")]
    Get(Get),
    /// Change a live setting of the running hub
    ///
    /// It counts at once and is kept over restarts. Others need the file and a restart.
    #[command(after_help = "Example:\n  alkhub config set limits.rate 500")]
    Set(Set),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Say where each value comes from
    #[arg(long)]
    sources: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file to write; - prints it
    #[arg(default_value = "alkhub.toml")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Name of the setting, such as limits.rate
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Name of the setting, such as limits.rate
    key: String,
    /// The value: a number, true, false, a text such as 15s, or a JSON list
    value: String,
}

/// Settings of the command line: the global options and those of the command.
pub(super) fn load(global: &Global, more: Vec<(String, String)>) -> Result<Loaded, Failure> {
    let mut flags = Vec::new();
    if let Some(directory) = &global.data_dir {
        flags.push(("dataDir".to_owned(), directory.display().to_string()));
    }
    flags.extend(more);
    let sources = Sources::of_process(flags, global.config.clone())
        .map_err(|problem| Failure::Usage(problem.to_string()))?;
    settings::load(sources).map_err(Failure::Settings)
}

impl Config {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        match self {
            Config::Show(show) => show.run(global, output),
            Config::Check => check(global, output),
            Config::Schema => output.document(&settings::schema()),
            Config::Reference => output.text(&settings::reference()),
            Config::Init(init) => init.run(output),
            Config::Get(get) => {
                let plan = Plan::new("config.get", &json!({"key": get.key}), &SETTINGS)?;
                super::call(plan, global, output)
            }
            Config::Set(set) => {
                let value = serde_json::from_str(&set.value)
                    .unwrap_or_else(|_| Value::String(set.value.clone()));
                let input = json!({"key": set.key, "value": value});
                super::call(Plan::new("config.set", &input, &CHANGED)?, global, output)
            }
        }
    }
}

const SETTINGS: View = View::Sentence(|data| {
    let rows = data.as_object().into_iter().flatten();
    rows.map(|(key, setting)| {
        let value = setting.get("value").unwrap_or(&Value::Null);
        format!("{key} = {}", shown(key, value))
    })
    .collect::<Vec<_>>()
    .join("\n")
});

const CHANGED: View = View::Record {
    at: "",
    fields: &[
        column("Value", "/value"),
        column("From", "/source"),
        column("Default", "/default"),
    ],
};

impl Show {
    fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let loaded = load(global, Vec::new())?;
        warn(&loaded, output)?;
        let all = loaded.config.get(None);
        if output.json {
            let document = serde_json::to_value(&all)
                .map_err(|problem| Failure::Local(problem.to_string()))?;
            return output.document(&document);
        }
        let mut text = String::new();
        for (key, SettingValue { value, source, .. }) in &all {
            let mut line = format!("{key} = {}", shown(key, value));
            if self.sources {
                line = format!("{line:<56}  # {source}");
            }
            text.push_str(&line);
            text.push('\n');
        }
        output.text(&text)
    }
}

fn check(global: &Global, output: &Output) -> Result<(), Failure> {
    let loaded = load(global, Vec::new())?;
    if output.json {
        return output.document(&json!({"ok": true, "warnings": loaded.warnings}));
    }
    warn(&loaded, output)?;
    output.text("the settings are good\n")
}

impl Init {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let text = settings::template();
        if self.file.as_os_str() == "-" {
            return output.text(&text);
        }
        let shown = self.file.display();
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|problem| Failure::Local(format!("cannot write {shown}: {problem}")))?;
        if output.json {
            return output.document(&json!({"file": shown.to_string()}));
        }
        output.text(&format!("{shown}\n"))
    }
}

/// Tells the warnings of the settings.
pub(super) fn warn(loaded: &Loaded, output: &Output) -> Result<(), Failure> {
    loaded
        .warnings
        .iter()
        .try_for_each(|warning| output.warning(warning))
}

fn shown(key: &str, value: &Value) -> String {
    let text = settings::find(key).map(|setting| setting.kind.show(value));
    match (value, text) {
        (Value::Null, _) => "(none)".to_owned(),
        (Value::Array(items), _) if items.is_empty() => "(none)".to_owned(),
        (_, Some(text)) => text,
        (other, None) => other.to_string(),
    }
}
