//! `bash.stream`

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, context, eventually, pids, runs, told};

/// All that was written to one of the outputs.
fn written(items: &[Value], stream: &str) -> String {
    let pieces = items.iter().filter(|item| item["stream"] == stream);
    pieces.map(|item| item["data"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn output_comes_in_pieces_and_the_exit_code_last() {
    let machine = Machine::new();
    let command = "echo one; echo two >&2; exit 4";
    let items = machine
        .items("bash.stream", json!({ "command": command }))
        .await;
    assert_eq!(written(&items, "stdout"), "one\n");
    assert_eq!(written(&items, "stderr"), "two\n");
    let last = items.last().unwrap();
    assert_eq!(
        *last,
        json!({ "exitCode": 4, "truncated": false, "timedOut": false })
    );
}

#[tokio::test]
async fn output_is_given_as_it_comes() {
    let machine = Machine::new();
    let input = json!({ "command": "echo one; sleep 300" });
    let mut items = machine.subscribe("bash.stream", input, context());
    let first = tokio::time::timeout(Duration::from_secs(5), items.next()).await;
    let first = first.unwrap().unwrap().unwrap().data;
    assert_eq!(first, json!({ "stream": "stdout", "data": "one\n" }));
}

#[tokio::test]
async fn dropping_the_stream_ends_the_command_and_its_children() {
    let machine = Machine::new();
    let command = "sleep 300 & echo $! >> pids; echo $$ >> pids; echo ready; wait";
    let mut items = machine.subscribe("bash.stream", json!({ "command": command }), context());
    items.next().await.unwrap().unwrap();
    let pids = pids(&machine.path("pids"), 2).await;
    drop(items);
    eventually(Duration::from_secs(3), || {
        !pids.iter().any(|pid| runs(*pid))
    })
    .await;
}

#[tokio::test]
async fn an_abort_ends_the_command() {
    let machine = Machine::new();
    let token = CancellationToken::new();
    let ctx = context().with_cancellation(token.clone());
    let command = "trap '' TERM; echo $$ >> pids; while :; do sleep 0.2; done";
    let mut items = machine.subscribe("bash.stream", json!({ "command": command }), ctx);
    let aborting = async {
        let pids = pids(&machine.path("pids"), 1).await;
        token.cancel();
        pids
    };
    let (last, pids) = tokio::join!(items.next(), aborting);
    assert_eq!(last.unwrap().unwrap_err().code, "ABORTED");
    let begin = Instant::now();
    eventually(Duration::from_secs(6), || !runs(pids[0])).await;
    assert!(
        begin.elapsed() > Duration::from_secs(4),
        "it had its five seconds"
    );
}

#[tokio::test]
async fn a_character_cut_between_two_writes_arrives_whole() {
    let machine = Machine::new();
    let command = r"printf 'a\303'; sleep 0.2; printf '\274b\377'";
    let items = machine
        .items("bash.stream", json!({ "command": command }))
        .await;
    assert_eq!(written(&items, "stdout"), "aüb\u{fffd}");
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let machine = Machine::new();
    let input = json!({ "command": "seq 1 100000", "maxOutputBytes": 4_000_000 });
    let mut items = machine.subscribe("bash.stream", input, context());
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap().data);
        if all.len() < 5 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    let text = written(&all, "stdout");
    assert_eq!(text.lines().count(), 100_000);
    assert_eq!(all.last().unwrap()["exitCode"], 0);
}

#[tokio::test]
async fn behind_the_limit_output_is_left_out_and_the_command_runs_on() {
    let machine = Machine::new();
    let input = json!({ "command": "seq 1 100000; touch end", "maxOutputBytes": 100 });
    let items = machine.items("bash.stream", input).await;
    assert_eq!(written(&items, "stdout").len(), 100);
    assert_eq!(items.last().unwrap()["truncated"], true);
    assert!(machine.path("end").exists());
}

#[tokio::test]
async fn a_command_whose_time_is_up_ends_the_stream() {
    let machine = Machine::new();
    let input = json!({ "command": "echo one; sleep 300", "timeoutMs": 300 });
    let items = machine.items("bash.stream", input).await;
    assert_eq!(written(&items, "stdout"), "one\n");
    let last = items.last().unwrap();
    assert_eq!(
        (&last["timedOut"], &last["signal"]),
        (&json!(true), &json!("SIGTERM"))
    );
}

#[tokio::test]
async fn what_cannot_start_is_the_only_item() {
    let machine = Machine::new();
    let input = json!({ "command": "true", "workdir": "absent" });
    let error = machine.fail_stream("bash.stream", input).await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
}
