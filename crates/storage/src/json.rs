//! JSON columns with a type.
//!
//! Missing keys read as their default, keys that are `None` are not written, and unknown keys survive a
//! read and a write back: each object type keeps them in `extra`.

mod coordination;
mod identity;
mod operations;
mod sessions;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use schemars::JsonSchema;
use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, FromJsonQueryResult, QueryResult, TryGetError, TryGetable, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

pub use coordination::{DetectionDetails, PermissionRule, PermissionRules, RoleData, ToolMap};
pub use identity::{
    AccountProfile, AuditChain, AuditDetails, AuditIds, AuditRequest, AuditTarget, EncryptedValue,
    OrganizationSettings, ResourceMap,
};
pub use operations::{
    AccessControl, CallFailure, CallIdentity, ErrorDefinition, ErrorDefinitions, HostInfo,
};
pub use sessions::{
    CacheTokens, FileDiff, MessageData, ModelRef, SessionData, SessionUsage, Tokens, WorkspaceExtra,
};

/// Keys of an object that its type does not name.
pub type Extra = Map<String, serde_json::Value>;

/// The hub's own notes about a row, a JSON object merged key by key.
///
/// The column may hold null in hand-written rows; that reads as an empty object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Metadata(pub Map<String, serde_json::Value>);

impl Metadata {
    /// No notes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same notes and one more; replaces an earlier value of the key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The text under a key, if it is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(serde_json::Value::as_str)
    }

    /// Takes over the keys of `patch`; a null removes a key.
    pub fn merge(&mut self, patch: Map<String, serde_json::Value>) {
        for (key, value) in patch {
            if value.is_null() {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value);
            }
        }
    }
}

impl Deref for Metadata {
    type Target = Map<String, serde_json::Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Metadata {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<Map<String, serde_json::Value>> for Metadata {
    fn from(map: Map<String, serde_json::Value>) -> Self {
        Self(map)
    }
}

impl From<Metadata> for Value {
    fn from(metadata: Metadata) -> Self {
        Value::Json(Some(Box::new(serde_json::Value::Object(metadata.0))))
    }
}

impl TryGetable for Metadata {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match Option::<serde_json::Value>::try_get_by(row, index)? {
            None | Some(serde_json::Value::Null) => Ok(Self::default()),
            Some(serde_json::Value::Object(map)) => Ok(Self(map)),
            Some(_) => Err(TryGetError::DbErr(sea_orm::DbErr::Json(
                "metadata is no object".to_owned(),
            ))),
        }
    }
}

impl ValueType for Metadata {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::Json(None) => Ok(Self::default()),
            Value::Json(Some(json)) => match *json {
                serde_json::Value::Object(map) => Ok(Self(map)),
                _ => Err(ValueTypeErr),
            },
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "Metadata".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::Json
    }

    fn column_type() -> ColumnType {
        ColumnType::JsonBinary
    }
}

impl Nullable for Metadata {
    fn null() -> Value {
        Value::Json(None)
    }
}

impl sea_orm::IntoActiveValue<Self> for Metadata {
    fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
        sea_orm::ActiveValue::Set(self)
    }
}

/// Any JSON object.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(transparent)]
pub struct JsonObject(pub Map<String, serde_json::Value>);

impl Deref for JsonObject {
    type Target = Map<String, serde_json::Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for JsonObject {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<Map<String, serde_json::Value>> for JsonObject {
    fn from(map: Map<String, serde_json::Value>) -> Self {
        Self(map)
    }
}

/// A list of strings in order, each once.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, FromJsonQueryResult,
)]
#[serde(from = "Vec<String>")]
pub struct StringList(Vec<String>);

impl StringList {
    /// The strings in order.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The strings, by value.
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

impl From<Vec<String>> for StringList {
    fn from(strings: Vec<String>) -> Self {
        strings.into_iter().collect()
    }
}

impl FromIterator<String> for StringList {
    fn from_iter<I: IntoIterator<Item = String>>(strings: I) -> Self {
        let mut seen = std::collections::HashSet::new();
        Self(
            strings
                .into_iter()
                .filter(|string| seen.insert(string.clone()))
                .collect(),
        )
    }
}

impl<'a> FromIterator<&'a str> for StringList {
    fn from_iter<I: IntoIterator<Item = &'a str>>(strings: I) -> Self {
        strings.into_iter().map(str::to_owned).collect()
    }
}

impl Deref for StringList {
    type Target = [String];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A map from text to a value, in the order of the keys.
pub type TextMap<T> = BTreeMap<String, T>;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_survive_a_read_and_a_write() {
        let text = json!({"theme": "dark", "later": {"a": [1]}});
        let profile: AccountProfile = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(profile.theme.as_deref(), Some("dark"));
        assert_eq!(serde_json::to_value(profile).unwrap(), text);
    }

    #[test]
    fn a_list_keeps_its_order_and_drops_repeats() {
        let list: StringList = ["b", "a", "b"].into_iter().collect();
        assert_eq!(list.as_slice(), ["b", "a"]);
        let read: StringList = serde_json::from_value(json!(["x", "x"])).unwrap();
        assert_eq!(read.as_slice(), ["x"]);
    }

    #[test]
    fn a_null_removes_a_key_of_the_notes() {
        let mut notes = Metadata::new().with("a", 1).with("b", 2);
        notes.merge(json!({"a": null, "c": 3}).as_object().unwrap().clone());
        assert_eq!(
            serde_json::to_value(notes).unwrap(),
            json!({"b": 2, "c": 3})
        );
    }
}
