//! Values of options that are more than a plain text.

use std::io::Read;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// A text given as it is, as `@FILE`, or as `-` for the standard input.
pub(crate) fn text(argument: &str) -> Result<String, String> {
    match argument.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|problem| format!("cannot read {path}: {problem}")),
        None if argument == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|problem| format!("cannot read the standard input: {problem}"))?;
            Ok(text)
        }
        None => Ok(argument.to_owned()),
    }
}

/// A JSON object, given like [`text`].
pub(crate) fn object(argument: &str) -> Result<Value, String> {
    let value: Value =
        serde_json::from_str(&text(argument)?).map_err(|problem| format!("no JSON: {problem}"))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err("expected a JSON object".to_owned())
    }
}

/// A point in time: RFC 3339 as it is, a day as its first moment, or a duration from now (`30d`).
pub(crate) fn moment(argument: &str) -> Result<String, String> {
    moment_or(argument, |now, away| now.checked_add(away))
}

/// As [`moment`], but a duration lies back (`30d` is 30 days ago).
pub(crate) fn past(argument: &str) -> Result<String, String> {
    moment_or(argument, |now, away| now.checked_sub(away))
}

fn moment_or(
    argument: &str,
    place: impl Fn(SystemTime, Duration) -> Option<SystemTime>,
) -> Result<String, String> {
    if humantime::parse_rfc3339(argument).is_ok() {
        return Ok(argument.to_owned());
    }
    let midnight = format!("{argument}T00:00:00.000Z");
    if humantime::parse_rfc3339(&midnight).is_ok() {
        return Ok(midnight);
    }
    let away = duration(argument).map_err(|_| {
        "expected a time (2026-11-24T08:00:00Z), a day or a duration (30d)".to_owned()
    })?;
    place(SystemTime::now(), away)
        .filter(|at| *at >= SystemTime::UNIX_EPOCH)
        .map(|at| humantime::format_rfc3339_millis(at).to_string())
        .ok_or_else(|| "that is too far away".to_owned())
}

/// A duration such as `15s` or `24h`.
pub(crate) fn duration(argument: &str) -> Result<Duration, String> {
    humantime::parse_duration(argument).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_days_or_durations() {
        assert_eq!(
            moment("2026-11-24T08:10:53Z").unwrap(),
            "2026-11-24T08:10:53Z"
        );
        assert_eq!(moment("2026-11-24").unwrap(), "2026-11-24T00:00:00.000Z");
        assert!(moment("30d").unwrap().ends_with('Z'));
        assert!(moment("soon").is_err());
        assert!(past("30d").unwrap() < moment("30d").unwrap());
        assert!(past("100000y").is_err());
    }

    #[test]
    fn objects_are_json_objects_only() {
        assert_eq!(object("{\"a\":1}").unwrap()["a"], 1);
        assert!(object("[1]").is_err());
        assert!(object("{").is_err());
    }
}
