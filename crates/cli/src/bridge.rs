//! Carries messages of the Model Context Protocol between standard input and output and a hub.
//!
//! A message is a line. Each goes to the hub's `/mcp` as it is, with the headers that HTTP asks for;
//! what the hub answers, one message or a stream of them, comes out line by line. Requests run side
//! by side, so that a long one holds up no other.

mod headers;

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::args::Global;
use crate::client::Client;
use crate::client::items::take_event;
use crate::failure::{Failure, Refusal};
use crate::output::Output;

/// Code of JSON-RPC for a line that is no JSON.
const PARSE_ERROR: i64 = -32700;
/// Code of JSON-RPC for a request that did not reach the hub, or that it refused.
const INTERNAL_ERROR: i64 = -32603;
/// Lines that may wait; more of them stay in the pipe.
const WAITING: usize = 64;
/// A request that answers until it is cancelled.
const LISTEN: &str = "subscriptions/listen";

/// Carries messages until standard input ends and what was asked is answered.
pub(crate) async fn run(
    global: &Global,
    tools: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(global)?;
    output.hint(&format!("messages go to {}/mcp", client.url()))?;
    let bridge = Arc::new(Bridge {
        global: global.clone(),
        tools,
        output,
        client: Mutex::new(Arc::new(client)),
        revision: Mutex::new(None),
        running: Mutex::new(HashMap::new()),
    });
    let mut lines = read_lines();
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => bridge.take(line?, &mut requests)?,
                None => break,
            },
            Some(done) = requests.join_next() => bridge.done(done)?,
        }
    }
    bridge.stop_listening();
    while let Some(done) = requests.join_next().await {
        bridge.done(done)?;
    }
    Ok(())
}

struct Bridge {
    global: Global,
    /// Value of the header that chooses tools.
    tools: Option<String>,
    output: Output,
    client: Mutex<Arc<Client>>,
    /// The revision agreed on in a handshake; requests of revisions without one carry theirs.
    revision: Mutex<Option<String>>,
    /// Requests under way, by their ids as JSON.
    running: Mutex<HashMap<String, Request>>,
}

struct Request {
    task: AbortHandle,
    listens: bool,
}

type Done = Result<Result<(), Failure>, tokio::task::JoinError>;

impl Bridge {
    /// Begins with a line of input.
    fn take(
        self: &Arc<Self>,
        line: String,
        requests: &mut JoinSet<Result<(), Failure>>,
    ) -> Result<(), Failure> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let message: Value = match serde_json::from_str(&line) {
            Ok(message) => message,
            Err(problem) => {
                let text = format!("the line is no JSON: {problem}");
                return self.write(&error(None, PARSE_ERROR, &text, None));
            }
        };
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        if method == "notifications/cancelled" {
            // The end of the connection is what HTTP has for it.
            self.cancel(&message["params"]["requestId"]);
            return Ok(());
        }
        let id = message.get("id").filter(|_| !method.is_empty()).cloned();
        let bridge = Arc::clone(self);
        let own_id = id.clone();
        let task = requests.spawn(async move {
            let sent = bridge.send(&message, line).await;
            if let Some(id) = &own_id {
                bridge.running().remove(&id.to_string());
            }
            sent
        });
        // The task runs only once this one waits, so it cannot have ended yet.
        if let Some(id) = id {
            let listens = method == LISTEN;
            let request = Request { task, listens };
            self.running().insert(id.to_string(), request);
        }
        Ok(())
    }

    /// Sends a message and writes what is answered.
    async fn send(&self, message: &Value, line: String) -> Result<(), Failure> {
        let id = message.get("id").filter(|_| message["method"].is_string());
        let answer = match self.forward(message, line).await {
            Ok(response) => self.answer(message, response).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(()) => Ok(()),
            // Whoever started this program has gone.
            Err(failure @ Failure::Output(_)) => Err(failure),
            Err(failure) => {
                self.output.warning(&failure.sentence())?;
                match id {
                    Some(id) => {
                        let data = match &failure {
                            Failure::Refused(refusal) => Some(json!(refusal)),
                            _ => None,
                        };
                        let text = sentence(&failure);
                        self.write(&error(Some(id), INTERNAL_ERROR, &text, data))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    async fn forward(&self, message: &Value, line: String) -> Result<Response, Failure> {
        let revision = self.lock(&self.revision).clone();
        let headers = headers::of(message, revision.as_deref(), self.tools.as_deref());
        let client = Arc::clone(&self.lock(&self.client));
        match client.forward(line.clone(), headers.clone()).await {
            Err(Failure::NoHub(why)) => match self.look_again(&client) {
                Some(client) => client.forward(line, headers).await,
                None => Err(Failure::NoHub(why)),
            },
            other => other,
        }
    }

    /// A hub that was started anew may have another address.
    fn look_again(&self, old: &Client) -> Option<Arc<Client>> {
        let new = Client::new(&self.global).ok()?;
        if new.url() == old.url() {
            return None;
        }
        let new = Arc::new(new);
        *self.lock(&self.client) = Arc::clone(&new);
        Some(new)
    }

    async fn answer(&self, message: &Value, mut response: Response) -> Result<(), Failure> {
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            let mut waiting = Vec::new();
            while let Some(bytes) = response.chunk().await.map_err(|problem| cut(&problem))? {
                waiting.extend_from_slice(&bytes);
                while let Some(event) = take_event(&mut waiting) {
                    if let Some(message) = message_in(&event) {
                        self.write(&message)?;
                    }
                }
            }
            return Ok(());
        }
        let status = response.status();
        let body = response.bytes().await.map_err(|problem| cut(&problem))?;
        let answer: Value = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(_) if status.is_success() && body.is_empty() => return Ok(()),
            Err(_) => {
                return Err(Failure::Local(format!(
                    "the hub answered {status} with something that is no message"
                )));
            }
        };
        if answer["jsonrpc"].is_string() {
            if message["method"] == "initialize"
                && let Some(revision) = answer["result"]["protocolVersion"].as_str()
            {
                *self.lock(&self.revision) = Some(revision.to_owned());
            }
            // What could not be read has no id, and nobody waits for its answer.
            return match message.get("id") {
                Some(_) => self.write(&with_id(answer, message)),
                None => Ok(()),
            };
        }
        match serde_json::from_value::<Refusal>(answer) {
            Ok(refusal) => Err(Failure::Refused(refusal)),
            Err(_) => Err(Failure::Local(format!(
                "the hub answered {status} with something that is no message"
            ))),
        }
    }

    fn cancel(&self, id: &Value) {
        if let Some(request) = self.running().remove(&id.to_string()) {
            request.task.abort();
        }
    }

    fn stop_listening(&self) {
        for request in self.running().values().filter(|request| request.listens) {
            request.task.abort();
        }
    }

    fn done(&self, done: Done) -> Result<(), Failure> {
        match done {
            Ok(sent) => sent,
            Err(ended) if ended.is_cancelled() => Ok(()),
            Err(ended) => Err(Failure::Local(format!("a message was lost: {ended}"))),
        }
    }

    fn write(&self, message: &Value) -> Result<(), Failure> {
        self.output.line(message)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Request>> {
        self.lock(&self.running)
    }

    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of standard input, read by a thread of its own: nothing can end a read that waits.
fn read_lines() -> mpsc::Receiver<Result<String, Failure>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|problem| Failure::Local(format!("cannot read the input: {problem}")));
            let last = line.is_err();
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// The message of an event, which is all the data of the event there is.
fn message_in(event: &str) -> Option<Value> {
    let data: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    serde_json::from_str(&data.join("\n")).ok()
}

/// An error about a request that could not be read names no id; here the request is known.
fn with_id(mut answer: Value, message: &Value) -> Value {
    if answer.get("id").is_none() {
        answer["id"] = message["id"].clone();
    }
    answer
}

fn error(id: Option<&Value>, code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({ "code": code, "message": message });
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) => format!("{}: {}", refusal.code, refusal.message),
        other => other.sentence(),
    }
}

fn cut(problem: &reqwest::Error) -> Failure {
    Failure::NoHub(format!(
        "the connection to the hub ended before its answer: {problem}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_holds_one_message_whatever_lines_it_has() {
        let event = "id: 1\ndata: {\"jsonrpc\":\ndata: \"2.0\"}\n\n";
        assert_eq!(message_in(event), Some(json!({ "jsonrpc": "2.0" })));
        assert_eq!(message_in(": comment\n\n"), None);
        assert_eq!(message_in("data: \nretry: 3000\n\n"), None);
    }

    #[test]
    fn errors_without_an_id_get_that_of_their_request() {
        let request = json!({ "id": "a", "method": "x" });
        let answer = json!({ "jsonrpc": "2.0", "error": { "code": -32600 } });
        assert_eq!(with_id(answer, &request)["id"], "a");
        let own = json!({ "jsonrpc": "2.0", "id": 3, "result": {} });
        assert_eq!(with_id(own, &request)["id"], 3);
    }
}
