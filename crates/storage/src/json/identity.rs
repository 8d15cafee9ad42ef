//! JSON columns of accounts, organizations, keys, audit entries and secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Extra;

/// Preferences and avatar of an account.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountProfile {
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Name of a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Theme of the dashboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// What to be told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Extra>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Settings and billing contact of an organization.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct OrganizationSettings {
    /// Free settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Extra>,
    /// Contact and reference for bills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<Extra>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Ids or globs a key is narrowed to, by type (`org`, `project`, `session`, `spoke`, `client`,
/// `operation`). A type that is absent is not narrowed, an empty list allows nothing.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(transparent)]
pub struct ResourceMap(pub BTreeMap<String, Vec<String>>);

/// What an audit entry says beside who and when.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditDetails {
    /// Full name of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The call that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Prefix of the key, copied so that the trail outlives the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// What it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<AuditTarget>,
    /// Changed fields as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Changed fields as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The reason given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Numbers of what was touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Value>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<AuditRequest>,
    /// Ids as written: the columns may be set to null later.
    #[serde(rename = "_ids", skip_serializing_if = "Option::is_none")]
    pub ids: Option<AuditIds>,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What something was done to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditTarget {
    /// Kind of row.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name, for reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditRequest {
    /// Address of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What the caller says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// Ids of an audit entry as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditIds {
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
}

/// Place of an audit entry in the chain (`metadata.chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditChain {
    /// Number in the order of sealing, from 1.
    pub seq: u64,
    /// Hash of the entry before, empty for the first.
    pub prev: String,
    /// SHA-256 over `prev` and the entry, in hex.
    pub hash: String,
}

/// A secret encrypted with a data key of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult)]
#[serde(rename_all = "camelCase")]
pub struct EncryptedValue {
    /// Number of the data key.
    pub key_version: i64,
    /// Always empty; kept for the shape.
    pub salt: String,
    /// Base64 of 12 random bytes.
    pub iv: String,
    /// Base64 of the ciphertext and its 16-byte tag.
    pub data: String,
    /// Other keys.
    #[serde(flatten)]
    pub extra: Extra,
}
