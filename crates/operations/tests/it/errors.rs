//! Codes, statuses, and what becomes of a handler's error.

use std::sync::{Arc, Mutex};

use alkhub_operations::error::{ForeignOutcome, map_foreign_error, map_handler_error};
use alkhub_operations::{
    CallError, ErrorCode, ErrorDefinition, OperationSpec, Provider, ProviderKind, SpecOwner,
};
use serde_json::{Value, json};

use crate::support::{anonymous, query, registry, schema, spec};

fn declared(code: &str, http_status: Option<u16>, details: Value) -> ErrorDefinition {
    ErrorDefinition {
        code: ErrorCode::other(code),
        description: String::new(),
        schema: schema(details),
        http_status,
    }
}

fn spoke() -> Provider {
    Provider {
        kind: ProviderKind::Spoke,
        id: "build1".into(),
    }
}

fn from_spoke(error: CallError, declared: &[ErrorDefinition]) -> CallError {
    match map_foreign_error(error, declared, &spoke(), false).outcome {
        ForeignOutcome::Answer(error) => error,
        ForeignOutcome::NotOffered => panic!("not offered"),
    }
}

fn spec_with_errors(owner: SpecOwner, codes: &[&str]) -> Result<OperationSpec, Vec<String>> {
    let mut json = serde_json::to_value(spec("a.op", "query")).unwrap();
    json["errorSchemas"] = codes
        .iter()
        .map(|code| json!({ "code": code, "schema": {} }))
        .collect();
    OperationSpec::from_json(&json, owner)
        .map_err(|error| error.issues.into_iter().map(|issue| issue.rule).collect())
}

#[test]
fn case_092_without_details_there_is_no_such_member() {
    let json = serde_json::to_value(CallError::new(ErrorCode::STALE, "old")).unwrap();
    assert_eq!(json, json!({ "code": "STALE", "message": "old" }));
    let read: CallError = serde_json::from_value(json!({ "code": "X_Y", "message": "m" })).unwrap();
    assert_eq!(read, CallError::new(ErrorCode::other("X_Y"), "m"));
}

#[test]
fn case_093_the_seven_codes_and_every_status() {
    let library: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| code.is_library())
        .map(ErrorCode::as_str)
        .collect();
    assert_eq!(
        library,
        [
            "OPERATION_NOT_FOUND",
            "ACCESS_DENIED",
            "VALIDATION_ERROR",
            "TIMEOUT",
            "ABORTED",
            "EXECUTION_ERROR",
            "UNKNOWN_ERROR",
        ]
    );
    for (code, status) in [
        ("OPERATION_NOT_FOUND", 404),
        ("ACCESS_DENIED", 403),
        ("VALIDATION_ERROR", 400),
        ("TIMEOUT", 504),
        ("ABORTED", 409),
        ("EXECUTION_ERROR", 500),
        ("UNKNOWN_ERROR", 500),
        ("UNAUTHENTICATED", 401),
        ("ACCOUNT_INACTIVE", 403),
        ("NOT_FOUND", 404),
        ("CONFLICT", 409),
        ("FORBIDDEN", 403),
        ("STALE", 409),
        ("IN_USE", 409),
        ("PAYLOAD_TOO_LARGE", 413),
        ("UNPROCESSABLE", 422),
        ("RATE_LIMITED", 429),
        ("BUDGET_EXCEEDED", 402),
        ("NO_PROVIDER", 503),
        ("PROVIDER_LOST", 502),
        ("INTERRUPTED", 500),
        ("RECORD_FAILED", 500),
        ("OUTPUT_INVALID", 502),
        ("UNAVAILABLE", 503),
        ("UNSUPPORTED", 501),
    ] {
        let code = ErrorCode::other(code);
        assert!(ErrorCode::ALL.contains(&code), "{code}");
        assert_eq!(code.http_status(), status, "{code}");
    }
    assert_eq!(ErrorCode::ALL.len(), 25);
    let retryable: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| code.retryable())
        .collect();
    assert_eq!(
        retryable,
        [
            &ErrorCode::RATE_LIMITED,
            &ErrorCode::NO_PROVIDER,
            &ErrorCode::UNAVAILABLE
        ]
    );
}

#[tokio::test]
async fn case_094_a_declared_error_passes_with_its_status() {
    let mut operation = query("a.op", |_, _| async {
        Err(CallError::new(
            ErrorCode::other("NOT_FOUND_ITEM"),
            "no item",
        ))
    });
    operation.spec.error_schemas = vec![declared("NOT_FOUND_ITEM", Some(404), json!({}))];
    let error = registry([operation])
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.http_status()),
        ("NOT_FOUND_ITEM", 404)
    );
}

#[test]
fn case_095_a_declaration_without_status_takes_that_of_the_code() {
    for (code, status) in [("NO_MATCH", 422), ("NOT_FOUND", 404)] {
        let error = CallError::new(ErrorCode::other(code), "nothing");
        let error = map_handler_error(error, &[declared(code, None, json!({}))]);
        assert_eq!((error.code.as_str(), error.http_status()), (code, status));
    }
}

#[test]
fn case_096_an_undeclared_code_of_a_spoke_is_an_execution_error() {
    let error = from_spoke(CallError::new(ErrorCode::other("FOO"), "bar"), &[]);
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(
        error.details,
        Some(json!({
            "provider": { "type": "spoke", "id": "build1", "code": "FOO", "message": "bar" },
        }))
    );
    assert_eq!(error.http_status(), 502);
}

#[test]
fn case_097_a_spoke_cannot_speak_for_the_hub() {
    for code in ErrorCode::ALL.iter().filter(|code| code.is_hub_only()) {
        // Not even by declaring it.
        let declared = [declared(code.as_str(), Some(401), json!({}))];
        let error = from_spoke(CallError::new(code.clone(), "x"), &declared);
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR, "{code}");
        assert_eq!(error.http_status(), 502, "{code}");
    }
}

#[test]
fn case_098_a_denial_of_a_spoke_is_marked_as_its_own() {
    for code in [
        "ACCESS_DENIED",
        "VALIDATION_ERROR",
        "TIMEOUT",
        "EXECUTION_ERROR",
        "UNKNOWN_ERROR",
    ] {
        let sent = CallError::new(ErrorCode::other(code), "no").with_details(json!({ "a": 1 }));
        let error = from_spoke(sent, &[]);
        assert_eq!(error.code, code);
        assert_eq!(
            error.details,
            Some(json!({ "a": 1, "provider": { "type": "spoke", "id": "build1" } }))
        );
    }
}

#[test]
fn case_099_operation_not_found_of_a_spoke_asks_for_the_next_provider() {
    let mapped = map_foreign_error(CallError::operation_not_found("a.op"), &[], &spoke(), false);
    assert_eq!(mapped.outcome, ForeignOutcome::NotOffered);
}

#[test]
fn an_abort_of_a_spoke_counts_only_when_it_was_asked_for() {
    let aborted = || CallError::new(ErrorCode::ABORTED, "stopped");
    let asked = map_foreign_error(aborted(), &[], &spoke(), true);
    assert_eq!(asked.outcome, ForeignOutcome::Answer(aborted()));
    let unasked = from_spoke(aborted(), &[]);
    assert_eq!(unasked.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(unasked.details.unwrap()["provider"]["code"], "ABORTED");
}

#[test]
fn case_100_details_that_break_their_schema_are_dropped() {
    let strict = [declared(
        "NO_FILE",
        None,
        json!({ "type": "object", "required": ["path"] }),
    )];
    let sent =
        || CallError::new(ErrorCode::other("NO_FILE"), "gone").with_details(json!({ "x": 1 }));
    let own = map_handler_error(sent(), &strict);
    assert_eq!(own, CallError::new(ErrorCode::other("NO_FILE"), "gone"));
    let mapped = map_foreign_error(sent(), &strict, &spoke(), false);
    assert!(mapped.details_dropped);
    assert_eq!(mapped.outcome, ForeignOutcome::Answer(own));
    let fitting = sent().with_details(json!({ "path": "a" }));
    assert!(!map_foreign_error(fitting, &strict, &spoke(), false).details_dropped);
}

#[test]
fn case_101_codes_are_not_searched_for_in_messages() {
    let thrown = CallError::new(ErrorCode::EXECUTION_ERROR, "ITEM_NOT_FOUND: nope");
    let error = map_handler_error(thrown.clone(), &[declared("NOT_FOUND", None, json!({}))]);
    assert_eq!(error, thrown);
}

#[test]
fn case_102_an_old_style_text_changes_nothing() {
    let thrown = CallError::new(ErrorCode::EXECUTION_ERROR, "NOT_FOUND: x");
    let error = from_spoke(thrown, &[declared("NOT_FOUND", None, json!({}))]);
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(error.message, "NOT_FOUND: x");
}

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("reading the plan failed")]
struct PlanError(#[source] std::io::Error);

#[test]
fn case_103_an_unforeseen_error_is_only_in_the_log() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone())
        .finish();
    let error = tracing::subscriber::with_default(subscriber, || {
        CallError::internal(&PlanError(std::io::Error::other("disk on fire")))
    });
    assert_eq!(error.code, ErrorCode::UNKNOWN_ERROR);
    assert!(!serde_json::to_string(&error).unwrap().contains("plan"));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("reading the plan failed: disk on fire"),
        "{text}"
    );
    let error_id = error.details.unwrap()["errorId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains(&error_id), "{text}");
}

#[tokio::test]
async fn case_104_large_details_become_the_marker() {
    let operation = query("a.op", |_, _| async {
        Err(
            CallError::conflict("x", format!("bell\u{7} {}", "m".repeat(10_000)))
                .with_detail("large", "x".repeat(1024 * 1024)),
        )
    });
    let mut long = operation.clone();
    long.spec.name = "long".parse().unwrap();
    long.details_limit = alkhub_operations::error::IMPORT_DETAILS_LIMIT;
    let registry = registry([operation, long]);
    let error = registry
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    let details = error.details.unwrap();
    assert_eq!(details["$truncated"], true);
    assert!(details["bytes"].as_u64().unwrap() > 1024 * 1024);
    assert_eq!(details["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(details["preview"].as_str().unwrap().chars().count(), 1024);
    assert!(error.message.starts_with("bell mmm") && error.message.len() == 4 * 1024);

    let whole = registry
        .execute("a.long", None, anonymous())
        .await
        .unwrap_err();
    assert!(whole.details.unwrap().get("$truncated").is_none());
}

#[test]
fn case_105_reserved_and_repeated_codes_are_refused() {
    for owner in [SpecOwner::Host, SpecOwner::Foreign] {
        assert_eq!(
            spec_with_errors(owner, &["TIMEOUT"]).unwrap_err(),
            ["reserved_code"]
        );
        assert_eq!(
            spec_with_errors(owner, &["FOO", "FOO"]).unwrap_err(),
            ["uniqueItems"]
        );
        assert_eq!(spec_with_errors(owner, &["foo"]).unwrap_err(), ["pattern"]);
        assert!(spec_with_errors(owner, &["NOT_FOUND", "CONFLICT", "FOO"]).is_ok());
    }
    for code in [
        "UNAUTHENTICATED",
        "ACCOUNT_INACTIVE",
        "RATE_LIMITED",
        "BUDGET_EXCEEDED",
        "NO_PROVIDER",
        "PROVIDER_LOST",
        "INTERRUPTED",
        "OUTPUT_INVALID",
        "UNAVAILABLE",
    ] {
        assert_eq!(
            spec_with_errors(SpecOwner::Foreign, &[code]).unwrap_err(),
            ["reserved_code"]
        );
        assert!(spec_with_errors(SpecOwner::Host, &[code]).is_ok(), "{code}");
    }
}

#[test]
fn own_handlers_may_use_every_known_code_and_no_other() {
    let passes = |error: CallError| map_handler_error(error.clone(), &[]) == error;
    assert!(passes(CallError::not_found("gone")));
    assert!(passes(CallError::conflict("slug_taken", "taken")));
    assert!(passes(CallError::new(ErrorCode::RATE_LIMITED, "slow down")));
    for faulty in [
        CallError::operation_not_found("a.b"),
        CallError::new("FOO_BAR".into(), "x"),
    ] {
        let error = map_handler_error(faulty, &[]);
        assert_eq!(error.code, ErrorCode::UNKNOWN_ERROR);
        assert!(error.details.unwrap()["errorId"].is_string());
    }
}

#[test]
fn details_of_any_form_can_be_added_to() {
    let error = CallError::new(ErrorCode::CONFLICT, "x").with_details(json!([1]));
    let details = error.with_detail("rule", "y").details.unwrap();
    assert_eq!(details, json!({ "rule": "y", "value": [1] }));
}
