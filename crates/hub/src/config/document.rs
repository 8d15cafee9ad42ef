//! What the table of settings says to editors and readers: schema, annotated file, page.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::kind::{Kind, Rule};
use super::settings::{SETTINGS, Setting};

/// JSON Schema (draft 2020-12) of the configuration file.
pub fn schema() -> Value {
    let mut root = Map::new();
    for setting in SETTINGS {
        let mut properties = &mut root;
        let mut segments = setting.key.split('.').peekable();
        while let Some(segment) = segments.next() {
            if segments.peek().is_none() {
                properties.insert(segment.to_owned(), setting_schema(setting));
                break;
            }
            let section = properties.entry(segment.to_owned()).or_insert_with(
                || json!({"type": "object", "additionalProperties": false, "properties": {}}),
            );
            let Some(Value::Object(inner)) = section.get_mut("properties") else {
                break;
            };
            properties = inner;
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "alkhub configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": root,
    })
}

/// A configuration file with every setting, all of them commented out.
pub fn template() -> String {
    let mut text = String::from(
        "# Configuration of alkhub. Every line is commented out and shows the default;\n\
         # take the `#` away to change one. `alkhub config check` finds mistakes.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            let _infallible = writeln!(text, "\n[{section}]");
        }
        let value = setting
            .default
            .and_then(|default| setting.kind.read_text(default).ok())
            .map_or_else(
                || "\"\"".to_owned(),
                |value| toml_text(&setting.kind, &value),
            );
        let _infallible = writeln!(
            text,
            "\n# {}\n# {}{}\n#{name} = {value}",
            setting.meaning,
            capital(&setting.kind.describe().replace('`', "")),
            if setting.default.is_none() {
                format!("; without it: {}", setting.without)
            } else {
                String::new()
            },
        );
    }
    text
}

/// The page `docs/configuration.md`, whole: what holds for all settings, then one row a setting.
pub fn reference() -> String {
    let mut text = String::from(PAGE_HEAD);
    for setting in SETTINGS {
        let default = match setting.default {
            Some("") => "none".to_owned(),
            Some(default) => format!("`{default}`"),
            None => setting.without.to_owned(),
        };
        let variable = if setting.env {
            format!("`{}`", setting.variable())
        } else {
            "—".to_owned()
        };
        let _infallible = writeln!(
            text,
            "| `{}` | {} | {default} | {variable} | {} | {} |",
            setting.key,
            setting.kind.describe(),
            if setting.live { "live" } else { "restart" },
            setting.meaning,
        );
    }
    text
}

const PAGE_HEAD: &str = "\
# Configuration

Nothing has to be configured. This page is made from the table of settings in
`crates/hub/src/config/settings.rs` by `alkhub config reference`.

## Where settings come from

In this order; the first that says something wins:

1. the command line: `alkhub serve --listen ADDRESS`, or any setting with `--set KEY=VALUE`;
2. the environment: `ALKHUB_`, then the name of the setting in upper case with `_` for each dot and
   before each capital, for the settings that have a variable in the table below. An unknown
   `ALKHUB_` variable is a warning;
3. live settings: `alkhub config set KEY VALUE` on a running hub, kept in its database, for the
   settings that say *live* below;
4. the configuration file: TOML, the first of `--config FILE`, the file `ALKHUB_CONFIG` names,
   `./alkhub.toml`, `alkhub/alkhub.toml` in the user's configuration directory, and
   `/etc/alkhub/alkhub.toml`;
5. the default.

`alkhub config show --sources` shows what is in force and where from, `alkhub config check` names
every mistake at once with file, line and column, `alkhub config init` writes a file with every
setting commented out, and `alkhub config schema` prints a JSON Schema for editors. A faulty
configuration ends the start with exit code 2; nothing is guessed.

Durations are a number of milliseconds or a text (`\"15s\"`, `\"24h\"`), sizes a number of bytes or a
text (`\"16MiB\"`). In flags and variables a list is separated by commas.

```toml
[server]
listen = [\"127.0.0.1:4848\"]
bodyLimit = \"8MiB\"

[limits]
rate = 500
```

## Secrets

No secret stands in the file or in the environment, where other programs can read it. A database
URL with a password goes into a file of mode 0600 that `database.urlFile` names; a wider mode is
refused, except on a read-only mount. The command line takes its key from `--key-file`, from the
file that `ALKHUB_KEY_FILE` names, or from `local-key` in the data directory, never from a
variable.

## Settings

| key | type | default | environment | change | meaning |
| --- | --- | --- | --- | --- | --- |
";

fn setting_schema(setting: &Setting) -> Value {
    let mut schema = match setting.kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Duration { min, max } | Kind::Size { min, max } => json!({
            "anyOf": [
                {"type": "integer", "minimum": min, "maximum": max},
                {"type": "string", "minLength": 1},
            ],
        }),
        Kind::Text(rule) => text_schema(rule),
        Kind::List(rule) => json!({"type": "array", "items": text_schema(rule)}),
    };
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), Value::from(setting.meaning));
        if let Some(Ok(default)) = setting.default.map(|text| setting.kind.read_text(text)) {
            fields.insert("default".to_owned(), default);
        }
        if setting.live {
            fields.insert("x-live".to_owned(), Value::Bool(true));
        }
        if setting.env {
            fields.insert("x-env".to_owned(), Value::String(setting.variable()));
        }
    }
    schema
}

fn text_schema(rule: Rule) -> Value {
    match rule {
        Rule::Choice(words) => json!({"type": "string", "enum": words}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

/// TOML basic strings escape as JSON does, and arrays of strings are written alike.
fn toml_text(kind: &Kind, value: &Value) -> String {
    match kind {
        Kind::Duration { .. } | Kind::Size { .. } => Value::String(kind.show(value)).to_string(),
        _ => value.to_string(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
