//! What a spoke tells the hub of itself, and what the hub answers.

use std::collections::BTreeMap;

use alkhub_operations::events::CallEvent;
use alkhub_operations::protocol::Resume;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::devenv::HostInfo;
use crate::shared::Settings;

/// What sort of machine a spoke is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpokeType {
    /// A developer's machine: files, shell, git.
    DevEnv,
    /// A program that mostly calls.
    Client,
    /// A machine that computes.
    Compute,
    /// Anything else.
    #[default]
    Custom,
}

/// What the hub answered to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The spoke's id at the hub. It stays the same over reconnects and restarts.
    pub spoke_id: String,
    /// True when the hub kept the calls of the connection before.
    #[serde(default)]
    pub resumed: bool,
    /// Ids of the operations that are offered now.
    #[serde(default)]
    pub accepted: Vec<String>,
    /// Operations that were not taken, with the reasons.
    #[serde(default)]
    pub refused: Vec<RefusedOperation>,
    /// The hub's time, RFC 3339.
    #[serde(default)]
    pub server_time: Option<String>,
}

/// An operation that the hub did not take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RefusedOperation {
    /// Its id.
    pub name: String,
    /// Why, for programs: `FORBIDDEN` for a name of the hub's own, `CONFLICT` for one that somebody
    /// else offers differently, …
    pub code: String,
    /// Why, for a person.
    #[serde(default)]
    pub message: String,
}

/// Input of `hub.register`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Register<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    spoke_id: Option<&'a str>,
    spoke_type: SpokeType,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    operations: Vec<Value>,
    host_info: &'a HostInfo,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    running: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undelivered: Vec<Value>,
    limits: Limits,
    labels: &'a BTreeMap<String, String>,
    replace: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_in_flight: usize,
}

impl<'a> Register<'a> {
    /// The registration of a spoke that was `spoke_id` before, if it was.
    pub(crate) fn new(
        settings: &'a Settings,
        name: &'a str,
        spoke_id: Option<&'a str>,
        operations: Vec<Value>,
        resume: &Resume,
    ) -> Self {
        // Without an earlier connection of this process there is nothing it could go on with.
        let running = resume.running.iter().map(ToString::to_string).collect();
        let undelivered = resume.undelivered.iter().map(undelivered).collect();
        Self {
            name,
            spoke_id,
            spoke_type: settings.spoke_type,
            project_id: settings.project_id.as_deref(),
            operations,
            host_info: &settings.host_info,
            running,
            undelivered,
            limits: Limits {
                max_in_flight: settings.max_in_flight,
            },
            labels: &settings.labels,
            // The connection before may not have ended yet for the hub; it is this spoke's own.
            replace: settings.replace || spoke_id.is_some(),
        }
    }
}

fn undelivered(event: &CallEvent) -> Value {
    let frame = event.to_frame();
    json!({ "type": frame.kind, "payload": frame.payload })
}
