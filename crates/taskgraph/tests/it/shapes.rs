//! Enumerations, inputs, serialized graphs, errors (cases 73 to 76).

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::Arc;

use alkhub_taskgraph::{
    DependencyEdge, Field, TaskGraph, TaskImpact, TaskInput, TaskLevel, TaskPriority, TaskRisk,
    TaskScope, TaskStatus, TaskgraphError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One list: `Display`, `FromStr` and serde have one spelling and refuse everything else.
fn check<T>(all: &[T], labels: &[&str])
where
    T: Copy + Debug + PartialEq + PartialOrd + Display + FromStr + Serialize + DeserializeOwned,
{
    assert_eq!(
        all.iter().map(ToString::to_string).collect::<Vec<_>>(),
        labels
    );
    for (value, label) in all.iter().zip(labels) {
        assert_eq!(label.parse::<T>().ok(), Some(*value));
        assert_eq!(serde_json::to_value(value).unwrap(), json!(label));
        assert_eq!(serde_json::from_value::<T>(json!(label)).unwrap(), *value);
        let upper = label.to_uppercase();
        assert!(upper.parse::<T>().is_err());
        assert!(serde_json::from_value::<T>(json!(upper)).is_err());
    }
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    assert!("extreme".parse::<T>().is_err());
    for value in [Value::Null, json!(""), json!(1), json!("extreme")] {
        assert!(serde_json::from_value::<T>(value).is_err());
    }
}

#[test]
fn case_73_enumerations_are_closed() {
    check(
        TaskStatus::ALL,
        &["pending", "in-progress", "completed", "failed", "blocked"],
    );
    check(
        TaskScope::ALL,
        &["single", "narrow", "moderate", "broad", "system"],
    );
    check(
        TaskRisk::ALL,
        &["trivial", "low", "medium", "high", "critical"],
    );
    check(
        TaskImpact::ALL,
        &["isolated", "component", "phase", "project"],
    );
    check(
        TaskLevel::ALL,
        &[
            "planning",
            "decomposition",
            "implementation",
            "review",
            "research",
        ],
    );
    check(TaskPriority::ALL, &["low", "medium", "high", "critical"]);
    assert_eq!(TaskStatus::InProgress.as_str(), "in-progress");
}

#[test]
fn case_74_inputs() {
    let read = |value: Value| serde_json::from_value::<TaskInput>(value);
    let minimal = json!({ "id": "a", "name": "A", "dependsOn": [] });
    assert_eq!(read(minimal.clone()).unwrap(), TaskInput::new("a", "A"));
    let mut nulls = minimal.clone();
    for field in [
        "status", "scope", "risk", "impact", "level", "priority", "assignee", "due", "created",
        "modified",
    ] {
        nulls[field] = Value::Null;
    }
    let task = read(nulls.clone()).unwrap();
    assert_eq!((&task.risk, &task.due), (&Field::Null, &Field::Null));
    // The difference between absent and null survives writing.
    assert_eq!(serde_json::to_value(&task).unwrap(), nulls);
    assert_eq!(
        serde_json::to_value(read(minimal.clone()).unwrap()).unwrap(),
        minimal
    );
    for (field, value) in [
        ("id", json!(1)),
        ("id", Value::Null),
        ("name", Value::Null),
        ("dependsOn", Value::Null),
        ("dependsOn", json!("a")),
        ("dependsOn", json!([1])),
        ("tags", Value::Null),
        ("risk", json!("extreme")),
    ] {
        let mut wrong = minimal.clone();
        wrong[field] = value;
        assert!(read(wrong).is_err(), "{field}");
    }
    for field in ["id", "name", "dependsOn"] {
        let mut missing = minimal.clone();
        missing.as_object_mut().unwrap().remove(field);
        assert!(read(missing).is_err());
    }
    let edge = |retention: Value| {
        serde_json::from_value::<DependencyEdge>(
            json!({ "from": "a", "to": "b", "qualityRetention": retention }),
        )
    };
    assert_eq!(edge(json!(0.0)).unwrap().quality_retention, Some(0.0));
    assert_eq!(edge(json!(1.0)).unwrap().quality_retention, Some(1.0));
    assert!(edge(json!("much")).is_err());
}

#[test]
fn case_75_serialized_graphs() {
    let graph = TaskGraph::from_tasks(&[TaskInput::new("a", "A")])
        .unwrap()
        .to_json();
    let keys: Vec<_> = graph.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 4, "no version field: {keys:?}");
    for (pointer, value, field) in [
        ("/options/type", json!("undirected"), "options/type"),
        ("/options/multi", json!(true), "options/multi"),
        (
            "/options/allowSelfLoops",
            json!(true),
            "options/allowSelfLoops",
        ),
        (
            "/options/allowSelfLoops",
            json!("false"),
            "options/allowSelfLoops",
        ),
        (
            "/nodes/0/attributes",
            json!({ "name": 1 }),
            "nodes/0/attributes/name",
        ),
        (
            "/edges",
            json!([{ "key": "e", "source": 1, "target": "a", "attributes": {} }]),
            "edges/0/source",
        ),
    ] {
        let mut wrong = graph.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        match TaskGraph::from_json(&wrong) {
            Err(TaskgraphError::InvalidInput(error)) => assert_eq!(error.field, field),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn case_76_errors_have_classes_fields_and_messages() {
    let id = || "x".to_owned();
    let cycle = |ids: &[&str]| {
        ids.iter()
            .map(|id| Arc::from(*id))
            .collect::<Vec<Arc<str>>>()
    };
    for (error, class, message) in [
        (
            TaskgraphError::TaskNotFound { task_id: id() },
            "TaskNotFoundError",
            "Task not found: x",
        ),
        (
            TaskgraphError::DuplicateNode { task_id: id() },
            "DuplicateNodeError",
            "Duplicate node: x",
        ),
        (
            TaskgraphError::DuplicateEdge {
                prerequisite: id(),
                dependent: "y".to_owned(),
            },
            "DuplicateEdgeError",
            "Duplicate edge: x → y",
        ),
        (
            TaskgraphError::CircularDependency {
                cycles: vec![cycle(&["a", "b"]), cycle(&["c", "d"])],
            },
            "CircularDependencyError",
            "Circular dependency detected: a → b; c → d",
        ),
        (
            alkhub_taskgraph::graph_from_json_str("[]").unwrap_err(),
            "InvalidInputError",
            "Expected object",
        ),
    ] {
        assert_eq!(
            (error.class(), error.to_string().as_str()),
            (class, message)
        );
    }
}
