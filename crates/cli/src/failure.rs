//! Everything that can go wrong in the command line, how it is told and with which exit code.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use alkhub_hub::config::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::output::Output;

/// An error as the hub tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Value>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The hub refused or failed the call.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// No hub answers.
    #[error("{0}")]
    NoHub(String),
    /// There is no key to send.
    #[error("{0}")]
    NoKey(String),
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The settings have faults.
    #[error("the settings have {} fault{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Settings(Vec<Fault>),
    /// Files of a directory cannot be used; each has its own reason.
    #[error("{summary}")]
    Files {
        /// One sentence about all of them.
        summary: String,
        /// (path, reason), in the order of the directory.
        files: Vec<(String, String)>,
    },
    /// A step of the start failed.
    #[error("{message}")]
    Start {
        /// Step, reason and remedy.
        message: String,
        /// 1–7, by the step.
        exit_code: u8,
    },
    /// Something of this machine: a file, a directory, the system.
    #[error("{0}")]
    Local(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Tells the failure on stderr and answers the exit code. A closed pipe is no failure: who
    /// reads the output (`head`) has seen enough.
    pub(crate) fn exit(self, output: Option<&Output>) -> ExitCode {
        if let Failure::Output(problem) = &self
            && problem.kind() == io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        let as_json = output.is_some_and(|output| output.json);
        let text = if as_json {
            format!("{}\n", json!(self.refusal()))
        } else {
            self.text()
        };
        let told = anstream::stderr().write_all(text.as_bytes());
        match told {
            Ok(()) => ExitCode::from(self.code()),
            // With stderr gone, the exit code is all that is left to say.
            Err(_) => ExitCode::from(self.code().max(1)),
        }
    }

    /// All of it in one line, for a log.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Failure::Settings(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                faults.join("; ")
            }
            other => other.to_string(),
        }
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Settings(_) => 2,
            Failure::Start { exit_code, .. } => *exit_code,
            _ => 1,
        }
    }

    fn refusal(&self) -> Refusal {
        let (code, details) = match self {
            Failure::Refused(refusal) => return refusal.clone(),
            Failure::NoHub(_) => ("UNAVAILABLE", None),
            Failure::NoKey(_) => ("UNAUTHENTICATED", None),
            Failure::Usage(_) => ("VALIDATION_ERROR", None),
            Failure::Settings(faults) => (
                "VALIDATION_ERROR",
                Some(json!({"faults": faults.iter().map(fault_json).collect::<Vec<_>>()})),
            ),
            Failure::Files { files, .. } => (
                "VALIDATION_ERROR",
                Some(json!({"files": files
                    .iter()
                    .map(|(path, message)| json!({"path": path, "message": message}))
                    .collect::<Vec<_>>()})),
            ),
            Failure::Start { .. } | Failure::Local(_) | Failure::Output(_) => {
                ("EXECUTION_ERROR", None)
            }
        };
        Refusal {
            code: code.to_owned(),
            message: self.to_string(),
            details,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{ERROR}error:{PLAIN} {}\n", visible(&self.to_string()));
        match self {
            Failure::Refused(refusal) => details_text(&mut text, refusal),
            Failure::Settings(faults) => {
                for fault in faults {
                    line(&mut text, &fault.to_string());
                }
            }
            Failure::Files { files, .. } => {
                for (path, reason) in files {
                    line(&mut text, &format!("{path}: {reason}"));
                }
            }
            _ => {}
        }
        text
    }
}

const ERROR: &str = "\u{1b}[1;31m";
const PLAIN: &str = "\u{1b}[0m";

/// The text without control characters, so that nothing a hub sends can steer the terminal.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

fn line(text: &mut String, sentence: &str) {
    let _infallible = writeln!(text, "  {}", visible(sentence));
}

/// The parts of `details` a person can act on; all of it is in the JSON form.
fn details_text(text: &mut String, refusal: &Refusal) {
    let details = refusal.details.as_ref().unwrap_or(&Value::Null);
    let list = |name: &str| {
        details
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let word = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    for issue in list("issues") {
        let path = word(issue, "path");
        let message = word(issue, "message");
        if path.is_empty() {
            line(text, &message);
        } else {
            line(text, &format!("{path}: {message}"));
        }
    }
    for file in list("files") {
        let place = match file.get("line").and_then(Value::as_u64) {
            Some(number) => format!("{}:{number}", word(file, "path")),
            None => word(file, "path"),
        };
        let field = word(file, "field");
        let message = word(file, "message");
        if field.is_empty() {
            line(text, &format!("{place}: {message}"));
        } else {
            line(text, &format!("{place}: {field}: {message}"));
        }
    }
    let missing: Vec<&str> = list("missing").filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        line(text, &format!("missing: {}", missing.join(", ")));
    }
    for cycle in list("cycles").filter_map(Value::as_array) {
        let steps: Vec<&str> = cycle.iter().filter_map(Value::as_str).collect();
        line(text, &format!("circle: {}", steps.join(" → ")));
    }
    if let Some(by) = details.get("by").and_then(Value::as_object) {
        let held: Vec<String> = by
            .iter()
            .map(|(table, count)| format!("{count} {table}"))
            .collect();
        line(text, &format!("held by {}", held.join(", ")));
    }
    if let Some(id) = details.get("errorId").and_then(Value::as_str) {
        line(text, &format!("the hub's log has it under {id}"));
    }
    let rule = details.get("rule").and_then(Value::as_str);
    match rule {
        Some(rule) => line(text, &format!("code: {} ({rule})", refusal.code)),
        None => line(text, &format!("code: {}", refusal.code)),
    }
}

fn fault_json(fault: &Fault) -> Value {
    json!({
        "file": fault.file.as_ref().map(|path| path.display().to_string()),
        "line": fault.line,
        "column": fault.column,
        "key": fault.key,
        "message": fault.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_hub_do_not_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\tc\n"), "a\u{fffd}[2Jb\tc\n");
    }

    #[test]
    fn faulty_files_are_told_with_field_and_line() {
        let failure = Failure::Refused(Refusal {
            code: "VALIDATION_ERROR".to_owned(),
            message: "two files have faults".to_owned(),
            details: Some(json!({"files": [
                {"path": "a.md", "field": "status", "line": 3, "message": "unknown status"},
                {"path": "b.md", "message": "no id"},
            ]})),
        });
        let text = failure.text();
        assert!(
            text.contains("  a.md:3: status: unknown status\n"),
            "{text}"
        );
        assert!(text.contains("  b.md: no id\n"), "{text}");
    }

    #[test]
    fn wrong_use_and_bad_settings_end_with_2() {
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(Failure::Settings(Vec::new()).code(), 2);
        assert_eq!(Failure::NoHub(String::new()).code(), 1);
    }
}
