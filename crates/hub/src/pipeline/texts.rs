//! What no text of an input may hold, whatever the operation.

use alkhub_operations::issue::{MOST_ISSUES, pointer_join};
use alkhub_operations::{CallError, Issue, OperationType};
use serde_json::Value;

/// Longest id, in characters.
const MAX_ID: usize = 128;

/// Refuses what no id can look like in the fields that hold ids and, in queries, NUL in any text:
/// PostgreSQL takes it for no parameter. The texts a mutation stores are checked by its handler, which
/// names every fault of the input at once.
///
/// # Errors
/// `VALIDATION_ERROR` with every such text, up to the usual number.
pub(super) fn check(kind: OperationType, input: &Value) -> Result<(), CallError> {
    let mut issues = Vec::new();
    let everywhere = kind == OperationType::Query;
    walk(
        input,
        "",
        Looks {
            everywhere,
            is_id: false,
        },
        &mut issues,
    );
    match issues.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("the input is invalid: {first}");
            Err(CallError::validation(issues, message))
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
struct Looks {
    /// Every text, or only ids.
    everywhere: bool,
    /// The value is an id, or a list of them.
    is_id: bool,
}

fn walk(value: &Value, path: &str, looks: Looks, issues: &mut Vec<Issue>) {
    let Looks { everywhere, is_id } = looks;
    if issues.len() >= MOST_ISSUES {
        return;
    }
    match value {
        Value::String(text) if (everywhere || is_id) && text.contains('\0') => {
            issues.push(Issue::new(path, "nul", "must not contain NUL"));
        }
        Value::String(text) if is_id && text.chars().any(char::is_control) => {
            issues.push(Issue::new(
                path,
                "control",
                "must not contain control characters",
            ));
        }
        Value::String(text) if is_id && text.chars().count() > MAX_ID => {
            let message = format!("must be at most {MAX_ID} characters");
            issues.push(Issue::new(path, "maxLength", message));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{path}/{index}"), looks, issues);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let here = pointer_join(path, name);
                // Only the operation's own fields: what an object inside holds is the caller's.
                let is_id = path.is_empty() && names_ids(name);
                walk(field, &here, Looks { is_id, ..looks }, issues);
            }
        }
        _ => {}
    }
}

fn names_ids(field: &str) -> bool {
    field == "id" || field == "ids" || field.ends_with("Id") || field.ends_with("Ids")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(kind: OperationType, input: &Value) -> Vec<(String, String)> {
        let Err(error) = check(kind, input) else {
            return Vec::new();
        };
        let issues = error.details.unwrap()["issues"].clone();
        let text = |issue: &Value, field: &str| issue[field].as_str().unwrap().to_owned();
        issues
            .as_array()
            .unwrap()
            .iter()
            .map(|issue| (text(issue, "path"), text(issue, "rule")))
            .collect()
    }

    #[test]
    fn nul_is_refused_in_every_text_of_a_query_and_at_every_depth() {
        let input = json!({ "name": "a\u{0}", "metadata": { "deep": ["x", "\u{0}"] } });
        let pair = |path: &str| (path.to_owned(), "nul".to_owned());
        assert_eq!(
            rules(OperationType::Query, &input),
            [pair("/metadata/deep/1"), pair("/name")]
        );
        assert!(check(OperationType::Mutation, &input).is_ok());
    }

    #[test]
    fn ids_are_short_and_without_control_characters() {
        let long = "x".repeat(129);
        let input =
            json!({ "id": long, "projectId": "a\nb", "text": "a\nb", "metadata": { "id": long } });
        let kind = OperationType::Mutation;
        let found: Vec<String> = rules(kind, &input)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(found, ["/id", "/projectId"]);
        assert!(check(kind, &json!({ "id": "x".repeat(128), "ids": ["a", "b"] })).is_ok());
    }
}
