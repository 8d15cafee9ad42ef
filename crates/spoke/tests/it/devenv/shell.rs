//! `bash.exec`

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use alkhub_operations::ErrorCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, context, context_of_session, eventually, pids, runs, told};

async fn exec(machine: &Machine, command: &str) -> Value {
    machine
        .call("bash.exec", json!({ "command": command }))
        .await
}

#[tokio::test]
async fn a_command_gives_both_outputs_and_its_exit_code() {
    let machine = Machine::new();
    let result = exec(&machine, "echo out; echo err >&2; exit 3").await;
    let duration = result["durationMs"].as_u64().unwrap();
    assert_eq!(
        result,
        json!({
            "exitCode": 3, "stdout": "out\n", "stderr": "err\n", "durationMs": duration,
            "truncated": false, "timedOut": false,
        })
    );
}

#[tokio::test]
async fn a_command_runs_in_the_root_or_where_it_is_told() {
    let machine = Machine::new();
    fs::create_dir(machine.path("sub")).unwrap();
    let result = exec(&machine, "pwd -P").await;
    assert_eq!(result["stdout"], format!("{}\n", machine.root().display()));
    let input = json!({ "command": "pwd -P", "workdir": "sub" });
    let result = machine.call("bash.exec", input).await;
    assert_eq!(
        result["stdout"],
        format!("{}\n", machine.path("sub").display())
    );
    machine.put("file", "x");
    for (workdir, with) in [
        ("file", ("NOT_A_DIRECTORY", 422)),
        ("absent", ("FILE_NOT_FOUND", 404)),
        ("..", ("PATH_OUTSIDE", 403)),
    ] {
        let input = json!({ "command": "true", "workdir": workdir });
        assert_eq!(told(&machine.fail("bash.exec", input).await), with);
    }
}

#[tokio::test]
async fn a_session_runs_in_its_worktree_and_knows_it() {
    let machine = Machine::new();
    let worktree = machine.path(".worktrees/one");
    fs::create_dir_all(&worktree).unwrap();
    let ctx = || context_of_session(&worktree, "wt/one");
    let command = "pwd -P; echo $ALKHUB_WORKTREE_PATH $ALKHUB_WORKTREE_BRANCH $ALKHUB_SESSION_ID";
    let input = json!({ "command": command });
    let result = machine.try_call("bash.exec", input, ctx()).await.unwrap();
    let path = worktree.display();
    assert_eq!(result["stdout"], format!("{path}\n{path} wt/one ses_1\n"));
    let input = json!({ "command": "pwd -P", "workdir": machine.root() });
    let result = machine.try_call("bash.exec", input, ctx()).await.unwrap();
    assert_eq!(result["stdout"], format!("{}\n", machine.root().display()));
}

#[tokio::test]
async fn a_command_gets_the_allowed_variables_and_those_of_the_call() {
    let machine = Machine::with(|options| options.env_pass = vec!["PATH".to_owned()]);
    let input = json!({ "command": "env", "env": { "GIVEN": "a b" } });
    let result = machine.call("bash.exec", input).await;
    let mut names: Vec<&str> = result["stdout"]
        .as_str()
        .unwrap()
        .lines()
        .map(|line| line.split_once('=').unwrap().0)
        // The shell's own.
        .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "PATH"]);
}

#[tokio::test]
async fn a_variable_needs_a_name() {
    let machine = Machine::new();
    for name in ["", "A=B", "A\0"] {
        let input = json!({ "command": "true", "env": { name: "x" } });
        let error = machine.fail("bash.exec", input).await;
        assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    }
}

#[tokio::test]
async fn input_is_what_was_given_and_else_empty() {
    let machine = Machine::new();
    let result = exec(&machine, "cat; echo end").await;
    assert_eq!(result["stdout"], "end\n");
    let input = json!({ "command": "cat", "stdin": "ü\n".repeat(100_000) });
    let result = machine.call("bash.exec", input).await;
    assert_eq!(result["stdout"].as_str().unwrap().len(), 300_000);
    // It need not read it.
    let input = json!({ "command": "exec <&-; echo ok", "stdin": "x".repeat(1_000_000) });
    let result = machine.call("bash.exec", input).await;
    assert_eq!(result["stdout"], "ok\n");
}

#[tokio::test]
async fn a_command_has_no_terminal() {
    let machine = Machine::new();
    let result = exec(
        &machine,
        "(exec 3</dev/tty) 2>/dev/null && echo tty || echo none",
    )
    .await;
    assert_eq!(result["stdout"], "none\n");
}

#[tokio::test]
async fn of_a_long_output_both_ends_are_kept() {
    let machine = Machine::new();
    let command = "echo begin; head -c 100000 /dev/zero | tr '\\0' x; echo; echo end";
    let input = json!({ "command": command, "maxOutputBytes": 1000 });
    let result = machine.call("bash.exec", input).await;
    let stdout = result["stdout"].as_str().unwrap();
    assert!(
        stdout.starts_with("begin\nxxx") && stdout.ends_with("xxx\nend\n"),
        "{stdout}"
    );
    assert!(stdout.len() < 1_100);
    assert_eq!(result["truncated"], true);
}

#[tokio::test]
async fn output_that_is_no_text_is_made_safe() {
    let machine = Machine::new();
    let result = exec(&machine, r"printf 'a\377b\303\274'").await;
    assert_eq!(result["stdout"], "a\u{fffd}bü");
}

#[tokio::test]
async fn a_signal_that_ends_a_command_is_named() {
    let machine = Machine::new();
    let result = exec(&machine, "kill -KILL $$").await;
    assert_eq!(
        (&result["exitCode"], &result["signal"]),
        (&json!(137), &json!("SIGKILL"))
    );
}

#[tokio::test]
async fn a_command_whose_time_is_up_ends_with_what_it_wrote() {
    let machine = Machine::new();
    let input = json!({ "command": "echo begun; sleep 60", "timeoutMs": 300 });
    let begin = Instant::now();
    let result = machine.call("bash.exec", input).await;
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(
        (&result["timedOut"], &result["stdout"]),
        (&json!(true), &json!("begun\n"))
    );
    assert_eq!(result["signal"], "SIGTERM");
}

#[tokio::test]
async fn a_command_that_ignores_the_end_of_its_time_is_killed() {
    let machine = Machine::new();
    let command = "trap '' TERM; while :; do sleep 0.1; done";
    let input = json!({ "command": command, "timeoutMs": 100 });
    let begin = Instant::now();
    let result = machine.call("bash.exec", input).await;
    assert!(begin.elapsed() >= Duration::from_secs(5) && begin.elapsed() < Duration::from_secs(7));
    assert_eq!(
        (&result["timedOut"], &result["signal"]),
        (&json!(true), &json!("SIGKILL"))
    );
}

#[tokio::test]
async fn what_a_command_leaves_running_does_not_hold_it_and_is_ended() {
    let machine = Machine::new();
    let begin = Instant::now();
    let result = exec(&machine, "sleep 60 & echo $! > pid; echo done").await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(result["stdout"], "done\n");
    let pid = pids(&machine.path("pid"), 1).await[0];
    eventually(Duration::from_secs(6), || !runs(pid)).await;
}

/// Runs a command, aborts it once it has written its process ids, and waits until all are gone.
async fn abort(command: &str, count: usize, within: Duration) {
    let machine = Machine::new();
    let file: PathBuf = machine.path("pids");
    let token = CancellationToken::new();
    let ctx = context().with_cancellation(token.clone());
    let call = machine.try_call("bash.exec", json!({ "command": command }), ctx);
    let aborting = async {
        let pids = pids(&file, count).await;
        assert!(pids.iter().all(|pid| runs(*pid)));
        token.cancel();
        (Instant::now(), pids)
    };
    let (result, (begin, pids)) = tokio::join!(call, aborting);
    assert_eq!(result.unwrap_err().code, ErrorCode::ABORTED);
    eventually(within.saturating_sub(begin.elapsed()), || {
        !pids.iter().any(|pid| runs(*pid))
    })
    .await;
}

#[tokio::test]
async fn case_h26_an_abort_ends_a_sleeping_grandchild() {
    let command = "echo $$ >> pids; (sleep 300 & echo $! >> pids; wait) & wait";
    abort(command, 2, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn case_h26_an_abort_kills_a_grandchild_that_ignores_it() {
    let command = "trap '' TERM; echo $$ >> pids; \
                   (trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 0.2; done' & wait) & \
                   while :; do sleep 0.2; done";
    abort(command, 2, Duration::from_secs(6)).await;
}

#[tokio::test]
async fn an_abort_ends_jobs_that_the_shell_gave_groups_of_their_own() {
    let command = "set -m; sleep 300 & echo $! >> pids; echo $$ >> pids; wait";
    abort(command, 2, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn an_abort_ends_what_is_stopped() {
    let command = "sleep 300 & echo $! >> pids; kill -STOP $!; wait";
    abort(command, 1, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_call_that_times_out_ends_its_command() {
    let machine = Machine::new();
    let ctx = context().with_timeout(Duration::from_millis(500));
    let input = json!({ "command": "echo $$ > pid; sleep 300" });
    let error = machine.try_call("bash.exec", input, ctx).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TIMEOUT);
    let pid = pids(&machine.path("pid"), 1).await[0];
    eventually(Duration::from_secs(3), || !runs(pid)).await;
}

#[tokio::test]
async fn no_more_commands_run_at_once_than_are_allowed() {
    let machine = Machine::with(|options| options.max_processes = 1);
    let input = json!({ "command": "echo > begun; sleep 300" });
    let token = CancellationToken::new();
    let ctx = context().with_cancellation(token.clone());
    let long = machine.try_call("bash.exec", input, ctx);
    let other = async {
        eventually(Duration::from_secs(5), || machine.path("begun").exists()).await;
        let error = machine
            .fail("bash.exec", json!({ "command": "true" }))
            .await;
        assert_eq!(told(&error), ("TOO_MANY_PROCESSES", 429));
        assert_eq!(error.details.unwrap()["limit"], 1);
        token.cancel();
    };
    let (result, ()) = tokio::join!(long, other);
    assert!(result.is_err());
    // Its place is free once it is gone.
    let begin = Instant::now();
    while machine
        .try_call("bash.exec", json!({ "command": "true" }), context())
        .await
        .is_err()
    {
        assert!(begin.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_shell_that_does_not_start_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let shell = directory.path().join("shell");
    fs::write(&shell, "not a program").unwrap();
    let machine = Machine::with(|options| options.shell = Some(shell));
    let error = machine
        .fail("bash.exec", json!({ "command": "true" }))
        .await;
    assert_eq!(told(&error), ("COMMAND_FAILED", 422));
}
