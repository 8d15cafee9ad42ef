//! Settings from environment variables `ALKHUB_<SECTION>_<KEY>`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kind::has_password;
use super::load::Fault;
use super::settings::SETTINGS;

/// Variables of the command line and of the project's own tests; no settings.
const OTHERS: [&str; 3] = ["ALKHUB_CONFIG", "ALKHUB_URL", "ALKHUB_KEY_FILE"];
const TEST_PREFIX: &str = "ALKHUB_TEST_";

/// Reads the variables that are settings; an unknown one only gets a warning, because the
/// environment is shared with programs we do not know.
pub(super) fn read(
    env: &[(String, String)],
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) -> BTreeMap<&'static str, Value> {
    let mut values = BTreeMap::new();
    for (variable, text) in env {
        if !variable.starts_with("ALKHUB_")
            || variable.starts_with(TEST_PREFIX)
            || OTHERS.contains(&variable.as_str())
        {
            continue;
        }
        if variable == "ALKHUB_KEY" {
            faults.push(Fault::variable(
                variable,
                None,
                "a key must not stand in the environment, where other programs can read it; \
                 put it into a file of mode 0600 and name that file in ALKHUB_KEY_FILE",
            ));
            continue;
        }
        let Some(setting) = SETTINGS
            .iter()
            .find(|setting| setting.variable() == *variable)
        else {
            warnings.push(unknown(variable));
            continue;
        };
        if !setting.env {
            warnings.push(format!(
                "{variable} is ignored: {} cannot be set by the environment, put it into the \
                 configuration file",
                setting.key
            ));
            continue;
        }
        if setting.secret && has_password(text) {
            faults.push(Fault::variable(
                variable,
                Some(setting.key),
                "a password must not stand in the environment, where other programs can read it; \
                 put the URL into a file of mode 0600 and name that file in \
                 ALKHUB_DATABASE_URL_FILE",
            ));
            continue;
        }
        match setting.kind.read_text(text) {
            Ok(value) => {
                values.insert(setting.key, value);
            }
            Err(message) => faults.push(Fault::variable(variable, Some(setting.key), &message)),
        }
    }
    values
}

fn unknown(variable: &str) -> String {
    let near = SETTINGS
        .iter()
        .filter(|setting| setting.env)
        .map(|setting| setting.variable())
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(variable, &known),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((_, known)) => format!("{variable} is no setting; did you mean {known}?"),
        None => format!("{variable} is no setting of alkhub and is ignored"),
    }
}
