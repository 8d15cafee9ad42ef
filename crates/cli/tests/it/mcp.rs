//! `alkhub mcp`: messages on standard input, answers on standard output, nothing else on either.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::server::Server;
use crate::support::Home;

/// A running `alkhub mcp`; killed when dropped.
struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Bridge {
    fn start(home: &Home, more: &[&str]) -> Bridge {
        let mut arguments = vec!["mcp", "--data-dir", "data"];
        arguments.extend(more);
        let mut child = home
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Bridge {
            child,
            stdin,
            stdout,
        }
    }

    fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// The next line of output, which must be a message.
    fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).unwrap();
        assert!(read > 0, "the output ended");
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    /// Sends a request and reads its answer.
    fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.read();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Ends the input; answers exit code and what else came out.
    fn end(mut self) -> (Option<i32>, String) {
        self.stdin = None;
        let mut rest = String::new();
        while self.stdout.read_line(&mut rest).unwrap() > 0 {}
        let code = self.child.wait().unwrap().code();
        (code, rest)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Already gone after `end`; both calls then have nothing to do.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn start(bridge: &mut Bridge) -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    });
    let started = bridge.ask(1, "initialize", params);
    bridge.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    started
}

#[test]
fn a_client_on_stdio_calls_operations() {
    let home = Home::new();
    let server = Server::start(&home);
    let mut bridge = Bridge::start(&home, &[]);
    let started = start(&mut bridge);
    assert_eq!(started["result"]["serverInfo"]["name"], "alkhub");
    assert_eq!(started["result"]["protocolVersion"], "2025-11-25");

    let tools = bridge.ask(2, "tools/list", json!({}));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 4);
    let made = bridge.ask(
        3,
        "tools/call",
        json!({
            "name": "call",
            "arguments": { "operation": "project.create", "input": { "name": "by stdio" } }
        }),
    );
    let output = &made["result"]["structuredContent"]["output"];
    assert_eq!(output["name"], "by stdio");
    assert!(server.text(&["project", "list"]).contains("by stdio"));
    let unknown = bridge.ask(4, "no/such", json!({}));
    assert_eq!(unknown["error"]["code"], -32601);
    let (code, rest) = bridge.end();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
}

#[test]
fn a_client_without_handshake_and_with_chosen_tools() {
    let home = Home::new();
    let _server = Server::start(&home);
    let mut bridge = Bridge::start(&home, &["--tools", "task.ready,task.get"]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let listed = bridge.ask(1, "tools/list", json!({ "_meta": meta }));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["list", "search", "schema", "call", "task_get", "task_ready"]
    );
    assert_eq!(listed["result"]["resultType"], "complete");
    let found = bridge.ask(
        2,
        "tools/call",
        json!({ "name": "search", "arguments": { "query": "task" }, "_meta": meta }),
    );
    assert_eq!(found["result"]["isError"], false);

    // A stream of notifications stays open beside other requests and ends when it is cancelled.
    bridge.send(&json!({
        "jsonrpc": "2.0", "id": 3, "method": "subscriptions/listen",
        "params": { "notifications": { "toolsListChanged": true }, "_meta": meta }
    }));
    let acknowledged = bridge.read();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert!(bridge.ask(4, "server/discover", json!({ "_meta": meta }))["result"].is_object());
    bridge.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 3 }
    }));
    assert_eq!(bridge.end(), (Some(0), String::new()));
}

#[test]
fn the_end_of_the_input_waits_for_answers_but_not_for_streams() {
    let home = Home::new();
    let _server = Server::start(&home);
    let mut bridge = Bridge::start(&home, &[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    bridge.send(&json!({
        "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": { "notifications": { "toolsListChanged": true }, "_meta": meta }
    }));
    bridge.read();
    bridge.send(&json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": { "_meta": meta }
    }));
    let (code, rest) = bridge.end();
    assert_eq!(code, Some(0));
    let answer: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(answer["id"], 2);
}

#[test]
fn what_is_no_message_is_told_in_the_protocol() {
    let home = Home::new();
    let server = Server::start(&home);
    let mut bridge = Bridge::start(&home, &[]);
    bridge.send_line("");
    bridge.send_line("not json");
    assert_eq!(bridge.read()["error"]["code"], -32700);
    bridge.send(&json!({ "jsonrpc": "1.0", "id": 5, "method": "ping" }));
    let refused = bridge.read();
    assert_eq!(refused["id"], 5);
    assert_eq!(refused["error"]["code"], -32600);

    server.stop();
    let gone = bridge.ask(6, "ping", json!({}));
    assert_eq!(gone["error"]["code"], -32603);
    let message = gone["error"]["message"].as_str().unwrap();
    assert!(message.contains("no hub answers"), "{message}");

    // A hub that comes back elsewhere is found again.
    let _server = Server::start(&home);
    assert_eq!(bridge.ask(7, "ping", json!({}))["result"], json!({}));
}

#[test]
fn a_key_that_is_not_good_is_told_for_each_request() {
    let home = Home::new();
    let _server = Server::start(&home);
    let file = home.file("wrong-key", "alk_wrong");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut bridge = Bridge::start(&home, &["--key-file", file.to_str().unwrap()]);
    let refused = bridge.ask(1, "ping", json!({}));
    assert_eq!(refused["error"]["data"]["code"], "UNAUTHENTICATED");
}

#[test]
fn without_a_hub_it_ends_with_a_hint_and_nothing_on_stdout() {
    let home = Home::new();
    let ran = home.run(&["mcp", "--data-dir", "data"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.is_empty());
    assert!(ran.stderr.contains("alkhub serve"), "{}", ran.stderr);
}
