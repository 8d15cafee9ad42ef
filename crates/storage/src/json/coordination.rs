//! JSON columns of roles and detections.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, ModelRef};

/// Rules of a role; the first that matches decides.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(transparent)]
pub struct PermissionRules(pub Vec<PermissionRule>);

/// Whether an action is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PermissionRule {
    /// `allow`, `deny` or `ask`.
    pub action: String,
    /// Full name of an operation with `*`, or a class.
    pub permission: String,
    /// Path, command line or `*`.
    pub pattern: String,
    /// Lets a parent's rule go first.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub is_final: Option<bool>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tool name or pattern to on or off; the longest pattern wins, no match is on.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(transparent)]
pub struct ToolMap(pub BTreeMap<String, bool>);

/// Model, limits and more of a role.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleData {
    /// The model it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Most steps of a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Milliseconds a turn may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Labels a spoke must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// `append` or `replace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_mode: Option<String>,
    /// `any` spoke, or those of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spokes: Option<String>,
    /// Thresholds of detections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<Extra>,
    /// Account its sessions run under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Command that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Value>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a detection measured.
#[derive(
    Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct DetectionDetails {
    /// Name of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Value>,
    /// What is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Value>,
    /// Ids of parts or calls that show it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// How often it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// First seen, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<String>,
    /// Last seen, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// Resolved by a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Note of who resolved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}
