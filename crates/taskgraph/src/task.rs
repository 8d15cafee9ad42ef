//! One task as its author wrote it, and one dependency between two tasks.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};

/// A field whose key may be missing, present with null, or present with a value.
///
/// In a graph the first two mean the same ("not assessed"). They are kept apart because a task
/// that is written back must look as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there and says null.
    Null,
    /// The key is there and says something.
    Value(T),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value, if there is one, taken out.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the key is missing (null is not missing).
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A missing value becomes a missing key; null is never made this way.
impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_none(),
            Self::Value(value) => serializer.serialize_some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// One task with the names of the tasks it depends on.
///
/// No text has a length, a pattern or a rule against emptiness: `""` is a legal id. `due`,
/// `created` and `modified` are free text; no date is read out of them. As JSON the keys are in
/// camel case and keys this struct does not name are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskInput {
    /// The id, unique within its graph. Compared byte by byte.
    pub id: String,
    /// What the task is called.
    pub name: String,
    /// Ids of the tasks that come first. May name tasks that do not exist.
    pub depends_on: Vec<String>,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub status: Field<TaskStatus>,
    /// How much it touches.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub scope: Field<TaskScope>,
    /// How likely it is to fail.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub risk: Field<TaskRisk>,
    /// How far a failure reaches.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub impact: Field<TaskImpact>,
    /// What kind of work it is.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub level: Field<TaskLevel>,
    /// How soon it is wanted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub priority: Field<TaskPriority>,
    /// Free words to find it by. The only optional field that may not be null.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub tags: Option<Vec<String>>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub assignee: Field<String>,
    /// When it is due, free text.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub due: Field<String>,
    /// When it was written, free text.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub created: Field<String>,
    /// When it was last changed, free text.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub modified: Field<String>,
}

impl TaskInput {
    /// A task of which nothing but the id and the name is known.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            ..Self::default()
        }
    }

    /// The same task, depending on `ids` and nothing else.
    #[must_use]
    pub fn depending_on<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.depends_on = ids.into_iter().map(Into::into).collect();
        self
    }
}

/// One dependency: `from` comes first, `to` depends on it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencyEdge {
    /// Id of the prerequisite.
    pub from: String,
    /// Id of the dependent.
    pub to: String,
    /// Part of the upstream quality that survives: 0 = a failure before passes through whole,
    /// 1 = the dependent does not feel it. 0.9 when absent. The range is not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_retention: Option<f64>,
}

/// Reads a key that may be missing but not null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::<String>::deserialize(deserializer).map(Some)
}
