//! Events into a graph (cases E1 to E42).

use alkhub_callgraph::{
    Applied, CallEvent, CallGraph, CallStatus, EventKind, GraphError, StatusExtra, Timestamp,
};
use alkhub_operations::{Envelope, Frame, Identity};
use serde_json::json;

use crate::{Did, Script, at, event, graph, id, names, op, texts};

fn applied() -> Did {
    Did::Event(Applied::Applied)
}

fn last(mut steps: Vec<Did>) -> Did {
    steps.pop().unwrap()
}

fn cycle(names: &[&str]) -> GraphError {
    GraphError::Cycle {
        cycles: vec![crate::ids(names)],
    }
}

#[test]
fn case_e01_a_request_makes_a_pending_root() {
    let graph = Script::of("q(a)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(call.status, CallStatus::Pending);
    assert_eq!(call.requested_at, Some(at(1)));
    assert_eq!(names(graph.roots()), ["a"]);
    assert_eq!(graph.stats().triggered, 0);
}

#[test]
fn case_e02_an_answer_completes_a_running_call() {
    let graph = Script::of("q(a) run(a) ok(a,x)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(call.status, CallStatus::Completed);
    assert_eq!(
        (call.started_at, call.completed_at),
        (Some(at(2)), Some(at(3)))
    );
    assert_eq!(call.output, Some(json!("x")));
}

#[test]
fn case_e03_an_answer_without_a_start_leaves_no_duration() {
    let graph = Script::of("q(a) ok(a,x)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(
        (call.status, call.started_at),
        (CallStatus::Completed, None)
    );
    assert_eq!(graph.duration(&id("a")), None);
}

#[test]
fn case_e04_an_error_is_nested_and_leaves_no_output() {
    let graph = Script::of("q(a) run(a) err(a)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!((call.status, &call.output), (CallStatus::Failed, &None));
    assert_eq!(call.error.as_ref().unwrap().code, "TIMEOUT");
}

#[test]
fn case_e05_a_pending_call_can_be_aborted() {
    let graph = Script::of("q(a) ab(a)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!((call.status, call.started_at), (CallStatus::Aborted, None));
    assert_eq!(call.completed_at, Some(at(2)));
    assert_eq!(call.error.as_ref().unwrap().code, "ABORTED");
}

#[test]
fn case_e06_a_running_call_can_be_aborted() {
    let graph = Script::of("q(a) run(a) ab(a)");
    assert_eq!(graph.get(&id("a")).unwrap().status, CallStatus::Aborted);
}

#[test]
fn case_e07_completed_alone_ends_a_call_without_output() {
    let graph = Script::of("q(a) run(a) done(a)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!((call.status, &call.output), (CallStatus::Completed, &None));
}

#[test]
fn case_e08_completed_may_bring_the_output() {
    let graph = Script::of("q(a) run(a) done(a,y)");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(
        (call.status, &call.output),
        (CallStatus::Completed, &Some(json!("y")))
    );
}

#[test]
fn case_e09_answer_and_completed_are_one_success_of_the_earlier_time() {
    let graph = Script::of("q(a) run(a) ok(a,x)@5 done(a)@6");
    let call = graph.get(&id("a")).unwrap();
    assert_eq!(
        (&call.output, call.completed_at),
        (&Some(json!("x")), Some(at(5)))
    );
}

#[test]
fn case_e10_their_order_does_not_matter() {
    let one = Script::of("q(a) run(a) ok(a,x)@5 done(a)@6");
    assert_eq!(Script::of("q(a) run(a) done(a)@6 ok(a,x)@5"), one);
}

#[test]
fn case_e11_the_answer_wins_over_the_output_of_completed() {
    for steps in [
        "q(a) run(a) done(a,y) ok(a,x)",
        "q(a) run(a) ok(a,x) done(a,y)",
    ] {
        let graph = Script::of(steps);
        assert_eq!(
            graph.get(&id("a")).unwrap().output,
            Some(json!("x")),
            "{steps}"
        );
    }
}

#[test]
fn case_e12_the_same_request_twice_is_one_call() {
    let mut script = Script::new();
    let did = script.play("q(a)@1 q(a)@1");
    assert_eq!(did, [applied(), Did::Event(Applied::Duplicate)]);
    assert_eq!(script.graph.len(), 1);
}

#[test]
fn case_e13_another_operation_is_a_conflict() {
    let mut script = Script::new();
    let did = last(script.play("q(a,op1) q(a,op2)"));
    let conflict = GraphError::Conflict {
        key: id("a"),
        field: "operationId",
    };
    assert_eq!(did, Did::Event(Applied::Conflict(conflict)));
    assert_eq!(script.call("a").operation_id, op("test.op1"));
}

#[test]
fn case_e13_another_parent_is_a_conflict() {
    let mut script = Script::new();
    let did = last(script.play("q(b<a) q(b<c)"));
    let conflict = GraphError::Conflict {
        key: id("b"),
        field: "parentRequestId",
    };
    assert_eq!(did, Did::Event(Applied::Conflict(conflict)));
    assert_eq!(script.call("b").parent_request_id, Some(id("a")));
}

#[test]
fn case_e14_a_further_request_fills_what_is_absent() {
    let mut script = Script::new();
    script.play("q(a)");
    let mut again = event("q", "a", None, at(9), None);
    let EventKind::Requested(told) = &mut again.kind else {
        panic!("a request");
    };
    told.identity = Some(Identity {
        id: "ada".to_owned(),
        ..Identity::default()
    });
    assert_eq!(script.graph.apply(&again), Applied::Applied);
    assert_eq!(script.call("a").identity.as_ref().unwrap().id, "ada");
    assert_eq!(script.call("a").requested_at, Some(at(1)));
    assert_eq!(script.graph.apply(&again), Applied::Duplicate);
}

#[test]
fn a_further_request_can_bring_the_parent() {
    let mut script = Script::new();
    script.play("q(a) q(b) q(c<b) q(b<a)");
    assert_eq!(texts(&script.graph.lineage(&id("c"))), ["a", "b", "c"]);
    let did = last(script.play("q(a<c)"));
    assert_eq!(did, Did::Event(Applied::Conflict(cycle(&["a", "b", "c"]))));
    assert_eq!(script.call("a").parent_request_id, None);
}

#[test]
fn case_e15_a_child_hangs_on_its_parent() {
    let graph = Script::of("q(a) q(b<a)");
    assert_eq!(names(graph.children(&id("a"))), ["b"]);
    let edges = &graph.export().to_json()["edges"];
    assert_eq!(
        *edges,
        json!([{ "key": "a->b", "source": "a", "target": "b", "attributes": { "edgeType": "triggered" } }])
    );
}

#[test]
fn case_e16_a_child_may_come_before_its_parent() {
    let mut script = Script::new();
    script.play("q(b<a)@2");
    assert_eq!(names(script.graph.roots()), ["b"]);
    assert!(script.graph.is_detached(&id("b")));
    script.play("q(a)@1");
    assert_eq!(script.graph, Script::of("q(a) q(b<a)"));
    assert!(!script.graph.is_detached(&id("b")));
}

#[test]
fn case_e17_a_chain_may_come_from_its_end() {
    let graph = Script::of("q(c<b) q(b<a) q(a)");
    assert_eq!(texts(&graph.lineage(&id("c"))), ["a", "b", "c"]);
}

#[test]
fn case_e18_a_call_is_not_its_own_parent() {
    let mut script = Script::new();
    let did = script.step("q(a<a)");
    assert_eq!(did, Did::Event(Applied::Conflict(cycle(&["a"]))));
    assert!(script.graph.is_empty());
}

#[test]
fn case_e19_two_calls_are_not_each_others_parents() {
    let mut script = Script::new();
    let did = last(script.play("q(b<a) q(a<b)"));
    assert_eq!(did, Did::Event(Applied::Conflict(cycle(&["a", "b"]))));
    assert!(script.graph.get(&id("a")).is_none());
    assert!(script.graph.is_detached(&id("b")));
}

#[test]
fn case_e20_an_answer_before_its_request_is_held() {
    let mut script = Script::new();
    assert_eq!(script.step("ok(a,x)"), Did::Event(Applied::Held));
    script.step("q(a)");
    assert_eq!(script.call("a").status, CallStatus::Completed);
    assert_eq!(script.graph.counts().applied, 2);
}

#[test]
fn case_e21_an_abort_before_its_request_is_held() {
    assert_eq!(
        Script::of("ab(a) q(a)").get(&id("a")).unwrap().status,
        CallStatus::Aborted
    );
}

#[test]
fn case_e22_of_two_held_ends_the_first_wins() {
    let graph = Script::of("ok(a) err(a) q(a)");
    assert_eq!(graph.get(&id("a")).unwrap().status, CallStatus::Completed);
    assert_eq!(graph.counts().late, 1);
}

#[test]
fn case_e23_an_answer_after_an_abort_is_late() {
    let mut script = Script::new();
    let did = last(script.play("q(a) run(a) ab(a) ok(a,x)"));
    assert_eq!(did, Did::Event(Applied::Late));
    assert_eq!(
        (script.call("a").status, &script.call("a").output),
        (CallStatus::Aborted, &None)
    );
}

#[test]
fn case_e24_an_abort_after_the_answer_is_late() {
    let mut script = Script::new();
    let did = last(script.play("q(a) run(a) ok(a) ab(a)"));
    assert_eq!(did, Did::Event(Applied::Late));
    assert_eq!(script.call("a").status, CallStatus::Completed);
}

#[test]
fn case_e25_an_answer_after_an_error_is_late() {
    let mut script = Script::new();
    let did = last(script.play("q(a) run(a) err(a) ok(a)"));
    assert_eq!(did, Did::Event(Applied::Late));
    assert_eq!(script.call("a").status, CallStatus::Failed);
}

#[test]
fn case_e26_a_second_error_is_a_repetition() {
    let mut script = Script::new();
    let did = last(script.play("q(a) run(a) err(a) err(a)"));
    assert_eq!(did, Did::Event(Applied::Duplicate));
    assert_eq!(script.call("a").completed_at, Some(at(3)));
}

#[test]
fn case_e27_the_first_start_counts() {
    let mut script = Script::new();
    script.play("q(a) run(a) run(a)");
    assert_eq!(script.call("a").status, CallStatus::Running);
    assert_eq!(script.call("a").started_at, Some(at(2)));
}

#[test]
fn case_e28_what_has_ended_does_not_start() {
    let mut script = Script::new();
    let did = last(script.play("q(a) ok(a) run(a)"));
    let refused = GraphError::InvalidTransition {
        request_id: id("a"),
        from: CallStatus::Completed,
        to: CallStatus::Running,
    };
    assert_eq!(did, Did::Status(Err(refused)));
    assert_eq!(script.call("a").status, CallStatus::Completed);
}

#[test]
fn case_e29_what_is_not_there_does_not_start() {
    let did = Script::new().step("run(a)");
    assert_eq!(
        did,
        Did::Status(Err(GraphError::NodeNotFound { key: id("a") }))
    );
}

#[test]
fn case_e30_the_oldest_of_too_many_held_ids_goes() {
    let mut graph = CallGraph::new();
    for number in 0..1_025 {
        graph.apply(&event("ok", &format!("c{number}"), None, at(0), None));
    }
    assert_eq!((graph.held_ids(), graph.counts().dropped), (1_024, 1));
    graph.apply(&event("q", "c0", None, at(0), None));
    graph.apply(&event("q", "c1", None, at(0), None));
    assert_eq!(graph.get(&id("c0")).unwrap().status, CallStatus::Pending);
    assert_eq!(graph.get(&id("c1")).unwrap().status, CallStatus::Completed);
}

#[test]
fn case_e31_what_is_held_goes_after_a_minute() {
    let mut script = Script::new();
    script.play("ok(a)@0 q(a)@61");
    assert_eq!(script.call("a").status, CallStatus::Pending);
    assert_eq!(script.graph.counts().dropped, 1);
    assert_eq!(
        Script::of("ok(a)@0 q(a)@60").get(&id("a")).unwrap().status,
        CallStatus::Completed
    );
}

#[test]
fn events_of_one_id_are_held_up_to_a_limit() {
    let mut graph = CallGraph::new();
    for _ in 0..1_030 {
        graph.apply(&event("ok", "a", None, at(0), None));
    }
    assert_eq!((graph.held_ids(), graph.counts().dropped), (1, 6));
}

#[test]
fn case_e32_a_subscription_goes_on_until_it_is_completed() {
    let mut script = Script::subscription();
    script.play("q(a) run(a) ok(a,seq1) ok(a,seq2)");
    assert_eq!(
        (script.call("a").status, script.call("a").items),
        (CallStatus::Running, 2)
    );
    assert_eq!(script.call("a").output, Some(json!("seq2")));
    script.play("done(a)");
    assert_eq!(
        (script.call("a").status, script.call("a").items),
        (CallStatus::Completed, 2)
    );
    assert_eq!(script.call("a").completed_at, Some(at(5)));
}

#[test]
fn case_e33_items_count_by_their_numbers() {
    let mut script = Script::subscription();
    let did = script.play("q(a) ok(a,seq2) ok(a,seq1) ok(a,seq2)");
    assert_eq!(script.call("a").items, 2);
    assert_eq!(script.call("a").output, Some(json!("seq2")));
    assert_eq!(
        did[2..],
        [Did::Event(Applied::Late), Did::Event(Applied::Duplicate)]
    );
}

#[test]
fn case_e33_items_without_numbers_are_counted() {
    let mut script = Script::subscription();
    script.play("q(a) ok(a,x) ok(a,y)");
    assert_eq!(
        (script.call("a").items, &script.call("a").output),
        (2, &Some(json!("y")))
    );
}

#[test]
fn case_e34_items_of_a_failed_subscription_are_no_answer() {
    let mut script = Script::subscription();
    script.play("q(a) run(a) ok(a,seq1) err(a)");
    let call = script.call("a");
    assert_eq!(
        (call.status, call.items, &call.output),
        (CallStatus::Failed, 1, &None)
    );
    assert_eq!(script.step("ok(a,seq2)"), Did::Event(Applied::Late));
    assert_eq!(
        (script.call("a").items, &script.call("a").output),
        (2, &None)
    );
}

#[test]
fn case_e35_without_a_type_the_first_answer_ends_a_call() {
    let mut script = Script::new();
    script.play("q(a) run(a) ok(a,seq1)");
    assert_eq!(script.call("a").status, CallStatus::Completed);
    script.play("ok(a,seq2) done(a)");
    assert_eq!(script.call("a").output, Some(json!("seq1")));
}

#[test]
fn case_e36_an_error_of_the_wire_is_nested_and_stamped() {
    let frame = Frame {
        kind: "call.error".to_owned(),
        id: String::new(),
        payload: json!({ "requestId": "a", "code": "TIMEOUT", "message": "late", "details": 3 }),
    };
    let event = CallEvent::from_wire(frame, at(7)).unwrap().unwrap();
    assert_eq!(
        event.to_json(),
        json!({
            "type": "call.error", "requestId": "a", "timestamp": at(7).to_string(),
            "error": { "code": "TIMEOUT", "message": "late", "details": 3 },
        })
    );
}

#[test]
fn case_e37_an_envelope_of_the_wire_is_parted() {
    let envelope = Envelope::local(json!({ "sum": 3 }), &op("math.add"));
    let meta = json!(envelope.meta);
    let frame = Frame {
        kind: "call.responded".to_owned(),
        id: "a".to_owned(),
        payload: json!({ "requestId": "a", "output": envelope }),
    };
    let mut script = Script::new();
    script.play("q(a)");
    script
        .graph
        .apply(&CallEvent::from_wire(frame, at(7)).unwrap().unwrap());
    assert_eq!(script.call("a").output, Some(json!({ "sum": 3 })));
    assert_eq!(script.call("a").metadata["response"], meta);
}

#[test]
fn a_request_of_the_wire_gets_an_absolute_deadline() {
    let frame = |payload| Frame {
        kind: "call.requested".to_owned(),
        id: String::new(),
        payload,
    };
    let deadline = |payload| {
        let event = CallEvent::from_wire(frame(payload), at(0))
            .unwrap()
            .unwrap();
        let EventKind::Requested(told) = event.kind else {
            panic!("a request");
        };
        told.deadline
    };
    let plain = json!({ "requestId": "a", "operationId": "test.run", "input": {} });
    assert_eq!(deadline(plain.clone()), None);
    let mut given = plain;
    given["deadline"] = json!(at(5).as_millis() as f64 + 0.5);
    assert_eq!(deadline(given.clone()), Some(at(5)));
    given["timeoutMs"] = json!(3_000);
    assert_eq!(deadline(given.clone()), Some(at(3)));
    given["operationId"] = json!("nothing");
    assert!(matches!(
        CallEvent::from_wire(frame(given), at(0)),
        Err(GraphError::InvalidInput { .. })
    ));
    let progress = Frame {
        kind: "call.progress".to_owned(),
        id: String::new(),
        payload: json!({ "requestId": "a", "fraction": 0.5 }),
    };
    assert_eq!(CallEvent::from_wire(progress, at(0)), Ok(None));
}

#[test]
fn case_e38_times_are_cut_to_milliseconds_in_utc() {
    let read = |text: &str| text.parse::<Timestamp>().map(|moment| moment.to_string());
    for (text, expected) in [
        (
            "2026-05-25T10:00:00.123999+02:00",
            "2026-05-25T08:00:00.123Z",
        ),
        ("2026-05-25t10:00:00z", "2026-05-25T10:00:00.000Z"),
        ("2026-05-25T10:00:00.1Z", "2026-05-25T10:00:00.100Z"),
        (
            "2026-05-25T10:00:00.123456789-23:59",
            "2026-05-26T09:59:00.123Z",
        ),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected));
    }
}

#[test]
fn case_e39_other_texts_are_no_times() {
    for text in [
        "2026-05-25T10:00:00",
        "2026-13-01T10:00:00Z",
        "2026-05-25 10:00:00Z",
        "2026-05-25T10:00:00.Z",
        "2026-05-25T10:00:00.1234567890Z",
        "2026-05-25T25:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00+01:00",
        "",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
        let json = json!({ "type": "call.completed", "requestId": "a", "timestamp": text });
        assert!(matches!(
            CallEvent::from_json(json),
            Err(GraphError::InvalidInput { .. })
        ));
    }
}

#[test]
fn case_e40_a_clock_that_steps_back_leaves_no_negative_time() {
    let graph = Script::of("q(a) run(a)@10 ok(a)@8");
    assert_eq!(graph.get(&id("a")).unwrap().completed_at, Some(at(10)));
    assert_eq!(graph.duration(&id("a")).unwrap().as_millis(), 0);
}

#[test]
fn case_e41_what_is_no_event_is_refused_with_all_faults() {
    let faults = |json| match CallEvent::from_json(json) {
        Err(GraphError::InvalidInput { errors }) => errors
            .into_iter()
            .map(|fault| fault.path)
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let time = at(0).to_string();
    assert_eq!(
        faults(json!({ "type": "call.running", "requestId": "a", "timestamp": time })),
        ["/type"]
    );
    assert_eq!(
        faults(json!({ "type": "call.requested", "timestamp": null, "operationId": 3 })),
        ["/requestId", "/timestamp", "/operationId"]
    );
    assert_eq!(
        faults(json!({ "type": "call.error", "requestId": "a", "timestamp": time })),
        ["/error"]
    );
    assert_eq!(faults(json!([])), [""]);
}

#[test]
fn events_round_trip_through_json() {
    let mut request = event("q", "b<a", Some("op1"), at(3), None);
    if let EventKind::Requested(told) = &mut request.kind {
        told.deadline = Some(at(9));
        told.identity = Some(Identity::default());
    }
    for event in [
        request,
        event("ok", "a", Some("seq2"), at(1), None),
        event("done", "a", Some("y"), at(1), None),
        event("done", "a", None, at(1), None),
        event("err", "a", None, at(1), None),
        event("ab", "a", None, at(1), None),
    ] {
        assert_eq!(CallEvent::from_json(event.to_json()), Ok(event));
    }
}

#[test]
fn case_e42_an_operation_nobody_knows_makes_a_node() {
    assert_eq!(Script::of("q(a,nobodyKnowsMe)").len(), 1);
}

#[test]
fn a_call_that_is_added_gets_what_was_held_for_it() {
    let mut graph = graph(&[]);
    graph.apply(&event("ok", "a", Some("x"), at(2), None));
    graph.add_call(crate::node("a", 1)).unwrap();
    assert_eq!(graph.get(&id("a")).unwrap().status, CallStatus::Completed);
}

#[test]
fn an_end_told_to_the_graph_and_told_by_events_is_one() {
    let mut script = Script::new();
    script.play("q(a) run(a)");
    let extra = StatusExtra {
        output: Some(json!("x")),
        ..StatusExtra::default()
    };
    script
        .graph
        .update_status(&id("a"), CallStatus::Completed, at(4), extra)
        .unwrap();
    let did = script.play("ok(a,y)@3 done(a)@3");
    assert_eq!(
        did,
        [
            Did::Event(Applied::Duplicate),
            Did::Event(Applied::Duplicate)
        ]
    );
    assert_eq!(script.call("a").completed_at, Some(at(4)));
}
