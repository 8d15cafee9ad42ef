//! The rules for texts, lists, times and notes that all domains share, each in one place.
//!
//! A rule looks at one field, named by its JSON Pointer, and gives the value as it is stored or the
//! [`Issue`] that tells what is wrong with it. [`Issues`] gathers them, so that one answer names every
//! fault of an input.

use std::time::Duration;

use alkhub_operations::issue::pointer_join;
use alkhub_operations::{CallError, ErrorCode, Issue};
use alkhub_storage::time::format as to_wire;
use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 200;
/// Longest slug of a task, in characters.
pub(crate) const MAX_TASK_SLUG: usize = 200;
/// Longest id, in characters.
const MAX_ID: usize = 128;
/// Largest `metadata` as JSON text, in bytes.
pub(crate) const MAX_METADATA: usize = 16 * 1_024;
/// Most tags of a row.
const MAX_TAGS: usize = 50;
/// Longest tag, in characters.
const MAX_TAG: usize = 64;
/// Longest window of time a query may ask for.
const MAX_DURATION: Duration = Duration::from_secs(3_660 * 86_400);

/// The faults of one input, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Issues(Vec<Issue>);

impl Issues {
    /// Notes a fault.
    pub(crate) fn add(&mut self, issue: Issue) {
        self.0.push(issue);
    }

    /// The value of a rule that held, or its fault noted.
    pub(crate) fn take<T>(&mut self, checked: Result<T, Issue>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(issue) => {
                self.add(issue);
                None
            }
        }
    }

    /// The moment an optional field names, or its fault noted.
    pub(crate) fn moment(&mut self, field: &str, text: Option<&str>) -> Option<DateTime<Utc>> {
        text.and_then(|text| self.take(time(field, text)))
    }

    /// As [`Issues::take`], for rules that find several faults.
    pub(crate) fn take_all<T>(&mut self, checked: Result<T, Vec<Issue>>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(issues) => {
                self.0.extend(issues);
                None
            }
        }
    }

    /// # Errors
    /// `VALIDATION_ERROR` with every fault noted so far, if there is one.
    pub(crate) fn finish(self) -> Result<(), CallError> {
        match self.0.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!("the input is invalid: {first}");
                Err(CallError::validation(self.0, message))
            }
        }
    }
}

/// A name: trimmed, 1 to 200 characters, no control characters.
pub(crate) fn name(field: &str, text: &str) -> Result<String, Issue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Issue::new(field, "minLength", "must not be empty"));
    }
    line(field, text, MAX_NAME)
}

/// Any text of at most `max` characters without NUL, as it is.
pub(crate) fn text(field: &str, text: &str, max: usize) -> Result<String, Issue> {
    no_nul(field, text)?;
    no_longer(field, text, max)?;
    Ok(text.to_owned())
}

/// A text of at most `max` characters on one line: no control characters.
pub(crate) fn line(field: &str, text: &str, max: usize) -> Result<String, Issue> {
    no_nul(field, text)?;
    if text.chars().any(char::is_control) {
        return Err(Issue::new(
            field,
            "control",
            "must not contain control characters",
        ));
    }
    no_longer(field, text, max)?;
    Ok(text.to_owned())
}

/// The id of a row. Whether there is such a row is another question; this refuses only what no id
/// can look like.
pub(crate) fn id(field: &str, text: &str) -> Result<String, Issue> {
    line(field, text, MAX_ID)
}

/// The slug of a task: any text of 1 to 200 characters without control characters.
pub(crate) fn task_slug(field: &str, text: &str) -> Result<String, Issue> {
    if text.is_empty() {
        return Err(Issue::new(field, "minLength", "must not be empty"));
    }
    line(field, text, MAX_TASK_SLUG)
}

/// A slug made from a name: its letters and digits in lower case, all else one hyphen.
pub(crate) fn slug_from_name(name: &str) -> String {
    // Room is left for the number that a clash adds.
    const LONGEST: usize = MAX_TASK_SLUG - 10;
    let mut slug = String::new();
    let mut length = 0;
    for character in name.chars().flat_map(char::to_lowercase) {
        if length >= LONGEST {
            break;
        }
        if character.is_alphanumeric() {
            slug.push(character);
            length += 1;
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
            length += 1;
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() {
        "task".to_owned()
    } else {
        slug
    }
}

/// An e-mail address, trimmed and in lower case: one `@` between two parts without blanks. The part
/// behind it may be a bare host, as in `hub@localhost`.
pub(crate) fn email(field: &str, text: &str) -> Result<String, Issue> {
    let email = line(field, text.trim(), 254)?.to_lowercase();
    let well_formed = email.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !host.starts_with('.')
            && !host.ends_with('.')
    });
    if well_formed && !email.contains(char::is_whitespace) {
        Ok(email)
    } else {
        Err(Issue::new(field, "email", "must be an e-mail address"))
    }
}

/// Tags: at most 50, each of 1 to 64 characters without control characters.
pub(crate) fn tags(field: &str, given: &[String]) -> Result<Vec<String>, Vec<Issue>> {
    let mut issues = Vec::new();
    if given.len() > MAX_TAGS {
        issues.push(Issue::new(
            field,
            "maxItems",
            format!("at most {MAX_TAGS} tags"),
        ));
    }
    for (index, tag) in given.iter().enumerate() {
        let path = format!("{field}/{index}");
        if tag.is_empty() {
            issues.push(Issue::new(path, "minLength", "must not be empty"));
        } else if let Err(issue) = line(&path, tag, MAX_TAG) {
            issues.push(issue);
        }
    }
    if issues.is_empty() {
        Ok(given.to_vec())
    } else {
        Err(issues)
    }
}

/// A point in time: RFC 3339 with an offset, cut to whole milliseconds.
pub(crate) fn time(field: &str, text: &str) -> Result<DateTime<Utc>, Issue> {
    let refused = || {
        let message = "must be a time of RFC 3339 with an offset, such as 2026-11-24T08:10:53.120Z";
        Issue::new(field, "date-time", message)
    };
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_not_a_time| refused())?;
    // By way of the milliseconds, because a leap second has more of them than a store can hold.
    DateTime::from_timestamp_millis(parsed.timestamp_millis())
        .filter(|time| (1..=9_999).contains(&time.year()))
        .ok_or_else(refused)
}

/// A length of time such as `7d` or `90min`, at most ten years.
pub(crate) fn duration(field: &str, text: &str) -> Result<Duration, Issue> {
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| {
            let message = "must be a length of time such as 7d, 12h or 90min, at most ten years";
            Issue::new(field, "duration", message)
        })
}

/// The notes of a row after `patch` has been merged into `current`, key by key; null removes a key.
///
/// Keys that the hub itself writes are refused and not counted; all others together may be 16 KiB as
/// JSON.
pub(crate) fn metadata_patch(
    table: &str,
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<Issue>> {
    let mut issues = Vec::new();
    let mut merged = current.clone();
    for (key, value) in patch {
        let path = pointer_join("/metadata", key);
        if written_by_hub(table).contains(&key.as_str()) {
            issues.push(Issue::new(path, "reserved", "is written by the hub alone"));
        } else if key.contains('\0') || has_nul(value) {
            issues.push(Issue::new(path, "nul", "must not contain NUL"));
        } else if value.is_null() {
            merged.remove(key);
        } else {
            merged.insert(key.clone(), value.clone());
        }
    }
    let callers = |key: &String| !written_by_hub(table).contains(&key.as_str());
    let size: usize = merged
        .iter()
        .filter(|(key, _)| callers(key))
        .map(|(key, value)| json!({ key: value }).to_string().len())
        .sum();
    if !patch.is_empty() && size > MAX_METADATA {
        let message = format!("the notes may be {MAX_METADATA} bytes as JSON");
        issues.push(Issue::new("/metadata", "maxLength", message));
    }
    if issues.is_empty() {
        Ok(merged)
    } else {
        Err(issues)
    }
}

/// Reads a field for which null means something else than absence: `Some(None)` is null.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Refuses a change of a row that is not as the caller last saw it.
///
/// # Errors
/// `STALE` with the time of the row's last change.
pub(crate) fn unchanged(
    expected: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
) -> Result<(), CallError> {
    let same = |expected: DateTime<Utc>| {
        // Hand-written rows may carry microseconds, which no caller has seen.
        expected.timestamp_millis() == updated_at.timestamp_millis()
    };
    if expected.is_none_or(same) {
        return Ok(());
    }
    Err(
        CallError::new(ErrorCode::STALE, "the row was changed since it was read")
            .with_detail("updatedAt", to_wire(updated_at)),
    )
}

/// The fields that differ between two views of one row, with their values before and after. The time
/// of the change itself is none of them.
pub(crate) fn changed_fields(
    before: &Value,
    after: &Value,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut old, mut new) = (Map::new(), Map::new());
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (old, new);
    };
    for (field, value) in after {
        let earlier = before.get(field).unwrap_or(&Value::Null);
        if field != "updatedAt" && earlier != value {
            old.insert(field.clone(), earlier.clone());
            new.insert(field.clone(), value.clone());
        }
    }
    (old, new)
}

/// The keys of `metadata` that no caller may set, by table.
fn written_by_hub(table: &str) -> &'static [&'static str] {
    match table {
        "accounts" => &["anonymisedAt"],
        "api_keys" => &["rateLimit", "lastIp", "lastUserAgent", "sessionId"],
        "audit_logs" => &["chain"],
        "projects" => &["ownerId", "archivedAt"],
        "sessions" => &[
            "retry",
            "interrupted",
            "forkedFrom",
            "spawnFailed",
            "importing",
            "role",
        ],
        "messages" => &["forkedTokens"],
        "parts" => &["notice"],
        "spokes" => &[
            "accountId",
            "instanceId",
            "connectionId",
            "limits",
            "labels",
            "drain",
            "bannedUntil",
        ],
        "operations" => &[
            "spec",
            "override",
            "builtIn",
            "specHash",
            "previousVersions",
            "pendingSpec",
            "binding",
        ],
        "roles" => &["builtIn"],
        "mappings" => &[
            "phase", "aborting", "blocked", "pending", "summary", "reason", "queued",
        ],
        "tasks" => &["unparsed", "missing", "frontmatter"],
        _ => &[],
    }
}

fn no_nul(field: &str, text: &str) -> Result<(), Issue> {
    if text.contains('\0') {
        return Err(Issue::new(field, "nul", "must not contain NUL"));
    }
    Ok(())
}

fn no_longer(field: &str, text: &str, max: usize) -> Result<(), Issue> {
    // A character is at least one byte, so most texts need no count.
    if text.len() > max && text.chars().count() > max {
        return Err(Issue::new(
            field,
            "maxLength",
            format!("must be at most {max} characters"),
        ));
    }
    Ok(())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_name_is_trimmed_and_has_1_to_200_characters() {
        assert_eq!(name("/name", "  A b \n").unwrap(), "A b");
        assert!(name("/name", &"ä".repeat(200)).is_ok());
        assert_eq!(
            name("/name", &"ä".repeat(201)).unwrap_err().rule,
            "maxLength"
        );
        assert_eq!(name("/name", " \t ").unwrap_err().rule, "minLength");
        assert_eq!(name("/name", "a\u{7}b").unwrap_err().rule, "control");
        assert_eq!(name("/name", "a\0b").unwrap_err().rule, "nul");
    }

    #[test]
    fn a_text_may_have_lines_but_no_nul() {
        assert_eq!(text("/t", "a\n\tb ", 10).unwrap(), "a\n\tb ");
        assert_eq!(text("/t", "a\0", 10).unwrap_err().rule, "nul");
        assert_eq!(text("/t", "12345678901", 10).unwrap_err().rule, "maxLength");
    }

    #[test]
    fn a_slug_is_made_of_the_letters_and_digits_of_the_name() {
        assert_eq!(slug_from_name("  Log Users -- in! "), "log-users-in");
        assert_eq!(slug_from_name("Größe 2"), "größe-2");
        assert_eq!(slug_from_name("!!!"), "task");
        assert!(slug_from_name(&"x y".repeat(300)).chars().count() <= 190);
    }

    #[test]
    fn a_slug_of_a_task_is_any_text_without_control_characters() {
        assert_eq!(task_slug("/slug", "A b/ü").unwrap(), "A b/ü");
        assert!(task_slug("/slug", "").is_err());
        assert!(task_slug("/slug", "a\nb").is_err());
        assert!(task_slug("/slug", &"x".repeat(201)).is_err());
    }

    #[test]
    fn an_address_is_trimmed_and_in_lower_case() {
        assert_eq!(
            email("/email", " Ann@Example.ORG ").unwrap(),
            "ann@example.org"
        );
        assert!(email("/email", "hub@localhost").is_ok());
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@.c", "a@c."] {
            assert_eq!(email("/email", bad).unwrap_err().rule, "email", "{bad}");
        }
    }

    #[test]
    fn tags_are_few_and_short() {
        assert_eq!(tags("/tags", &["a".to_owned()]).unwrap(), ["a"]);
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        assert_eq!(tags("/tags", &many).unwrap_err()[0].rule, "maxItems");
        let bad = [String::new(), "x".repeat(65), "a\nb".to_owned()];
        let found: Vec<String> = tags("/tags", &bad)
            .unwrap_err()
            .into_iter()
            .map(|issue| issue.path)
            .collect();
        assert_eq!(found, ["/tags/0", "/tags/1", "/tags/2"]);
    }

    #[test]
    fn a_time_needs_an_offset_and_is_cut_to_milliseconds() {
        let parsed = time("/at", "2026-11-24T09:10:53.120456+01:00").unwrap();
        assert_eq!(to_wire(parsed), "2026-11-24T08:10:53.120Z");
        assert_eq!(
            to_wire(time("/at", "2016-12-31T23:59:60Z").unwrap()),
            "2017-01-01T00:00:00.000Z"
        );
        for bad in [
            "2026-11-24T08:10:53",
            "2026-11-24",
            "soon",
            "",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(time("/at", bad).unwrap_err().rule, "date-time", "{bad}");
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_and_an_end() {
        assert_eq!(
            duration("/window", "7d").unwrap(),
            Duration::from_secs(7 * 86_400)
        );
        for bad in ["7", "", "100000d", "-1d"] {
            assert!(duration("/window", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn notes_are_merged_key_by_key_and_null_removes_one() {
        let current = object(json!({"a": 1, "b": 2, "unparsed": {"due": "soon"}}));
        let merged =
            metadata_patch("tasks", &current, &object(json!({"a": null, "c": [3]}))).unwrap();
        assert_eq!(
            json!(merged),
            json!({"b": 2, "c": [3], "unparsed": {"due": "soon"}})
        );
    }

    #[test]
    fn notes_of_the_hub_nul_and_size_are_refused_together() {
        let patch = object(json!({"missing": null, "x": {"y": ["\u{0}"]}, "files": ["a.md"]}));
        let found = metadata_patch("tasks", &Map::new(), &patch).unwrap_err();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|issue| (issue.path.as_str(), issue.rule.as_str()))
            .collect();
        assert_eq!(
            found,
            [("/metadata/missing", "reserved"), ("/metadata/x", "nul")]
        );
        let large = object(json!({"x": "y".repeat(MAX_METADATA)}));
        assert_eq!(
            metadata_patch("tasks", &Map::new(), &large).unwrap_err()[0].rule,
            "maxLength"
        );
    }

    #[test]
    fn all_faults_of_an_input_become_one_error() {
        let mut issues = Issues::default();
        assert_eq!(issues.take(name("/name", "")), None);
        assert_eq!(issues.take(time("/at", "x")), None);
        let error = issues.finish().unwrap_err();
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        assert_eq!(
            error.details.unwrap()["issues"].as_array().unwrap().len(),
            2
        );
        assert!(Issues::default().finish().is_ok());
    }

    #[test]
    fn a_row_changed_since_it_was_read_is_stale() {
        let seen = time("/at", "2026-11-24T08:10:53.120Z").unwrap();
        assert!(unchanged(None, seen).is_ok());
        assert!(unchanged(Some(seen), seen + Duration::from_micros(400)).is_ok());
        let error = unchanged(Some(seen), seen + Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.code, ErrorCode::STALE);
        assert_eq!(
            error.details.unwrap()["updatedAt"],
            "2026-11-24T08:10:53.121Z"
        );
    }

    #[test]
    fn changed_fields_name_only_what_differs() {
        let before = json!({"name": "a", "path": null, "updatedAt": 1});
        let after = json!({"name": "b", "path": null, "updatedAt": 2});
        let (old, new) = changed_fields(&before, &after);
        assert_eq!(
            (json!(old), json!(new)),
            (json!({"name": "a"}), json!({"name": "b"}))
        );
    }
}
