//! JSON columns of workspaces, sessions and messages.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, PermissionRule};

/// What a workspace's type needs.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkspaceExtra {
    /// `main`, `worktree`, `branch` or `directory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Branch it was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_branch: Option<String>,
    /// Commit it was cut from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// Spoke on whose machine it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spoke_id: Option<String>,
    /// Container it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A model of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelRef {
    /// The provider.
    pub provider_id: String,
    /// The model.
    pub model_id: String,
}

/// Tokens used, integers from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tokens {
    /// Read by the model.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Thought by the model.
    pub reasoning: u64,
    /// Read from and written to the cache.
    pub cache: CacheTokens,
    /// Sum given by the provider; missing = the sum of all five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// Tokens of the provider's cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheTokens {
    /// Taken from the cache.
    pub read: u64,
    /// Put into the cache.
    pub write: u64,
}

/// Change of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileDiff {
    /// Path of the file.
    pub file: String,
    /// Text before; left out above 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Text after; left out above 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Lines added.
    pub additions: u64,
    /// Lines deleted.
    pub deletions: u64,
    /// `added`, `deleted` or `modified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Running totals of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionUsage {
    /// US dollars, rounded to 6 decimals.
    pub cost: f64,
    /// Tokens.
    pub tokens: Tokens,
    /// Finished messages.
    pub messages: u64,
}

/// Data of a session, version `1`.
#[derive(
    Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionData {
    /// Default model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Where the model runs: `direct` in the hub, `spoke` in a remote runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Id in the runtime it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// `{url}` where it is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Extra>,
    /// `{additions, deletions, files, diffs?}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Extra>,
    /// `{messageId, partId?, snapshot?, diff?}`: undo state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revert: Option<Extra>,
    /// The session's own rules, before the role's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<Vec<PermissionRule>>,
    /// Running totals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<SessionUsage>,
    /// `{compacting?}`: moments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Extra>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Data of a message. Which fields are set depends on who speaks.
#[derive(
    Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageData {
    /// Role name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// User: model asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// User: system prompt of this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// User: tools switched on or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<BTreeMap<String, bool>>,
    /// Variant of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// User: format of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Value>,
    /// User: `{title?, body?, diffs}`; assistant: whether it sums up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Value>,
    /// Assistant: the user message answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Assistant: the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// Assistant: its provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Assistant: mode of the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Assistant: `{cwd, root}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Extra>,
    /// Assistant: `{completed?}`; without it the message is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Extra>,
    /// Assistant: tokens used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Assistant: US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Assistant: why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Assistant: `{name, data}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// System: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}
