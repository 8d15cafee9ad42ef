//! Tests of the call graph and the operation graph, one module a topic. The numbered cases of the
//! specification keep their number in the name of their test.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod events;
mod functions;
mod json;
mod live;
mod operations;
mod properties;
mod rows;
mod scale;
mod types;
mod views;

use alkhub_callgraph::{
    Applied, CallEvent, CallGraph, CallNode, CallStatus, EventKind, GraphError, Requested,
    StatusExtra, Timestamp, Transition,
};
use alkhub_operations::{ErrorCode, OperationId, OperationType, RequestId};
use serde_json::{Value, json};

fn id(text: &str) -> RequestId {
    text.parse().unwrap()
}

fn ids(texts: &[&str]) -> Vec<RequestId> {
    texts.iter().map(|text| id(text)).collect()
}

fn op(text: &str) -> OperationId {
    text.parse().unwrap()
}

/// So many seconds after the beginning of all tests.
fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_780_000_000_000 + second * 1_000)
}

fn names<'a>(calls: impl IntoIterator<Item = &'a CallNode>) -> Vec<&'a str> {
    calls
        .into_iter()
        .map(|call| call.request_id.as_str())
        .collect()
}

fn texts(ids: &[RequestId]) -> Vec<&str> {
    ids.iter().map(RequestId::as_str).collect()
}

/// A call `a`, or `b<a` for one that `a` made.
fn node(text: &str, second: i64) -> CallNode {
    let (name, parent) = text
        .split_once('<')
        .map_or((text, None), |(name, parent)| (name, Some(parent)));
    let mut node = CallNode::new(id(name), op("test.run")).with_requested_at(at(second));
    node.parent_request_id = parent.map(id);
    node
}

/// A graph of pending calls, asked for one second apart.
fn graph(calls: &[&str]) -> CallGraph {
    let mut graph = CallGraph::new();
    for (second, call) in calls.iter().enumerate() {
        graph.add_call(node(call, second as i64)).unwrap();
    }
    graph
}

/// Events in the notation of the specification: `q(a)`, `q(b<a)`, `q(a,op1)`, `run(a)`, `ok(a,x)`,
/// `done(a)`, `err(a)`, `ab(a)`, each with an optional `@5`; one second apart where none is given.
struct Script {
    graph: CallGraph,
    second: i64,
    kind: Option<OperationType>,
}

/// What one step of a script did.
#[derive(Debug, PartialEq)]
enum Did {
    Event(Applied),
    Status(Result<Transition, GraphError>),
}

impl Script {
    fn new() -> Self {
        Self {
            graph: CallGraph::new(),
            second: 0,
            kind: None,
        }
    }

    fn subscription() -> Self {
        Self {
            kind: Some(OperationType::Subscription),
            ..Self::new()
        }
    }

    fn of(steps: &str) -> CallGraph {
        let mut script = Self::new();
        script.play(steps);
        script.graph
    }

    /// Plays steps parted by spaces; gives what each did.
    fn play(&mut self, steps: &str) -> Vec<Did> {
        steps
            .split_whitespace()
            .map(|step| self.step(step))
            .collect()
    }

    fn step(&mut self, step: &str) -> Did {
        self.second += 1;
        let (step, second) = match step.split_once('@') {
            Some((step, second)) => (step, second.parse().unwrap()),
            None => (step, self.second),
        };
        let (verb, rest) = step.trim_end_matches(')').split_once('(').unwrap();
        let (name, value) = rest
            .split_once(',')
            .map_or((rest, None), |(name, value)| (name, Some(value)));
        if verb == "run" {
            let done = self.graph.update_status(
                &id(name),
                CallStatus::Running,
                at(second),
                StatusExtra::default(),
            );
            return Did::Status(done);
        }
        Did::Event(
            self.graph
                .apply(&event(verb, name, value, at(second), self.kind)),
        )
    }

    fn call(&self, name: &str) -> &CallNode {
        self.graph.get(&id(name)).unwrap()
    }
}

fn event(
    verb: &str,
    name: &str,
    value: Option<&str>,
    at: Timestamp,
    kind: Option<OperationType>,
) -> CallEvent {
    let (name, parent) = name
        .split_once('<')
        .map_or((name, None), |(name, parent)| (name, Some(parent)));
    let what = match verb {
        "q" => {
            let mut told = Requested::new(op(&format!("test.{}", value.unwrap_or("run"))));
            told.input = Some(json!({ "of": name }));
            told.parent_request_id = parent.map(id);
            told.operation_type = kind;
            EventKind::Requested(Box::new(told))
        }
        "ok" => EventKind::Responded {
            output: value.map_or(Value::Null, |value| json!(value)),
            seq: value.and_then(|value| value.strip_prefix("seq")?.parse().ok()),
            meta: None,
        },
        "done" => EventKind::Completed {
            output: value.map(|value| json!(value)),
        },
        "err" => EventKind::Error {
            error: alkhub_callgraph::CallErrorInfo::new(ErrorCode::TIMEOUT, "it took too long"),
        },
        "ab" => EventKind::Aborted {
            by: None,
            reason: None,
        },
        other => panic!("no step {other}"),
    };
    CallEvent::new(id(name), at, what)
}
