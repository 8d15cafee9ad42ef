//! The caller's half: calls.

use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::protocol::{
    AbortAnswer, CallMap, CloseReason, Delivered, MapLimits, Request, RequestState, Violation,
};
use alkhub_operations::{AbortBy, CallError, CallEvent, Envelope, ErrorCode, RequestId};
use serde_json::json;

use super::links::{Notes, aborted, after, alone, completed, failed, local, responded, unbounded};

fn request() -> Request {
    Request::new("test.op", json!({ "value": 1 }))
}

#[tokio::test]
async fn case_106_a_new_map_has_nothing_pending() {
    assert_eq!(alone().0.pending(), 0);
}

#[tokio::test]
async fn case_107_an_answer_resolves_its_call() {
    let (map, sent) = alone();
    let call = map.call(request());
    let id = call.request_id().clone();
    assert_eq!((map.pending(), sent.names()), (1, vec!["call.requested"]));
    assert_eq!(
        map.deliver(responded(&id, json!("yes"), None)),
        Delivered::Accepted
    );
    assert_eq!(call.await.unwrap().data, json!("yes"));
    assert_eq!(map.pending(), 0);
    assert_eq!(sent.names(), ["call.requested"]);
}

#[tokio::test]
async fn case_108_two_calls_are_pending_at_once() {
    let (map, _) = alone();
    let (_one, _two) = (map.call(request()), map.call(request()));
    assert_eq!(map.pending(), 2);
    assert_eq!(map.pending_ids().len(), 2);
}

#[tokio::test]
async fn case_109_an_error_comes_with_its_code_and_message() {
    let (map, _) = alone();
    let call = map.call(request());
    let error = CallError::new(ErrorCode::other("CUSTOM_ERROR"), "so it is")
        .with_details(json!({ "why": 1 }));
    map.deliver(failed(call.request_id(), error.clone()));
    assert_eq!(call.await.unwrap_err(), error);
}

#[tokio::test(start_paused = true)]
async fn case_110_an_abort_ends_the_call_at_once_and_is_confirmed_later() {
    let (map, sent) = alone();
    let call = map.call(request());
    let id = call.request_id().clone();
    assert!(map.abort(&id, AbortBy::Caller, Some("enough".into())));
    let error = call.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
    assert_eq!(
        error.details.unwrap(),
        json!({ "by": "caller", "reason": "enough" })
    );
    let told = sent.aborted();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].by, told[0].reason.as_deref()),
        (Some(AbortBy::Caller), Some("enough"))
    );
    assert_eq!(map.state(&id), RequestState::Aborted);

    let confirmation = tokio::spawn(map.aborted(&id));
    after(30).await;
    assert_eq!(
        map.deliver(aborted(&id, AbortBy::Provider)),
        Delivered::Late
    );
    assert_eq!(
        confirmation.await.unwrap(),
        AbortAnswer::Confirmed(Duration::from_millis(30))
    );
    // Asked afterwards, the answer is the same.
    assert!(matches!(map.aborted(&id).await, AbortAnswer::Confirmed(_)));
    // Twice does nothing and is no error.
    assert!(!map.abort(&id, AbortBy::Caller, None));
    assert_eq!(sent.aborted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_nothing_after_an_abort_is_silent() {
    let (map, _) = alone();
    let call = map.call(request());
    let id = call.request_id().clone();
    map.abort(&id, AbortBy::Caller, None);
    let confirmation = tokio::spawn(map.aborted(&id));
    after(11_000).await;
    // Whatever comes next cleans up.
    drop(map.call(request()));
    assert_eq!(confirmation.await.unwrap(), AbortAnswer::Silent);
    assert_eq!(map.aborted(&id).await, AbortAnswer::Unknown);
}

#[tokio::test]
async fn case_111_aborting_an_unknown_id_does_nothing() {
    let (map, sent) = alone();
    assert!(!map.abort(&RequestId::random(), AbortBy::Caller, None));
    assert!(sent.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_112_the_deadline_ends_the_call_and_tells_the_provider() {
    let (map, sent) = alone();
    let call = map.call(request().with_timeout(Duration::from_millis(50)));
    let id = call.request_id().clone();
    let CallEvent::Requested(asked) = sent.all().remove(0) else {
        panic!("not requested");
    };
    assert_eq!(asked.timeout_ms, Some(50));
    assert!(asked.deadline.is_some());
    let error = call.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    assert_eq!(error.message, format!("Request {id} timed out"));
    assert_eq!(sent.aborted()[0].by, Some(AbortBy::Deadline));
    assert_eq!(map.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_deadlines_go_off_in_their_order() {
    let (map, _) = alone();
    let start = tokio::time::Instant::now();
    let calls: Vec<_> = [300, 100, 200, 100]
        .map(|ms| {
            (
                ms,
                map.call(request().with_timeout(Duration::from_millis(ms))),
            )
        })
        .into_iter()
        .map(|(ms, call)| {
            tokio::spawn(async move {
                assert_eq!(call.await.unwrap_err().code, ErrorCode::TIMEOUT);
                let off = start.elapsed().as_millis() as i64 - ms as i64;
                assert!((0..=2).contains(&off), "{ms} ms was off by {off}");
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn case_113_what_is_overdue_is_never_sent() {
    let (map, sent) = alone();
    let error = map
        .call(request().with_timeout(Duration::ZERO))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    assert!(sent.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_115_an_answer_after_the_timeout_is_late() {
    let (map, _) = alone();
    let call = map.call(request().with_timeout(Duration::from_millis(10)));
    let id = call.request_id().clone();
    call.await.unwrap_err();
    assert_eq!(map.late(), 0);
    assert_eq!(map.deliver(responded(&id, json!(1), None)), Delivered::Late);
    assert_eq!(map.late(), 1);
}

#[tokio::test]
async fn case_116_the_first_of_two_answers_counts() {
    let (map, _) = alone();
    let call = map.call(request());
    let id = call.request_id().clone();
    map.deliver(responded(&id, json!(1), None));
    assert_eq!(map.deliver(responded(&id, json!(2), None)), Delivered::Late);
    assert_eq!(call.await.unwrap().data, json!(1));
    assert_eq!(map.state(&id), RequestState::Finished);
}

#[test]
fn case_117_ten_thousand_races_on_real_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (map, _) = alone();
        for _ in 0..10_000 {
            let call = map.call(request());
            let id = call.request_id().clone();
            let (other, other_id) = (Arc::clone(&map), id.clone());
            let aborting =
                tokio::spawn(async move { other.abort(&other_id, AbortBy::Caller, None) });
            let delivered = map.deliver(responded(&id, json!(1), None));
            let aborted = aborting.await.unwrap();
            let outcome = call.await;
            assert_eq!(outcome.is_err(), aborted);
            assert_eq!(delivered == Delivered::Accepted, !aborted);
        }
        assert_eq!(map.pending(), 0);
    });
}

#[tokio::test]
async fn case_118_a_dropped_call_is_aborted() {
    let (map, sent) = alone();
    drop(map.call(request()));
    assert_eq!(map.pending(), 0);
    assert_eq!(sent.names(), ["call.requested", "call.aborted"]);
    assert_eq!(sent.aborted()[0].by, Some(AbortBy::Caller));
}

#[tokio::test]
async fn a_call_that_ended_is_not_aborted_when_it_is_dropped() {
    let (map, sent) = alone();
    let first = map.call(request());
    let id = first.request_id().clone();
    map.deliver(responded(&id, json!(1), None));
    // A new call under the id of one that ended is another call.
    let _second = map.call(request().with_id(id));
    drop(first);
    assert_eq!(map.pending(), 1);
    assert!(sent.aborted().is_empty());
}

#[tokio::test]
async fn case_120_envelopes_of_every_source_are_answers() {
    let (map, _) = alone();
    for envelope in [
        local(json!(1)),
        Envelope::http(json!(2), 200, [].into(), "application/json"),
        Envelope::mcp(json!(3), false, vec![]),
    ] {
        let call = map.call(request());
        let event = CallEvent::Responded(alkhub_operations::events::CallResponded {
            request_id: call.request_id().clone(),
            output: envelope.clone(),
            seq: None,
        });
        map.deliver(super::links::read(&alkhub_operations::protocol::encode(
            &event,
        )));
        assert_eq!(call.await.unwrap(), envelope);
    }
}

#[tokio::test]
async fn case_126_completion_without_an_answer_is_no_answer() {
    let (map, _) = alone();
    let call = map.call(request());
    map.deliver(completed(call.request_id()));
    let error = call.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
    assert!(error.message.ends_with("completed without response"));

    let limits = MapLimits {
        unanswered_is_failure: true,
        ..MapLimits::default()
    };
    let map = CallMap::new(Notes::new(), limits);
    let call = map.call(request());
    map.deliver(completed(call.request_id()));
    assert_eq!(call.await.unwrap_err().code, ErrorCode::EXECUTION_ERROR);
}

#[tokio::test]
async fn case_127_completion_of_an_unknown_id_is_ignored() {
    let (map, _) = alone();
    assert_eq!(
        map.deliver(completed(&RequestId::random())),
        Delivered::Unknown
    );
    assert_eq!(map.late(), 1);
}

#[tokio::test]
async fn case_130_a_parent_must_be_open_here() {
    let (map, _) = alone();
    let parent = map.call(request());
    let id = parent.request_id().clone();
    map.check_parent(&id).unwrap();
    let error = map.check_parent(&RequestId::random()).unwrap_err();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    assert_eq!(crate::support::rule(&error), "parent");
    map.abort(&id, AbortBy::Caller, None);
    let error = map.check_parent(&id).unwrap_err();
    assert_eq!(error.code, ErrorCode::ABORTED);
    assert_eq!(error.details.unwrap()["by"], "parent");
}

#[tokio::test(start_paused = true)]
async fn case_134_a_lost_connection_ends_a_hundred_calls() {
    let (map, _) = alone();
    let calls: Vec<_> = (0..100).map(|_| map.call(request())).collect();
    map.detach();
    after(100).await;
    assert_eq!(map.pending(), 100);
    let error = map.call(request()).await.unwrap_err();
    assert_eq!(error.details.unwrap(), json!({ "started": false }));
    map.close(CloseReason::ProviderLost);
    for call in calls {
        let error = call.await.unwrap_err();
        assert_eq!(error.code, ErrorCode::PROVIDER_LOST);
        assert_eq!(error.details.unwrap(), json!({ "started": true }));
    }
    assert_eq!(map.pending(), 0);
    assert!(map.call(request()).await.is_err());
}

#[tokio::test]
async fn closing_for_shutdown_tells_the_provider() {
    let (map, sent) = alone();
    let call = map.call(request());
    map.close(CloseReason::Shutdown);
    assert_eq!(call.await.unwrap_err().code, ErrorCode::UNAVAILABLE);
    assert_eq!(sent.aborted()[0].by, Some(AbortBy::Hub));
}

#[tokio::test]
async fn case_144_crossed_answers_reach_their_own_calls() {
    let (map, _) = alone();
    let (one, two) = (map.call(request()), map.call(request()));
    map.deliver(responded(two.request_id(), json!("two"), None));
    map.deliver(responded(one.request_id(), json!("one"), None));
    assert_eq!(one.await.unwrap().data, json!("one"));
    assert_eq!(two.await.unwrap().data, json!("two"));
}

#[tokio::test]
async fn the_maps_own_bound_and_a_repeated_id_are_refused() {
    let limits = MapLimits {
        entries: 1,
        ..MapLimits::default()
    };
    let map = CallMap::new(Notes::new(), limits);
    let open = map.call(request());
    let error = map.call(request()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::RATE_LIMITED);

    let (map, _) = alone();
    let first = map.call(request().with_id(open.request_id().clone()));
    let again = map.call(request().with_id(first.request_id().clone()));
    let error = again.await.unwrap_err();
    assert_eq!(crate::support::rule(&error), "request_id");
    assert_eq!(map.pending(), 1);
}

#[tokio::test]
async fn events_that_go_the_other_way_are_violations() {
    let (map, _) = alone();
    let event = CallEvent::Credit(alkhub_operations::events::CallCredit {
        request_id: RequestId::random(),
        add: 1,
    });
    assert_eq!(
        map.deliver(event),
        Delivered::Violation(Violation::Direction("call.credit"))
    );
}

#[tokio::test]
async fn progress_reaches_whoever_asked_and_ends_nothing() {
    let (map, _) = alone();
    let (reports, mut seen) = unbounded();
    let mut asked = request();
    asked.progress = Some(Arc::new(move |progress| reports.send(progress).unwrap()));
    let call = map.call(asked);
    let event = CallEvent::Progress(alkhub_operations::events::CallProgress {
        request_id: call.request_id().clone(),
        fraction: Some(0.5),
        message: Some("half".into()),
    });
    assert_eq!(map.deliver(event), Delivered::Accepted);
    assert_eq!(seen.recv().await.unwrap().fraction, Some(0.5));
    assert_eq!(map.pending(), 1);
}

#[tokio::test]
async fn the_deadline_is_sent_in_the_providers_time() {
    let (map, sent) = alone();
    map.set_skew(3_600_000);
    let _call = map.call(request().with_timeout(Duration::from_secs(1)));
    let CallEvent::Requested(asked) = sent.all().remove(0) else {
        panic!("not requested");
    };
    let ahead = asked.deadline.unwrap() - alkhub_operations::envelope::now_ms() as f64;
    assert!((3_600_000.0..3_602_000.0).contains(&ahead), "{ahead}");
}
