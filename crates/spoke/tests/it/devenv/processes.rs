//! `process.*`

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine::{Machine, context, eventually, pids, runs, told};

async fn start(machine: &Machine, command: &str) -> (String, i32) {
    let input = json!({ "command": command, "name": "test" });
    let started = machine.call("process.start", input).await;
    let handle = started["handle"].as_str().unwrap().to_owned();
    (
        handle,
        i32::try_from(started["pid"].as_i64().unwrap()).unwrap(),
    )
}

async fn listed(machine: &Machine, handle: &str) -> Value {
    let all = machine
        .call("process.list", json!({ "tailBytes": 1000 }))
        .await;
    let found = all
        .as_array()
        .unwrap()
        .iter()
        .find(|process| process["handle"] == handle);
    found.unwrap().clone()
}

/// Waits until the listing of a process fits.
async fn becomes(machine: &Machine, handle: &str, so: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let process = listed(machine, handle).await;
        if so(&process) {
            return process;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "still {process}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_process_runs_on_after_its_call_and_is_listed() {
    let machine = Machine::new();
    let (handle, pid) = start(&machine, "echo ready; sleep 300").await;
    let process = becomes(&machine, &handle, |process| process["tail"] == "ready\n").await;
    let started_at = process["startedAt"].clone();
    assert_eq!(
        process,
        json!({
            "handle": handle, "name": "test", "command": "echo ready; sleep 300", "pid": pid,
            "state": "running", "startedAt": started_at, "tail": "ready\n",
        })
    );
    assert!(runs(pid));
    let plain = machine.call("process.list", json!({})).await;
    assert_eq!(plain[0].get("tail"), None);
}

#[tokio::test]
async fn a_process_that_ends_by_itself_keeps_its_exit_code() {
    let machine = Machine::new();
    let (handle, _) = start(&machine, "exit 7").await;
    let process = becomes(&machine, &handle, |process| process["state"] == "exited").await;
    assert_eq!(process["exitCode"], 7);
    let stopped = machine
        .call("process.stop", json!({ "handle": handle }))
        .await;
    assert_eq!(stopped, json!({ "ended": true, "exitCode": 7 }));
    let error = machine
        .fail("process.send", json!({ "handle": handle, "data": "x" }))
        .await;
    assert_eq!(told(&error), ("PROCESS_ENDED", 409));
}

#[tokio::test]
async fn a_process_reads_what_it_is_sent() {
    let machine = Machine::new();
    let (handle, _) = start(
        &machine,
        "while read line; do echo got $line; done; echo over",
    )
    .await;
    let sent = machine
        .call("process.send", json!({ "handle": handle, "data": "ü\n" }))
        .await;
    assert_eq!(sent, json!({ "bytes": 3 }));
    becomes(&machine, &handle, |process| process["tail"] == "got ü\n").await;
    let input = json!({ "handle": handle, "data": "b\n", "eof": true });
    machine.call("process.send", input).await;
    let process = becomes(&machine, &handle, |process| process["state"] == "exited").await;
    assert_eq!(process["tail"], "got ü\ngot b\nover\n");
    let error = machine
        .fail("process.send", json!({ "handle": handle, "data": "x" }))
        .await;
    assert_eq!(told(&error), ("PROCESS_ENDED", 409));
}

#[tokio::test]
async fn sending_to_a_process_that_does_not_read_ends_with_the_call_or_the_process() {
    let machine = Machine::new();
    let (handle, _) = start(&machine, "sleep 1").await;
    let input = json!({ "handle": handle, "data": "x".repeat(1_000_000) });
    let ctx = context().with_timeout(Duration::from_millis(200));
    let error = machine
        .try_call("process.send", input.clone(), ctx)
        .await
        .unwrap_err();
    assert_eq!(error.code, "TIMEOUT");
    let error = machine.fail("process.send", input).await;
    assert_eq!(told(&error), ("PROCESS_ENDED", 409));
}

#[tokio::test]
async fn stopping_ends_a_process_and_its_children() {
    let machine = Machine::new();
    let (handle, pid) = start(&machine, "sleep 300 & echo $! >> pids; wait").await;
    let child = pids(&machine.path("pids"), 1).await[0];
    let stopped = machine
        .call("process.stop", json!({ "handle": handle }))
        .await;
    assert_eq!(
        stopped,
        json!({ "ended": true, "exitCode": 143, "signal": "SIGTERM" })
    );
    eventually(Duration::from_secs(3), || !runs(pid) && !runs(child)).await;
}

#[tokio::test]
async fn a_process_that_ignores_its_stop_is_killed_after_its_grace() {
    let machine = Machine::new();
    let command = "trap '' TERM; echo $$ >> pids; while :; do sleep 0.1; done";
    let (handle, pid) = start(&machine, command).await;
    pids(&machine.path("pids"), 1).await;
    let begin = Instant::now();
    let stopped = machine
        .call("process.stop", json!({ "handle": handle, "graceMs": 400 }))
        .await;
    assert!(
        begin.elapsed() >= Duration::from_millis(400) && begin.elapsed() < Duration::from_secs(3)
    );
    assert_eq!(stopped["signal"], "SIGKILL");
    assert!(!runs(pid));
}

#[tokio::test]
async fn an_unknown_handle_is_not_found() {
    let machine = Machine::new();
    for (id, input) in [
        ("process.send", json!({ "handle": "none", "data": "x" })),
        ("process.stop", json!({ "handle": "none" })),
    ] {
        assert_eq!(
            told(&machine.fail(id, input).await),
            ("PROCESS_NOT_FOUND", 404)
        );
    }
}

#[tokio::test]
async fn a_process_that_writes_without_end_is_read_and_its_end_is_kept() {
    let machine = Machine::new();
    let (handle, _) = start(&machine, "seq 1 200000; echo last").await;
    let process = becomes(&machine, &handle, |process| process["state"] == "exited").await;
    let tail = process["tail"].as_str().unwrap();
    assert!(
        tail.ends_with("200000\nlast\n") && tail.len() == 1000,
        "{tail}"
    );
}

#[tokio::test]
async fn processes_count_against_the_limit_until_they_are_gone() {
    let machine = Machine::with(|options| options.max_processes = 1);
    let (handle, _) = start(&machine, "sleep 300").await;
    let error = machine
        .fail("process.start", json!({ "command": "true" }))
        .await;
    assert_eq!(told(&error), ("TOO_MANY_PROCESSES", 429));
    machine
        .call("process.stop", json!({ "handle": handle }))
        .await;
    let begin = Instant::now();
    let again = || machine.try_call("process.start", json!({ "command": "true" }), context());
    while again().await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(3));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn processes_end_with_the_environment() {
    let machine = Machine::new();
    let (_, pid) = start(&machine, "sleep 300 & echo $! >> pids; wait").await;
    let child = pids(&machine.path("pids"), 1).await[0];
    drop(machine);
    eventually(Duration::from_secs(3), || !runs(pid) && !runs(child)).await;
}

#[tokio::test]
async fn shutting_down_waits_for_processes() {
    let machine = Machine::new();
    let (_, pid) = start(&machine, "sleep 300").await;
    machine.environment.shutdown().await;
    assert!(!runs(pid));
}

#[test]
fn processes_end_with_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (machine, pid) = runtime.block_on(async {
        let machine = Machine::new();
        let command = "trap '' TERM; echo $$ >> pids; while :; do sleep 0.1; done";
        let (_, pid) = start(&machine, command).await;
        pids(&machine.path("pids"), 1).await;
        (machine, pid)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    waiting.block_on(eventually(Duration::from_secs(3), || !runs(pid)));
    drop(machine);
}
