//! Reads the configuration file: TOML with the place of each key and value.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::kind::{Kind, Rule};
use super::load::Fault;
use super::settings::{self, SETTINGS, Setting};

/// Line and column of a key, both counted from 1.
pub(super) type Place = (usize, usize);

/// What the file sets, in canonical form, and where.
#[derive(Debug, Default)]
pub(super) struct FileSettings {
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) places: BTreeMap<&'static str, Place>,
}

/// Reads the whole text; faults are added to `faults`, good values are kept.
pub(super) fn read(path: &Path, text: &str, faults: &mut Vec<Fault>) -> FileSettings {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        path,
        text,
        faults,
        settings: FileSettings::default(),
    };
    for error in &errors {
        reader.fault(
            error.span().unwrap_or(0..0),
            None,
            error.message().to_owned(),
        );
    }
    // A broken document yields half-read keys; complaining about those would mislead.
    if errors.is_empty() {
        reader.table("", document.get_ref());
    }
    reader.settings
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    faults: &'a mut Vec<Fault>,
    settings: FileSettings,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            self.entry(&key, name.span(), value);
        }
    }

    fn entry(&mut self, key: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        if let Some(setting) = settings::find(key) {
            self.setting(setting, span, value);
            return;
        }
        let section = format!("{key}.");
        let is_section = SETTINGS
            .iter()
            .any(|setting| setting.key.starts_with(&section));
        match (is_section, value.get_ref()) {
            (true, DeValue::Table(inner)) => self.table(key, inner),
            (true, _) => self.fault(span, Some(key), "is a section, not a setting".to_owned()),
            (false, DeValue::Table(inner)) if !inner.is_empty() => {
                // Name the settings inside, so that each gets its own hint.
                self.table(key, inner);
            }
            (false, _) => {
                let hint = settings::nearest(key)
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                self.fault(span, Some(key), format!("unknown setting{hint}"));
            }
        }
    }

    fn setting(
        &mut self,
        setting: &'static Setting,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let read = to_json(value.get_ref()).and_then(|json| setting.kind.read(&json));
        match read {
            Ok(canonical) => {
                let canonical = self.beside_the_file(setting, canonical);
                self.settings
                    .places
                    .insert(setting.key, place(self.text, span.start));
                self.settings.values.insert(setting.key, canonical);
            }
            Err(message) => self.fault(value.span(), Some(setting.key), message),
        }
    }

    /// Relative paths in the file start at the file's directory, wherever the process runs.
    fn beside_the_file(&self, setting: &Setting, value: Value) -> Value {
        match (setting.kind, &value) {
            (Kind::Text(Rule::Path), Value::String(path)) if Path::new(path).is_relative() => {
                let base = self
                    .path
                    .parent()
                    .map_or_else(PathBuf::new, Path::to_path_buf);
                Value::String(base.join(path).display().to_string())
            }
            _ => value,
        }
    }

    fn fault(&mut self, span: Range<usize>, key: Option<&str>, message: String) {
        let (line, column) = place(self.text, span.start);
        self.faults.push(Fault {
            file: Some(self.path.to_path_buf()),
            line: Some(line),
            column: Some(column),
            key: key.map(str::to_owned),
            message,
        });
    }
}

fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |start| start.chars().count())
        + 1;
    (line, column)
}

fn to_json(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| "the number is too large".to_owned()),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| format!("{} is not a number a setting can have", number.as_str())),
        DeValue::Datetime(time) => Ok(Value::String(time.to_string())),
        DeValue::Array(items) => items
            .iter()
            .map(|item| to_json(item.get_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
        DeValue::Table(table) => table
            .iter()
            .map(|(name, item)| Ok((name.get_ref().to_string(), to_json(item.get_ref())?)))
            .collect::<Result<serde_json::Map<_, _>, String>>()
            .map(Value::Object),
    }
}
