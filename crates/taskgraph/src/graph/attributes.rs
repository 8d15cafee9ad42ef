//! What a node and an edge carry.

use std::str::FromStr;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Field, TaskImpact, TaskInput, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus,
};

/// What a graph knows of a task. A field that is not there is not assessed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskAttributes {
    /// What the task is called.
    pub name: String,
    /// How much it touches.
    pub scope: Option<TaskScope>,
    /// How likely it is to fail.
    pub risk: Option<TaskRisk>,
    /// How far a failure reaches.
    pub impact: Option<TaskImpact>,
    /// What kind of work it is.
    pub level: Option<TaskLevel>,
    /// How soon it is wanted.
    pub priority: Option<TaskPriority>,
    /// How far it has come.
    pub status: Option<TaskStatus>,
    /// Properties that came with JSON and are none of the above, and values of the above that
    /// are not valid. They are kept and exported; no analysis looks at them.
    pub other: Option<Box<Map<String, Value>>>,
}

/// The attributes that analyses count with, in four bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Labels {
    pub(crate) scope: Option<TaskScope>,
    pub(crate) risk: Option<TaskRisk>,
    pub(crate) impact: Option<TaskImpact>,
    pub(crate) status: Option<TaskStatus>,
}

impl From<&TaskAttributes> for Labels {
    fn from(attributes: &TaskAttributes) -> Self {
        Self {
            scope: attributes.scope,
            risk: attributes.risk,
            impact: attributes.impact,
            status: attributes.status,
        }
    }
}

/// Names of the fields in the order in which they are checked.
pub(crate) const FIELDS: [&str; 7] = [
    "name", "scope", "risk", "impact", "level", "priority", "status",
];

impl TaskAttributes {
    /// A task of which only the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Reads attributes from JSON without refusing anything: what is not valid is kept in
    /// [`Self::other`], where [`crate::TaskGraph::validate_schema`] finds it. Null means not
    /// assessed; a missing name is kept as null.
    pub fn from_untyped(object: &Map<String, Value>) -> Self {
        let mut other = Map::new();
        let mut attributes = Self {
            scope: label(object, "scope", &mut other),
            risk: label(object, "risk", &mut other),
            impact: label(object, "impact", &mut other),
            level: label(object, "level", &mut other),
            priority: label(object, "priority", &mut other),
            status: label(object, "status", &mut other),
            ..Self::default()
        };
        match object.get("name") {
            Some(Value::String(name)) => attributes.name.clone_from(name),
            name => {
                other.insert("name".to_owned(), name.cloned().unwrap_or(Value::Null));
            }
        }
        for (key, value) in object {
            if !FIELDS.contains(&key.as_str()) {
                other.insert(key.clone(), value.clone());
            }
        }
        attributes.other = (!other.is_empty()).then(|| Box::new(other));
        attributes
    }

    /// The property `field` if its value is not valid.
    pub(crate) fn invalid(&self, field: &str) -> Option<&Value> {
        self.other.as_ref()?.get(field)
    }
}

/// A valid label; anything else but null goes to `other`.
fn label<T: FromStr>(
    object: &Map<String, Value>,
    field: &str,
    other: &mut Map<String, Value>,
) -> Option<T> {
    let value = object.get(field).filter(|value| !value.is_null())?;
    let label = value.as_str().and_then(|text| text.parse().ok());
    if label.is_none() {
        other.insert(field.to_owned(), value.clone());
    }
    label
}

impl From<&TaskInput> for TaskAttributes {
    /// Null and absent both become "not assessed"; tags, assignee and the dates are not kept.
    fn from(task: &TaskInput) -> Self {
        Self {
            name: task.name.clone(),
            scope: task.scope.value().copied(),
            risk: task.risk.value().copied(),
            impact: task.impact.value().copied(),
            level: task.level.value().copied(),
            priority: task.priority.value().copied(),
            status: task.status.value().copied(),
            other: None,
        }
    }
}

impl Serialize for TaskAttributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.invalid("name").is_none() {
            map.serialize_entry("name", &self.name)?;
        }
        let mut entry = |key: &str, label: Option<&str>| match label {
            Some(label) => map.serialize_entry(key, label),
            None => Ok(()),
        };
        entry("status", self.status.map(TaskStatus::as_str))?;
        entry("scope", self.scope.map(TaskScope::as_str))?;
        entry("risk", self.risk.map(TaskRisk::as_str))?;
        entry("impact", self.impact.map(TaskImpact::as_str))?;
        entry("level", self.level.map(TaskLevel::as_str))?;
        entry("priority", self.priority.map(TaskPriority::as_str))?;
        for (key, value) in self.other.iter().flat_map(|other| other.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// What an edge carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EdgeAttributes {
    /// Part of the upstream quality that survives the edge; absent only on edges from JSON.
    pub quality_retention: Option<f64>,
    /// Properties that came with JSON. They are kept and exported.
    pub other: Option<Box<Map<String, Value>>>,
}

impl EdgeAttributes {
    pub(crate) fn retaining(quality_retention: f64) -> Self {
        Self {
            quality_retention: Some(quality_retention),
            other: None,
        }
    }
}

impl Serialize for EdgeAttributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(retention) = self.quality_retention {
            map.serialize_entry("qualityRetention", &retention)?;
        }
        for (key, value) in self.other.iter().flat_map(|other| other.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A change of a task: absent fields stay, null clears, a value sets.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskUpdate {
    /// A new name.
    pub name: Option<String>,
    /// How much it touches.
    pub scope: Field<TaskScope>,
    /// How likely it is to fail.
    pub risk: Field<TaskRisk>,
    /// How far a failure reaches.
    pub impact: Field<TaskImpact>,
    /// What kind of work it is.
    pub level: Field<TaskLevel>,
    /// How soon it is wanted.
    pub priority: Field<TaskPriority>,
    /// How far it has come.
    pub status: Field<TaskStatus>,
}

impl TaskUpdate {
    pub(super) fn apply(self, to: &mut TaskAttributes) {
        fn set<T>(target: &mut Option<T>, change: Field<T>) -> bool {
            match change {
                Field::Absent => return false,
                Field::Null => *target = None,
                Field::Value(value) => *target = Some(value),
            }
            true
        }
        let mut changed = Vec::new();
        if let Some(name) = self.name {
            to.name = name;
            changed.push("name");
        }
        changed.extend(set(&mut to.scope, self.scope).then_some("scope"));
        changed.extend(set(&mut to.risk, self.risk).then_some("risk"));
        changed.extend(set(&mut to.impact, self.impact).then_some("impact"));
        changed.extend(set(&mut to.level, self.level).then_some("level"));
        changed.extend(set(&mut to.priority, self.priority).then_some("priority"));
        changed.extend(set(&mut to.status, self.status).then_some("status"));
        // A valid value takes the place of an invalid one.
        if let Some(other) = &mut to.other {
            for field in changed {
                other.remove(field);
            }
            if other.is_empty() {
                to.other = None;
            }
        }
    }
}
