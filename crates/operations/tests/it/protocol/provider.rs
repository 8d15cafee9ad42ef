//! The provider's half, and both halves together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alkhub_operations::events::CallRequested;
use alkhub_operations::protocol::{
    AbortAnswer, CallMap, CallServer, Delivered, MapLimits, RegistryService, Request, ServerLimits,
    Violation, build_call_handler, deliver,
};
use alkhub_operations::{
    AbortBy, AccessControl, CallError, CallEvent, Context, ErrorCode, Operation, Registry, Reply,
    RequestId,
};
use serde_json::{Value, json};

use super::links::{Link, Notes, Wire, aborted, after, read, unbounded};
use crate::support::{constant, identity, query, registry, spec, with_access};

fn asked(id: &str, operation: &str) -> CallRequested {
    CallRequested {
        request_id: id.parse().unwrap(),
        operation_id: operation.to_owned(),
        input: Some(json!({})),
        parent_request_id: None,
        deadline: None,
        timeout_ms: None,
        idle_timeout: None,
        identity: None,
        metadata: None,
        resume_after: None,
        credit: None,
    }
}

/// A server alone, whose sink only notes.
fn server(operations: impl IntoIterator<Item = Operation>) -> (Arc<CallServer>, Arc<Notes>) {
    server_with(operations, ServerLimits::default())
}

fn server_with(
    operations: impl IntoIterator<Item = Operation>,
    limits: ServerLimits,
) -> (Arc<CallServer>, Arc<Notes>) {
    let notes = Notes::new();
    let service = Arc::new(RegistryService::new(registry(operations)));
    (CallServer::new(service, notes.clone(), limits), notes)
}

fn error_of(event: &CallEvent) -> &alkhub_operations::events::CallFailed {
    match event {
        CallEvent::Failed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

/// A query that takes this long.
fn slow(id: &str, millis: u64) -> Operation {
    query(id, move |_, _| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(Reply::Data(json!("done")))
    })
}

#[tokio::test]
async fn a_call_goes_there_and_back_as_text() {
    let link = Link::new(registry([crate::support::test_op()]));
    let answer = link
        .map
        .call(Request::new("test.testOp", json!({ "value": "x" })))
        .await
        .unwrap();
    assert_eq!(answer.data, json!({ "result": "processed: x" }));
    assert_eq!(
        link.traffic(),
        (vec!["call.requested"], vec!["call.responded"])
    );
}

#[tokio::test]
async fn case_110_an_abort_stops_the_handler_which_confirms() {
    let (stopped, mut seen) = unbounded();
    let link = Link::new(registry([query("test.waits", move |_, ctx: Context| {
        let stopped = stopped.clone();
        let token = ctx.cancellation().clone();
        tokio::spawn(async move {
            token.cancelled().await;
            stopped.send(()).unwrap();
        });
        std::future::pending()
    })]));
    let call = link.map.call(Request::new("test.waits", json!({})));
    let id = call.request_id().clone();
    after(20).await;
    assert_eq!(link.server.running(), std::slice::from_ref(&id));
    link.map.abort(&id, AbortBy::Caller, None);
    let answer = link.map.aborted(&id).await;
    assert!(matches!(answer, AbortAnswer::Confirmed(_)), "{answer:?}");
    seen.recv().await.unwrap();
    assert_eq!(call.await.unwrap_err().code, ErrorCode::ABORTED);
    assert!(link.server.running().is_empty());
    let echoed = link.back.notes.aborted();
    assert_eq!(echoed.len(), 1);
    assert_eq!(echoed[0].by, Some(AbortBy::Provider));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_stop_is_dropped_after_five_seconds() {
    /// Waits whatever its token says.
    struct Deaf;
    #[async_trait::async_trait]
    impl alkhub_operations::protocol::Service for Deaf {
        async fn call(
            &self,
            _: alkhub_operations::protocol::Inbound,
        ) -> Result<alkhub_operations::Envelope, CallError> {
            std::future::pending().await
        }
        async fn subscribe(
            &self,
            _: alkhub_operations::protocol::Inbound,
        ) -> Result<alkhub_operations::EnvelopeStream, CallError> {
            std::future::pending().await
        }
        fn kind(&self, _: &str) -> Option<alkhub_operations::OperationType> {
            None
        }
    }
    let notes = Notes::new();
    let server = CallServer::new(Arc::new(Deaf), notes.clone(), ServerLimits::default());
    server.deliver(CallEvent::Requested(asked("r", "a.b")));
    let id: RequestId = "r".parse().unwrap();
    assert_eq!(
        server.deliver(aborted(&id, AbortBy::Caller)),
        Delivered::Accepted
    );
    after(4_900).await;
    assert!(notes.all().is_empty());
    after(200).await;
    assert_eq!(notes.names(), ["call.aborted"]);
    assert!(server.running().is_empty());
    assert_eq!(
        server.deliver(aborted(&id, AbortBy::Caller)),
        Delivered::Late
    );
}

#[tokio::test(start_paused = true)]
async fn case_113_and_114_timeout_wins_over_deadline_and_the_past_is_not_started() {
    let (server, notes) = server([slow("test.slow", 500)]);
    let hour = alkhub_operations::envelope::now_ms() as f64 + 3_600_000.0;
    server.deliver(CallEvent::Requested(CallRequested {
        deadline: Some(hour),
        timeout_ms: Some(100),
        ..asked("short", "test.slow")
    }));
    server.deliver(CallEvent::Requested(CallRequested {
        deadline: Some(1000.0),
        ..asked("past", "test.slow")
    }));
    server.deliver(CallEvent::Requested(CallRequested {
        timeout_ms: Some(0),
        ..asked("none", "test.slow")
    }));
    // Answered before anything ran.
    let codes: Vec<_> = notes
        .all()
        .iter()
        .map(|it| error_of(it).code.clone())
        .collect();
    assert_eq!(codes, [ErrorCode::TIMEOUT, ErrorCode::TIMEOUT]);
    after(150).await;
    let events = notes.all();
    assert_eq!(error_of(&events[2]).request_id.as_str(), "short");
    assert_eq!(error_of(&events[2]).code, ErrorCode::TIMEOUT);
}

#[tokio::test]
async fn times_beyond_reason_are_taken() {
    let (server, notes) = server([constant("test.one", json!(1))]);
    for (id, deadline, timeout_ms) in [
        ("a", Some(f64::MAX), None),
        ("b", None, Some(u64::MAX)),
        ("c", Some(f64::INFINITY), None),
    ] {
        server.deliver(CallEvent::Requested(CallRequested {
            deadline,
            timeout_ms,
            idle_timeout: Some(u64::MAX),
            resume_after: Some(u64::MAX),
            credit: Some(u64::MAX),
            ..asked(id, "test.one")
        }));
    }
    after(20).await;
    assert_eq!(notes.names(), ["call.responded"; 3]);
}

#[tokio::test]
async fn case_122_a_handlers_error_is_mapped() {
    let (server, notes) = server([
        query("test.undeclared", |_, _| async {
            Err(CallError::new(ErrorCode::other("UNDECLARED"), "secret"))
        }),
        query("test.general", |_, _| async {
            Err(CallError::not_found("nothing"))
        }),
    ]);
    server.deliver(CallEvent::Requested(asked("a", "test.undeclared")));
    after(20).await;
    server.deliver(CallEvent::Requested(asked("b", "test.general")));
    after(20).await;
    let events = notes.all();
    assert_eq!(error_of(&events[0]).code, ErrorCode::UNKNOWN_ERROR);
    assert!(!error_of(&events[0]).message.contains("secret"));
    assert_eq!(error_of(&events[1]).code, ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn a_service_that_panics_answers_all_the_same() {
    let (server, notes) = server([query("test.panics", |_, _| async { panic!("boom") })]);
    server.deliver(CallEvent::Requested(asked("r", "test.panics")));
    after(20).await;
    assert_eq!(error_of(&notes.all()[0]).code, ErrorCode::UNKNOWN_ERROR);
    assert!(server.running().is_empty());
}

#[tokio::test]
async fn case_123_an_unknown_operation_and_one_without_handler_are_not_found() {
    let (server, notes) = server([Operation::new(spec("test.specOnly", "query"), None)]);
    server.deliver(CallEvent::Requested(asked("a", "test.none")));
    server.deliver(CallEvent::Requested(asked("b", "test.specOnly")));
    after(20).await;
    let events = notes.all();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(error_of(event).code, ErrorCode::OPERATION_NOT_FOUND);
    }
}

#[tokio::test]
async fn case_124_a_guarded_operation_needs_its_scope() {
    let guarded = with_access(
        constant("test.secret", json!(1)),
        AccessControl::scopes(["admin"]),
    );
    let (server, notes) = server([guarded]);
    server.deliver(CallEvent::Requested(CallRequested {
        identity: Some(identity(&[])),
        ..asked("without", "test.secret")
    }));
    after(20).await;
    assert_eq!(error_of(&notes.all()[0]).code, ErrorCode::ACCESS_DENIED);
    server.deliver(CallEvent::Requested(CallRequested {
        identity: Some(identity(&["admin"])),
        ..asked("with", "test.secret")
    }));
    after(20).await;
    assert_eq!(notes.names()[1], "call.responded");
}

#[tokio::test]
async fn case_125_metadata_reaches_the_handler_without_the_hubs_keys() {
    let echo = || {
        query("test.metadata", |_, ctx: Context| async move {
            Ok(Reply::Data(Value::Object(ctx.metadata().clone())))
        })
    };
    let sent = || {
        let metadata = json!({ "trace": 1, "alkhub.x": 2 });
        CallEvent::Requested(CallRequested {
            metadata: metadata.as_object().cloned(),
            ..asked("r", "test.metadata")
        })
    };
    let data = |notes: &Notes| match &notes.all()[0] {
        CallEvent::Responded(responded) => responded.output.data.clone(),
        other => panic!("{other:?}"),
    };
    let (from_anybody, notes) = server([echo()]);
    from_anybody.deliver(sent());
    after(20).await;
    assert_eq!(data(&notes), json!({ "trace": 1 }));

    let limits = ServerLimits {
        strip_reserved: false,
        ..ServerLimits::default()
    };
    let (from_the_hub, notes) = server_with([echo()], limits);
    from_the_hub.deliver(sent());
    after(20).await;
    assert_eq!(data(&notes), json!({ "trace": 1, "alkhub.x": 2 }));

    let big = json!({ "x": "y".repeat(20_000) });
    from_the_hub.deliver(CallEvent::Requested(CallRequested {
        metadata: big.as_object().cloned(),
        ..asked("big", "test.metadata")
    }));
    assert_eq!(error_of(&notes.all()[1]).code, ErrorCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn case_128_one_id_twice_in_flight_runs_once() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let (server, notes) = server([query("test.slow", move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(Reply::Data(json!(1)))
        }
    })]);
    for _ in 0..3 {
        let delivered = server.deliver(CallEvent::Requested(asked("r", "test.slow")));
        assert_eq!(delivered, Delivered::Accepted);
    }
    assert_eq!(
        server.deliver(CallEvent::Requested(asked("r", "test.other"))),
        Delivered::Violation(Violation::RequestIdInUse)
    );
    after(100).await;
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert_eq!(notes.names(), ["call.responded"]);
}

#[tokio::test(start_paused = true)]
async fn case_145_one_call_more_than_may_run_is_refused() {
    let limits = ServerLimits {
        running: 64,
        ..ServerLimits::default()
    };
    let (server, notes) = server_with([slow("test.slow", 50)], limits);
    for number in 0..65 {
        server.deliver(CallEvent::Requested(asked(
            &number.to_string(),
            "test.slow",
        )));
    }
    assert_eq!(error_of(&notes.all()[0]).code, ErrorCode::RATE_LIMITED);
    assert_eq!(error_of(&notes.all()[0]).request_id.as_str(), "64");
    after(100).await;
    assert_eq!(notes.names().len(), 65);
    server.deliver(CallEvent::Requested(asked("later", "test.slow")));
    after(100).await;
    assert_eq!(notes.names()[65], "call.responded");
}

#[tokio::test]
async fn events_of_unknown_requests_are_told_apart() {
    let (server, _) = server([constant("test.one", json!(1))]);
    let id: RequestId = "r".parse().unwrap();
    assert_eq!(
        server.deliver(aborted(&id, AbortBy::Caller)),
        Delivered::Unknown
    );
    server.deliver(CallEvent::Requested(asked("r", "test.one")));
    after(20).await;
    assert_eq!(
        server.deliver(aborted(&id, AbortBy::Caller)),
        Delivered::Late
    );
    assert_eq!(
        server.deliver(super::links::completed(&id)),
        Delivered::Violation(Violation::Direction("call.completed"))
    );
}

#[tokio::test]
async fn closing_lets_calls_run_on_and_tells_nobody() {
    let (done, mut seen) = unbounded();
    let (server, notes) = server([query("test.slow", move |_, _| {
        let done = done.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            done.send(()).unwrap();
            Ok(Reply::Data(json!(1)))
        }
    })]);
    server.deliver(CallEvent::Requested(asked("r", "test.slow")));
    server.close();
    seen.recv().await.unwrap();
    after(10).await;
    assert!(notes.all().is_empty());
    server.deliver(CallEvent::Requested(asked("later", "test.slow")));
    assert!(server.running().is_empty());
}

#[tokio::test]
async fn case_133_a_nested_call_gets_no_more_time_than_its_parent_and_names_it() {
    let (wire, mut sent) = Wire::new();
    let map = CallMap::new(wire.clone(), MapLimits::default());
    let outer = query("test.outer", |_, ctx: Context| async move {
        ctx.call("other.inner", json!({ "n": 1 }))
            .await
            .map(Reply::Envelope)
    });
    let server = build_call_handler(registry([outer]), Arc::clone(&map));
    server.deliver(CallEvent::Requested(CallRequested {
        timeout_ms: Some(5_000),
        ..asked("r", "test.outer")
    }));
    let CallEvent::Requested(inner) = read(&sent.recv().await.unwrap()) else {
        panic!("no nested call");
    };
    assert_eq!(inner.operation_id, "other.inner");
    assert_eq!(inner.parent_request_id.unwrap().as_str(), "r");
    assert!(inner.timeout_ms.unwrap() <= 5_000);
    deliver(
        &map,
        &server,
        super::links::responded(&inner.request_id, json!(7), None),
    );
    let CallEvent::Responded(answer) = read(&sent.recv().await.unwrap()) else {
        panic!("no answer");
    };
    assert_eq!(answer.request_id.as_str(), "r");
    assert_eq!(answer.output.data, json!(7));
}

#[tokio::test]
async fn case_132_aborting_the_outer_call_aborts_what_it_called() {
    let (wire, mut sent) = Wire::new();
    let map = CallMap::new(wire.clone(), MapLimits::default());
    let outer = query("test.outer", |_, ctx: Context| async move {
        ctx.call("other.inner", json!({}))
            .await
            .map(Reply::Envelope)
    });
    let server = build_call_handler(registry([outer]), Arc::clone(&map));
    server.deliver(CallEvent::Requested(asked("r", "test.outer")));
    let inner = read(&sent.recv().await.unwrap()).request_id().clone();
    deliver(
        &map,
        &server,
        aborted(&"r".parse().unwrap(), AbortBy::Caller),
    );
    after(20).await;
    let told: Vec<_> = wire.notes.aborted();
    let ids: Vec<_> = told.iter().map(|it| it.request_id.as_str()).collect();
    assert!(
        ids.contains(&inner.as_str()) && ids.contains(&"r"),
        "{ids:?}"
    );
    assert_eq!(map.pending(), 0);
}

#[tokio::test]
async fn one_id_open_in_both_halves_is_told_apart_by_who_aborts() {
    let (wire, _sent) = Wire::new();
    let map = CallMap::new(wire.clone(), MapLimits::default());
    let waits = query("test.waits", |_, _| std::future::pending());
    let server = build_call_handler(registry([waits]), Arc::clone(&map));
    let call = map.call(Request::new("test.waits", json!({})).with_id("r".parse().unwrap()));
    server.deliver(CallEvent::Requested(asked("r", "test.waits")));
    deliver(&map, &server, aborted(call.request_id(), AbortBy::Caller));
    after(20).await;
    assert_eq!(map.pending(), 1);
    assert!(server.running().is_empty());
    deliver(&map, &server, aborted(call.request_id(), AbortBy::Provider));
    assert_eq!(call.await.unwrap_err().code, ErrorCode::ABORTED);
}

#[tokio::test]
async fn progress_of_a_handler_reaches_the_caller() {
    let reports = query("test.reports", |_, ctx: Context| async move {
        ctx.progress(Some(0.25), Some("a quarter"));
        Ok(Reply::Data(json!(1)))
    });
    let link = Link::new(registry([reports]));
    let (sender, mut seen) = unbounded();
    let mut request = Request::new("test.reports", json!({}));
    request.progress = Some(Arc::new(move |progress| sender.send(progress).unwrap()));
    link.map.call(request).await.unwrap();
    assert_eq!(seen.recv().await.unwrap().message.unwrap(), "a quarter");
}

#[tokio::test]
async fn an_empty_registry_serves_nothing() {
    let link = Link::new(Arc::new(Registry::new()));
    let error = link
        .map
        .call(Request::new("a.b", json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_both_halves_are_dropped() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let notes = Notes::new();
    let map = CallMap::new(notes, MapLimits::default());
    let (server, _) = server([slow("test.slow", 50)]);
    server.deliver(CallEvent::Requested(asked("r", "test.slow")));
    let call = map.call(Request::new("a.b", json!({})));
    assert!(tasks() > before);
    // The last to hold the halves are a task and a call.
    drop((map, server));
    after(100).await;
    drop(call);
    after(1).await;
    assert_eq!(tasks(), before);
}
