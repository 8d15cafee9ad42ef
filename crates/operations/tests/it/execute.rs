//! The whole way of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alkhub_operations::{
    AccessControl, CallError, Empty, Envelope, ErrorCode, Operation, OperationType, Reply, Source,
    operation,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    anonymous, as_account, constant, query, registry, rule, spec, subscription, test_op,
    with_access, with_input,
};

#[tokio::test]
async fn case_025_plain_data_comes_in_a_local_envelope() {
    let registry = registry([test_op()]);
    let answer = registry
        .execute("test.testOp", json!({ "value": "hello" }), anonymous())
        .await
        .unwrap();
    assert_eq!(answer.data, json!({ "result": "processed: hello" }));
    let json = answer.to_json();
    assert_eq!(json["meta"]["source"], "local");
    assert_eq!(json["meta"]["operationId"], "test.testOp");
    assert!(json["meta"]["timestamp"].is_i64());
}

#[tokio::test]
async fn case_026_an_envelope_of_the_handler_is_handed_on() {
    let envelope = Envelope::http(json!("x"), 201, [].into(), "text/plain");
    let returned = envelope.clone();
    let registry = registry([query("a.op", move |_, _| {
        let returned = returned.clone();
        async move { Ok(Reply::Envelope(returned)) }
    })]);
    assert_eq!(
        registry.execute("a.op", None, anonymous()).await.unwrap(),
        envelope
    );
}

#[tokio::test]
async fn case_027_data_that_looks_like_an_envelope_is_data() {
    let posing = json!({
        "data": 1, "meta": { "source": "local", "operationId": "bank.pay", "timestamp": 5 },
    });
    let registry = registry([constant("a.op", posing.clone())]);
    let answer = registry.execute("a.op", None, anonymous()).await.unwrap();
    assert_eq!(answer.data, posing);
    assert!(
        matches!(&answer.meta.source, Source::Local { operation_id, .. } if operation_id == "a.op")
    );
}

#[tokio::test]
async fn case_028_nothing_is_null() {
    let registry = registry([
        operation::<Empty, ()>("a.op", OperationType::Query).handler(|_, _| async { Ok(()) })
    ]);
    let answer = registry.execute("a.op", None, anonymous()).await.unwrap();
    assert_eq!(answer.data, Value::Null);
    assert!(matches!(answer.meta.source, Source::Local { .. }));
}

#[tokio::test]
async fn case_029_an_unknown_id_is_named() {
    let error = registry([])
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    assert_eq!(error.message, "Operation not found: a.op");
    assert_eq!(error.details, Some(json!({ "operationId": "a.op" })));
}

#[tokio::test]
async fn case_030_a_spec_without_handler_is_told_apart() {
    let registry = registry([Operation::from(spec("a.op", "query"))]);
    let error = registry
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    assert_eq!(error.message, "No handler registered for operation: a.op");
}

#[tokio::test]
async fn case_031_the_kind_must_fit() {
    let events = subscription("a.events", |_, _| futures::stream::empty());
    let registry = registry([constant("a.op", json!(1)), events]);
    let error = registry
        .execute("a.events", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), rule(&error)),
        ("VALIDATION_ERROR", "kind")
    );
    let error = registry.subscribe("a.op", None, anonymous()).err().unwrap();
    assert_eq!(
        (error.code.as_str(), rule(&error)),
        ("VALIDATION_ERROR", "kind")
    );
    let details = error.details.unwrap();
    assert_eq!(details["expected"], "subscription");
    assert_eq!(details["actual"], "query");
}

#[tokio::test]
async fn case_032_access_comes_before_validation() {
    let guarded = with_access(test_op(), AccessControl::scopes(["admin"]));
    let registry = registry([guarded]);
    let ctx = as_account(&["read"], &registry);
    let error = registry
        .execute("test.testOp", json!({ "wrong": 1 }), ctx)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
}

#[tokio::test]
async fn case_033_bad_input_does_not_reach_the_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let operation = query("a.op", move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(Reply::Data(Value::Null)) }
    });
    let registry = registry([with_input(operation, json!({ "type": "object" }))]);
    let error = registry
        .execute("a.op", json!([]), anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn case_034_a_panic_is_an_unknown_error_and_other_calls_go_on() {
    let at_once = query(
        "a.atOnce",
        |_, _| -> std::future::Ready<Result<Reply, CallError>> { panic!("secret text") },
    );
    let later = query("a.later", |_, _| async {
        tokio::task::yield_now().await;
        panic!("secret text {}", 1)
    });
    let registry = registry([at_once, later, constant("a.fine", json!(1))]);
    for id in ["a.atOnce", "a.later"] {
        let error = registry.execute(id, None, anonymous()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::UNKNOWN_ERROR);
        assert!(!error.message.contains("secret"));
        assert!(error.details.unwrap()["errorId"].is_string());
    }
    assert!(registry.execute("a.fine", None, anonymous()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn case_035_past_the_deadline_the_token_fires() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let registry = registry([query("a.slow", move |_, ctx| {
        let token: CancellationToken = ctx.cancellation().clone();
        sender.lock().unwrap().take().unwrap().send(token).unwrap();
        async {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Ok(Reply::Data(Value::Null))
        }
    })]);
    let ctx = anonymous().with_timeout(Duration::from_millis(50));
    let request = ctx.request_id().clone();
    let error = registry.execute("a.slow", None, ctx).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    assert_eq!(error.message, format!("Request {request} timed out"));
    assert!(receiver.await.unwrap().is_cancelled());
}

#[tokio::test]
async fn case_036_without_a_requirement_nobody_need_be_known() {
    let registry = registry([constant("a.op", json!(1))]);
    assert!(registry.execute("a.op", None, anonymous()).await.is_ok());
}

#[tokio::test]
async fn an_abort_ends_the_call_and_drops_the_handler() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    let registry = registry([query("a.slow", move |_, _| {
        let held = Dropped(counted.clone());
        async move {
            let _held = held;
            std::future::pending().await
        }
    })]);
    let token = CancellationToken::new();
    let ctx = anonymous().with_cancellation(token.clone());
    let (answer, ()) = tokio::join!(registry.execute("a.slow", None, ctx), async {
        token.cancel();
    });
    let error = answer.unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
    assert_eq!(error.details.unwrap()["by"], "caller");
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_that_is_over_before_it_begins_is_not_started() {
    let registry = registry([query("a.op", |_, _| async { panic!("must not run") })]);
    let overdue = anonymous().with_timeout(Duration::ZERO);
    let error = registry.execute("a.op", None, overdue).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    let token = CancellationToken::new();
    token.cancel();
    let error = registry
        .execute("a.op", None, anonymous().with_cancellation(token))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
}

#[tokio::test]
async fn a_handler_that_ends_leaves_what_it_started_alone() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let registry = registry([query("a.op", move |_, ctx| {
        sender
            .lock()
            .unwrap()
            .take()
            .unwrap()
            .send(ctx.cancellation().clone())
            .unwrap();
        async { Ok(Reply::Data(Value::Null)) }
    })]);
    registry.execute("a.op", None, anonymous()).await.unwrap();
    assert!(!receiver.await.unwrap().is_cancelled());
}

#[tokio::test]
async fn the_context_carries_the_hosts_value_and_reports_progress() {
    struct Database(u32);
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let registry = registry([query("a.op", |_, ctx| async move {
        assert!(ctx.host::<String>().is_none());
        ctx.progress(Some(1.5), Some("nearly"));
        Ok(Reply::Data(json!(ctx.host::<Database>().unwrap().0)))
    })]);
    let ctx = anonymous()
        .with_host(Arc::new(Database(7)))
        .with_progress(Arc::new(move |report| {
            sender.try_send(report).unwrap();
        }));
    assert_eq!(registry.execute("a.op", None, ctx).await.unwrap().data, 7);
    let report = receiver.recv().await.unwrap();
    assert_eq!(
        (report.fraction, report.message.as_deref()),
        (Some(1.0), Some("nearly"))
    );
}
