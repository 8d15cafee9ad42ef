//! `alkhub spoke`: a developer's machine at a real hub, both as processes of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;
use crate::support::Home;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `alkhub spoke run`; killed when dropped.
struct Spoke {
    child: Child,
    events: BufReader<ChildStdout>,
    id: String,
}

impl Spoke {
    /// Starts it on the directory and waits until it is connected.
    fn start(home: &Home, more: &[&str]) -> Spoke {
        let mut arguments = vec!["--data-dir", "data", "--json", "spoke", "run"];
        arguments.extend(more);
        let mut child = home
            .command(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        let mut spoke = Spoke {
            child,
            events,
            id: String::new(),
        };
        let connected = spoke.event();
        assert_eq!(connected["event"], "connected", "{connected}");
        assert!(connected["operations"].as_array().unwrap().len() > 20);
        spoke.id = connected["spokeId"].as_str().unwrap().to_owned();
        spoke
    }

    /// The next thing it tells.
    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|problem| panic!("{problem}: {line:?}"))
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
    }
}

impl Drop for Spoke {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

fn project(home: &Home) -> PathBuf {
    home.file("work/hello.txt", "one\ntwo\n");
    home.path().join("work")
}

/// A call that goes on while the test does something else.
fn calling(home: &Home, arguments: &[&str]) -> Child {
    let mut all = vec!["--data-dir", "data", "--json", "call"];
    all.extend(arguments);
    home.command(&all)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "processes of their own are looked at; there is no runtime here and no signal to wait for"
)]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The process a command wrote down with `echo $$ > FILE`.
fn written_pid(file: &Path) -> String {
    until("the command begins", || {
        let text = std::fs::read_to_string(file).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
}

fn runs(pid: &str) -> bool {
    Command::new("kill")
        .args(["-0", pid])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn a_machine_offers_files_shell_and_git() {
    let home = Home::new();
    let server = Server::start(&home);
    let work = project(&home);
    let git = |arguments: &[&str]| {
        let ran = Command::new("git")
            .args(arguments)
            .current_dir(&work)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{arguments:?}");
    };
    git(&["init", "-q", "-b", "trunk"]);
    let mut spoke = Spoke::start(&home, &["--project", "work", "--name", "laptop"]);

    let read = server.json(&["call", "fs.read", "path=hello.txt"]);
    assert_eq!(read["content"], "one\ntwo\n", "{read}");
    let status = server.json(&["call", "git.status"]);
    assert_eq!(status["branch"], "trunk", "{status}");
    assert_eq!(status["files"][0]["path"], "hello.txt", "{status}");
    let outside = server.refused(&["call", "fs.read", "path=/etc/hostname"]);
    assert_eq!(outside["code"], "PATH_OUTSIDE", "{outside}");
    assert!(
        server
            .text(&["ops", "list", "--provider", "spoke"])
            .contains("fs.read")
    );

    let list = server.text(&["spoke", "list", "--status", "connected"]);
    assert!(
        list.contains("laptop") && list.contains("dev-env"),
        "{list}"
    );
    let one = server.json(&["spoke", "get", "laptop"]);
    assert_eq!(one["id"], spoke.id.as_str());
    let drained = server.json(&["spoke", "drain", "laptop"]);
    assert_eq!(drained["metadata"]["drain"], true, "{drained}");
    server.json(&["spoke", "drain", "laptop", "--off"]);
    let connected = server.refused(&["spoke", "delete", "laptop"]);
    assert_eq!(connected["code"], "CONFLICT");

    spoke.signal("-TERM");
    let stopped = until("it stops", || {
        let event = spoke.event();
        (event["event"] == "stopped").then_some(event)
    });
    assert_eq!(stopped["event"], "stopped");
    assert_eq!(spoke.child.wait().unwrap().code(), Some(0));
    let one = server.json(&["spoke", "get", "laptop"]);
    assert_eq!(one["status"], "disconnected", "{one}");
    assert_eq!(server.text(&["spoke", "delete", "laptop"]), "deleted\n");
}

#[test]
fn output_of_a_command_arrives_while_it_runs() {
    let home = Home::new();
    let _server = Server::start(&home);
    let work = project(&home);
    let _spoke = Spoke::start(&home, &["--project", "work"]);
    // It goes on only after what it printed first was seen here.
    let command = "command=echo begun; while [ ! -e seen ]; do sleep 0.05; done; echo done";
    let mut call = calling(&home, &["bash.stream", command]);
    let mut lines = BufReader::new(call.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["data"], "begun\n");
    std::fs::write(work.join("seen"), "").unwrap();
    assert_eq!(next()["data"], "done\n");
    assert_eq!(next()["exitCode"], 0);
    assert!(call.wait().unwrap().success());
}

#[test]
fn an_aborted_command_is_gone_from_the_machine() {
    let home = Home::new();
    let server = Server::start(&home);
    let work = project(&home);
    let _spoke = Spoke::start(&home, &["--project", "work"]);
    let call = calling(
        &home,
        &["bash.exec", "command=sleep 300 & echo $! > pid; wait"],
    );
    let pid = written_pid(&work.join("pid"));
    let running = server.json(&["call", "list", "--operation", "bash.exec"]);
    let id = running["items"][0]["requestId"].as_str().unwrap();
    assert_eq!(running["items"][0]["status"], "running", "{running}");
    server.text(&["call", "abort", id, "--reason", "enough"]);
    until("its process is gone", || (!runs(&pid)).then_some(()));
    let ended = call.wait_with_output().unwrap();
    let error: Value = serde_json::from_slice(&ended.stderr).unwrap();
    assert_eq!(error["code"], "ABORTED", "{error}");
    assert!(server.text(&["call", "tree", id]).contains("aborted"));
}

#[test]
fn a_call_on_a_machine_that_dies_fails_as_provider_lost() {
    let home = Home::new();
    let server = Server::start_with(&home, &["--set", "spokes.resumeGrace=1s"]);
    let work = project(&home);
    let spoke = Spoke::start(&home, &["--project", "work"]);
    let call = calling(&home, &["bash.exec", "command=echo $$ > pid; sleep 300"]);
    let pid = written_pid(&work.join("pid"));
    spoke.signal("-KILL");
    let ended = call.wait_with_output().unwrap();
    let error: Value = serde_json::from_slice(&ended.stderr).unwrap();
    assert_eq!(error["code"], "PROVIDER_LOST", "{error}");
    assert_eq!(error["details"]["started"], true, "{error}");
    let running = server.json(&["call", "list", "--status", "running"]);
    let commands: Vec<&Value> = running["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["operation"] == "bash.exec")
        .collect();
    assert!(commands.is_empty(), "{running}");
    // What a killed spoke leaves behind is nobody's any more.
    let _gone_already = Command::new("kill").args(["-9", &pid]).status();
}

#[test]
fn a_machine_comes_back_to_a_hub_that_was_restarted() {
    let home = Home::new();
    let server = Server::start(&home);
    project(&home);
    let announced = std::fs::read_to_string(Server::hub_file(&home)).unwrap();
    let announced: Value = serde_json::from_str(&announced).unwrap();
    let url = announced["url"].as_str().unwrap();
    let port = url.rsplit(':').next().unwrap();
    let address = format!("127.0.0.1:{port}");
    let mut spoke = Spoke::start(&home, &["--project", "work", "--name", "laptop"]);
    server.stop();
    assert_eq!(spoke.event()["event"], "disconnected");
    // At the same address, beside the one every test listens on.
    let server = Server::start_with(&home, &["--listen", &address]);
    assert_eq!(spoke.event()["event"], "connected");
    let read = server.json(&["call", "fs.read", "path=hello.txt"]);
    assert_eq!(read["totalLines"], 2, "{read}");
    assert_eq!(
        server.json(&["spoke", "get", "laptop"])["id"],
        spoke.id.as_str()
    );
}

#[test]
fn a_machine_enrols_with_a_token() {
    let home = Home::new();
    let server = Server::start(&home);
    project(&home);
    let demo = server.json(&["project", "create", "demo"]);
    let demo = demo["id"].as_str().unwrap();
    let invited = server.text(&["spoke", "invite", "--project", "demo"]);
    let token = invited.trim();
    server.text(&["spoke", "enroll", token, "build-7", "--out", "spoke.key"]);
    let spoke = Spoke::start(
        &home,
        &[
            "--project",
            "work",
            "--key-file",
            "spoke.key",
            "--project-id",
            demo,
            "--name",
            "b7",
        ],
    );
    let list = server.json(&["spoke", "list", "--project", "demo"]);
    assert_eq!(list["items"][0]["id"], spoke.id.as_str(), "{list}");
    let again = server.refused(&["spoke", "enroll", token, "build-8", "--out", "other.key"]);
    assert_eq!(again["code"], "UNAUTHENTICATED");
    assert!(!home.path().join("other.key").exists());
}

#[test]
fn faults_of_a_start_say_what_to_do() {
    let home = Home::new();
    let server = Server::start(&home);
    project(&home);
    let absent = server.run(&["spoke", "run", "--project", "nowhere"]);
    assert_eq!(absent.code, Some(2), "{}", absent.stderr);
    assert!(absent.stderr.contains("nowhere"), "{}", absent.stderr);

    let key = home.file("bad.key", "alk_nobody_knows_this_key\n");
    private(&key);
    let refused = server.run(&["spoke", "run", "--project", "work", "--key-file", "bad.key"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("alkhub key create"),
        "{}",
        refused.stderr
    );

    home.file("spoke.toml", "name = 'x'\nagents = 1\n");
    let unknown = server.run(&["spoke", "run", "--config", "spoke.toml"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains(":2"), "{}", unknown.stderr);

    let _spoke = Spoke::start(&home, &["--project", "work", "--name", "laptop"]);
    let twice = server.refused(&["spoke", "run", "--project", "work", "--name", "laptop"]);
    assert_eq!(twice["details"]["rule"], "already_connected", "{twice}");
    assert!(
        twice["message"].as_str().unwrap().contains("--replace"),
        "{twice}"
    );
}

fn private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}
