//! What keeps the hub busy until it is killed, and the memory of what it answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alkhub_spoke::{CallError, OperationType, Spoke, SpokeError, operation};
use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The operation that the spoke offers.
pub(super) const WORK: &str = "torture.work";

/// The error that the spoke answers on demand.
const REFUSED: &str = "TORTURE_REFUSED";

/// A call that was answered before the kill.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    /// Its request id, as answered.
    pub(super) request_id: String,
    /// What was called.
    pub(super) operation: &'static str,
    /// The state in which its record must be.
    pub(super) state: &'static str,
    /// The row that it made: table and id.
    pub(super) effect: Option<(&'static str, String)>,
}

/// All that was answered, and how often something else came back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    answered: Vec<Answered>,
    /// Answers that promise no record, by code: refused before they were recorded.
    others: Vec<String>,
}

impl Ledger {
    /// Takes out what was answered since the last time.
    pub(super) fn take(shared: &Mutex<Self>) -> (Vec<Answered>, Vec<String>) {
        let mut ledger = shared.lock().unwrap_or_else(PoisonError::into_inner);
        (
            std::mem::take(&mut ledger.answered),
            std::mem::take(&mut ledger.others),
        )
    }
}

#[derive(Deserialize, JsonSchema)]
struct Work {
    /// How long it takes, in milliseconds.
    ms: u64,
    /// Whether it calls the hub meanwhile.
    nested: bool,
    /// Whether it fails.
    fail: bool,
}

#[derive(Serialize, JsonSchema)]
struct Done {
    ms: u64,
}

/// Connects a spoke that works, calls back and fails as its input says.
pub(super) async fn spoke(address: &str, key: &str) -> Result<Spoke, SpokeError> {
    let work = operation::<Work, Done>(WORK, OperationType::Mutation)
        .description("Waits, calls the hub or fails, as told.")
        .scopes(&["spoke:call"])
        .error(REFUSED, "It was told to fail.")
        .handler(|context, input: Work| async move {
            tokio::time::sleep(Duration::from_millis(input.ms)).await;
            if input.nested {
                context.call("hub.whoami", json!({})).await?;
            }
            if input.fail {
                return Err(CallError::new(REFUSED.into(), "as told"));
            }
            Ok(Done { ms: input.ms })
        });
    Spoke::builder(format!("ws://{address}/ws"), key)
        .name("torture")
        .replace(true)
        .operation(work)
        .connect()
        .await
}

/// One client: calls at random until the hub is gone.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) address: String,
    pub(super) key: String,
    pub(super) project: String,
    pub(super) name: String,
    pub(super) random: Rng,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    /// Calls until an answer does not arrive.
    pub(super) async fn run(mut self) {
        for number in 0_u64.. {
            let name = format!("{}-{number}", self.name);
            let (operation, input, table) = match self.random.u32(0..10) {
                0 => ("project.create", json!({ "name": name }), Some("projects")),
                1..4 => (
                    "task.create",
                    json!({ "projectId": self.project, "name": name }),
                    Some("tasks"),
                ),
                4..6 => ("hub.whoami", json!({}), None),
                6 => ("project.get", json!({ "id": self.project }), None),
                _ => (WORK, self.work(), None),
            };
            match self.call(operation, &input).await {
                Ok((true, body)) => self.note(operation, table, &body),
                Ok((false, body)) => self.note_failure(operation, &body),
                // The hub is gone; what was asked last was not answered.
                Err(_gone) => return,
            }
        }
    }

    fn work(&mut self) -> Value {
        json!({
            "ms": self.random.u64(0..40),
            "nested": self.random.u32(0..4) == 0,
            "fail": self.random.u32(0..8) == 0,
        })
    }

    async fn call(&self, operation: &str, input: &Value) -> reqwest::Result<(bool, Value)> {
        let answer = self
            .http
            .post(format!("http://{}/v1/call/{operation}", self.address))
            .bearer_auth(&self.key)
            .json(input)
            .send()
            .await?;
        let success = answer.status().is_success();
        let id = answer
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        // Only a whole answer is one.
        let mut body: Value = answer.json().await?;
        body["requestId"] = json!(id);
        Ok((success, body))
    }

    fn note(&self, operation: &'static str, table: Option<&'static str>, body: &Value) {
        let effect =
            table.map(|table| (table, body["data"]["id"].as_str().unwrap_or("").to_owned()));
        self.answered(operation, "completed", effect, body);
    }

    fn note_failure(&self, operation: &'static str, body: &Value) {
        if body["code"] == REFUSED {
            self.answered(operation, "failed", None, body);
        } else {
            let code = body["code"].as_str().unwrap_or("no code");
            let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.others.push(format!("{operation} {code}"));
        }
    }

    fn answered(
        &self,
        operation: &'static str,
        state: &'static str,
        effect: Option<(&'static str, String)>,
        body: &Value,
    ) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.answered.push(Answered {
            request_id: body["requestId"].as_str().unwrap_or("").to_owned(),
            operation,
            state,
            effect,
        });
    }
}
