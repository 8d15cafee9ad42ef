//! Building graphs, and the JSON form (cases 1 to 17).

use alkhub_taskgraph::{
    DependencyEdge, Field, TaskAttributes, TaskGraph, TaskImpact, TaskInput, TaskRisk,
    TaskgraphError, graph_from_json_str,
};
use serde_json::{Value, json};

use crate::{diamond, edges, graph, ids, task};

fn edge(from: &str, to: &str, quality_retention: Option<f64>) -> DependencyEdge {
    DependencyEdge {
        from: from.to_owned(),
        to: to.to_owned(),
        quality_retention,
    }
}

fn with(attributes: Value) -> Value {
    json!({
        "attributes": {},
        "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
        "nodes": [{ "key": "A", "attributes": attributes }, { "key": "B", "attributes": { "name": "B" } }],
        "edges": [],
    })
}

fn field_of(data: &Value) -> String {
    match TaskGraph::from_json(data) {
        Err(TaskgraphError::InvalidInput(error)) => error.field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn case_01_new_graph_is_empty_directed_and_simple() {
    let mut graph = TaskGraph::new();
    assert_eq!((graph.task_count(), graph.edge_count()), (0, 0));
    assert_eq!(
        graph.to_json()["options"],
        json!({ "type": "directed", "multi": false, "allowSelfLoops": false })
    );
    graph.add_task("A", TaskAttributes::named("A")).unwrap();
    graph.add_task("B", TaskAttributes::named("B")).unwrap();
    graph.add_dependency("A", "B").unwrap();
    assert!(graph.add_dependency("A", "B").is_err());
    assert_eq!(
        graph.add_dependency("A", "A"),
        Err(TaskgraphError::SelfDependency {
            task_id: "A".to_owned()
        })
    );
}

#[test]
fn case_02_no_tasks_make_an_empty_graph() {
    let graph = TaskGraph::from_tasks(&[]).unwrap();
    assert!(graph.is_empty());
    assert_eq!(graph.edge_count(), 0);
}

#[test]
fn case_03_an_edge_has_its_key_and_the_default_retention() {
    let json = graph(&["A", "B: A"]).to_json();
    assert_eq!(
        json["edges"],
        json!([{ "key": "A->B", "source": "A", "target": "B", "attributes": { "qualityRetention": 0.9 } }])
    );
}

#[test]
fn case_04_a_missing_reference_becomes_a_node_named_after_its_id() {
    let graph = graph(&["A: ghost"]);
    assert_eq!(ids(&graph), ["A", "ghost"]);
    assert_eq!(
        graph.get_task("ghost"),
        Some(&TaskAttributes::named("ghost"))
    );
    assert_eq!(edges(&graph), [("ghost".to_owned(), "A".to_owned())]);
    assert_eq!(graph.missing_references(), [("A", "ghost")]);
}

#[test]
fn case_05_an_id_seen_twice_is_refused() {
    let tasks = [
        task("A", &["A"]),
        task("B", &[]),
        task("A", &[]),
        task("B", &[]),
    ];
    let refused = Err(TaskgraphError::DuplicateNode {
        task_id: "A".to_owned(),
    });
    assert_eq!(TaskGraph::from_tasks(&tasks).map(|_| ()), refused);
    assert_eq!(TaskGraph::from_records(&tasks, &[]).map(|_| ()), refused);
}

#[test]
fn case_06_a_repeated_dependency_is_one_edge() {
    assert_eq!(graph(&["A", "B: A A"]).edge_count(), 1);
}

#[test]
fn case_07_null_is_not_assessed() {
    let task = TaskInput {
        risk: Field::Null,
        scope: Field::Null,
        impact: Field::Value(TaskImpact::Phase),
        status: Field::Null,
        ..TaskInput::new("A", "A")
    };
    let graph = TaskGraph::from_tasks(&[task]).unwrap();
    let expected = TaskAttributes {
        impact: Some(TaskImpact::Phase),
        ..TaskAttributes::named("A")
    };
    assert_eq!(graph.get_task("A"), Some(&expected));
    assert_eq!(
        graph.to_json()["nodes"][0]["attributes"],
        json!({ "name": "A", "impact": "phase" })
    );
}

#[test]
fn case_08_tags_assignee_and_dates_are_not_kept() {
    let task = TaskInput {
        tags: Some(vec!["t".to_owned()]),
        assignee: Field::Value("me".to_owned()),
        due: Field::Value("soon".to_owned()),
        created: Field::Value("then".to_owned()),
        modified: Field::Value("now".to_owned()),
        ..TaskInput::new("A", "A")
    };
    let graph = TaskGraph::from_tasks(&[task]).unwrap();
    assert_eq!(
        graph.to_json()["nodes"][0]["attributes"],
        json!({ "name": "A" })
    );
}

#[test]
fn case_09_cycles_build() {
    assert_eq!(graph(&["A: C", "B: A", "C: B"]).edge_count(), 3);
    let tasks = [task("A", &[]), task("B", &[]), task("C", &[])];
    let records = [
        edge("B", "C", None),
        edge("A", "B", None),
        edge("C", "A", None),
    ];
    assert!(
        TaskGraph::from_records(&tasks, &records)
            .unwrap()
            .has_cycles()
    );
}

#[test]
fn case_10_records_with_an_unknown_end_are_refused() {
    let tasks = [task("A", &[])];
    for (records, id) in [
        (edge("A", "x", None), "x"),
        (edge("y", "A", None), "y"),
        (edge("y", "x", None), "y"),
        (edge("y", "y", None), "y"),
    ] {
        let refused = TaskGraph::from_records(&tasks, &[records]).map(|_| ());
        assert_eq!(
            refused,
            Err(TaskgraphError::TaskNotFound {
                task_id: id.to_owned()
            })
        );
    }
}

#[test]
fn case_11_the_same_pair_twice_is_refused() {
    let records = [edge("A", "B", None), edge("A", "B", Some(0.5))];
    assert_eq!(
        TaskGraph::from_records(&[task("A", &[]), task("B", &[])], &records).map(|_| ()),
        Err(TaskgraphError::DuplicateEdge {
            prerequisite: "A".to_owned(),
            dependent: "B".to_owned()
        })
    );
}

#[test]
fn case_12_retentions_are_taken_or_defaulted() {
    let tasks = [task("A", &["ignored"]), task("B", &[]), task("C", &[])];
    let records = [edge("A", "B", Some(0.5)), edge("A", "C", None)];
    let graph = TaskGraph::from_records(&tasks, &records).unwrap();
    assert_eq!(graph.quality_retention("A", "B"), Some(Some(0.5)));
    assert_eq!(graph.quality_retention("A", "C"), Some(Some(0.9)));
    assert_eq!(graph.quality_retention("B", "C"), None);
    assert_eq!(graph.task_count(), 3);
}

#[test]
fn case_13_records_may_be_empty() {
    assert!(TaskGraph::from_records(&[], &[]).unwrap().is_empty());
    assert_eq!(
        TaskGraph::from_records(&[task("A", &[])], &[])
            .unwrap()
            .task_count(),
        1
    );
}

#[test]
fn case_14_json_populates_a_graph_and_its_shape_is_checked() {
    let data = with(json!({ "name": "A", "risk": "high", "color": "red" }));
    let mut graph = TaskGraph::new();
    graph.import_json(&data).unwrap();
    assert_eq!(ids(&graph), ["A", "B"]);
    assert_eq!(graph.get_task("A").unwrap().risk, Some(TaskRisk::High));
    assert_eq!(graph.to_json()["nodes"][0]["attributes"]["color"], "red");
    assert_eq!(
        graph_from_json_str(&data.to_string()).unwrap().to_json(),
        graph.to_json()
    );

    let changed = |pointer: &str, value: Value| {
        let mut data = data.clone();
        data["edges"] = json!([{ "key": "e", "source": "A", "target": "B", "attributes": {} }]);
        *data.pointer_mut(pointer).unwrap() = value;
        field_of(&data)
    };
    assert_eq!(changed("/nodes/0/key", json!(12)), "nodes/0/key");
    assert_eq!(
        changed("/nodes/0/attributes/risk", json!("extreme")),
        "nodes/0/attributes/risk"
    );
    assert_eq!(
        changed("/nodes/0/attributes/risk", Value::Null),
        "nodes/0/attributes/risk"
    );
    assert_eq!(
        changed("/nodes/1/attributes", json!({})),
        "nodes/1/attributes/name"
    );
    assert_eq!(
        changed("/nodes/1", json!({ "key": "B" })),
        "nodes/1/attributes"
    );
    assert_eq!(changed("/nodes", json!({})), "nodes");
    assert_eq!(changed("/attributes", json!([])), "attributes");
    assert_eq!(
        changed("/edges/0/attributes", json!({ "qualityRetention": null })),
        "edges/0/attributes/qualityRetention"
    );
    assert_eq!(
        changed("/edges/0/attributes", json!([])),
        "edges/0/attributes"
    );
    assert_eq!(field_of(&json!({})), "attributes");
    assert_eq!(
        field_of(&json!({ "attributes": {}, "nodes": [] })),
        "options"
    );
    assert_eq!(field_of(&json!([])), "");
    assert!(matches!(
        graph_from_json_str("{"),
        Err(TaskgraphError::InvalidInput(_))
    ));
    assert!(graph_from_json_str(&"[".repeat(100_000)).is_err());
}

#[test]
fn case_15_export_and_import_are_inverse() {
    assert_eq!(
        TaskGraph::new().to_json(),
        json!({
            "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
            "attributes": {}, "nodes": [], "edges": [],
        })
    );
    for graph in [
        diamond(),
        graph(&["10: 9 b", "b", "9"]),
        graph(&["A: ghost"]),
    ] {
        let json = graph.to_json();
        assert_eq!(TaskGraph::from_json(&json).unwrap().to_json(), json);
        assert_eq!(serde_json::to_value(&graph).unwrap(), json);
    }
    // An edge of another store: its own key, further properties, no attributes.
    let mut data = with(json!({ "name": "A" }));
    data["attributes"] = json!({ "made": "elsewhere" });
    data["edges"] = json!([{ "key": "e1", "source": "A", "target": "B" }]);
    let graph = TaskGraph::from_json(&data).unwrap();
    assert_eq!(graph.quality_retention("A", "B"), Some(None));
    let mut exported = graph.to_json();
    assert_eq!(exported["edges"][0]["attributes"].take(), json!({}));
    assert_eq!(exported["edges"][0]["key"], "e1");
    assert_eq!(exported["attributes"], data["attributes"]);
    assert_eq!(
        TaskGraph::from_json(&graph.to_json()).unwrap().to_json(),
        graph.to_json()
    );
}

#[test]
fn json_with_faults_of_content_is_refused() {
    let base = with(json!({ "name": "A" }));
    let with_edges = |edges: Value| {
        let mut data = base.clone();
        data["edges"] = edges;
        TaskGraph::from_json(&data).map(|_| ()).unwrap_err()
    };
    let e = |key: &str, source: &str, target: &str| json!({ "key": key, "source": source, "target": target, "attributes": {} });
    assert_eq!(
        with_edges(json!([e("e", "A", "x")])),
        TaskgraphError::TaskNotFound {
            task_id: "x".to_owned()
        }
    );
    assert_eq!(
        with_edges(json!([e("e", "x", "A")])),
        TaskgraphError::TaskNotFound {
            task_id: "x".to_owned()
        }
    );
    assert_eq!(
        with_edges(json!([e("e", "A", "A")])),
        TaskgraphError::SelfDependency {
            task_id: "A".to_owned()
        }
    );
    assert!(matches!(
        with_edges(json!([e("e", "A", "B"), e("f", "A", "B")])),
        TaskgraphError::DuplicateEdge { .. }
    ));
    let mut twice = base;
    twice["nodes"][1]["key"] = json!("A");
    assert_eq!(
        TaskGraph::from_json(&twice).map(|_| ()),
        Err(TaskgraphError::DuplicateNode {
            task_id: "A".to_owned()
        })
    );
}

#[test]
fn case_16_step_by_step() {
    let mut graph = TaskGraph::new();
    for id in ["A", "B", "C"] {
        graph.add_task(id, TaskAttributes::named(id)).unwrap();
    }
    assert_eq!(
        graph.add_task("A", TaskAttributes::default()),
        Err(TaskgraphError::DuplicateNode {
            task_id: "A".to_owned()
        })
    );
    for (from, to, missing) in [("x", "A", "x"), ("A", "x", "x"), ("x", "y", "x")] {
        assert_eq!(
            graph.add_dependency(from, to),
            Err(TaskgraphError::TaskNotFound {
                task_id: missing.to_owned()
            })
        );
    }
    graph.add_dependency("A", "B").unwrap();
    graph.add_dependency_retaining("A", "C", 0.4).unwrap();
    assert_eq!(
        graph.add_dependency("A", "B"),
        Err(TaskgraphError::DuplicateEdge {
            prerequisite: "A".to_owned(),
            dependent: "B".to_owned()
        })
    );
    assert_eq!(graph.quality_retention("A", "B"), Some(Some(0.9)));
    assert_eq!(graph.quality_retention("A", "C"), Some(Some(0.4)));
}

#[test]
fn case_17_every_construction_goes_on_step_by_step() {
    let built = [
        graph(&["A"]),
        TaskGraph::from_records(&[task("A", &[])], &[]).unwrap(),
        TaskGraph::from_json(&graph(&["A"]).to_json()).unwrap(),
    ];
    for mut graph in built {
        assert_eq!(graph.topological_order().unwrap(), ["A"]);
        graph.add_task("B", TaskAttributes::named("B")).unwrap();
        graph.add_dependency("A", "B").unwrap();
        assert_eq!(graph.to_json()["edges"][0]["key"], "A->B");
        assert_eq!(graph.topological_order().unwrap(), ["A", "B"]);
    }
}
