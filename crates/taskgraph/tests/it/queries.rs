//! Cycles, order, neighbours, parts of a graph, validation (cases 22 to 32).

use alkhub_taskgraph::{
    TaskAttributes, TaskGraph, TaskStatus, TaskgraphError, ValidationIssue, analyze, cycles,
};
use serde_json::{Value, json};

use crate::{chain, circle, diamond, edges, graph, ids};

fn two_circles() -> TaskGraph {
    graph(&["A: B", "B: A", "X: Y", "Y: X"])
}

#[test]
fn case_22_has_cycles() {
    for graph in [TaskGraph::new(), graph(&["A"]), chain(), diamond()] {
        assert!(!graph.has_cycles());
    }
    assert!(circle().has_cycles());
    assert!(two_circles().has_cycles());
}

#[test]
fn case_23_find_cycles() {
    assert!(diamond().find_cycles().is_empty());
    let graph = graph(&["A: C", "B: A", "C: B", "D: A"]);
    assert_eq!(graph.find_cycles(), [["A", "B", "C"]]);
    assert_eq!(crate::graph(&["X: Y", "Y: X"]).find_cycles(), [["X", "Y"]]);
    assert_eq!(two_circles().find_cycles(), [["A", "B"], ["X", "Y"]]);
    for cycle in graph.find_cycles() {
        let (first, last) = (cycle[0], cycle[cycle.len() - 1]);
        assert!(graph.dependents(last).unwrap().contains(&first));
    }
}

#[test]
fn case_24_topological_order() {
    assert_eq!(chain().topological_order().unwrap(), ["A", "B", "C", "D"]);
    assert_eq!(diamond().topological_order().unwrap(), ["A", "B", "C", "D"]);
    assert_eq!(TaskGraph::new().topological_order().unwrap(), [""; 0]);
    assert_eq!(graph(&["only"]).topological_order().unwrap(), ["only"]);
    // Numbers come first among those set free together, ascending.
    let graph = graph(&["root", "b: root", "10: root", "9: root", "09: root"]);
    assert_eq!(
        graph.topological_order().unwrap(),
        ["root", "9", "10", "b", "09"]
    );
}

#[test]
fn case_25_a_cyclic_graph_has_no_topological_order() {
    let graph = circle();
    let error = graph.topological_order().unwrap_err();
    assert_eq!(error.to_string(), "Circular dependency detected: A → B → C");
    let TaskgraphError::CircularDependency { cycles } = error else {
        panic!("{error}")
    };
    assert_eq!(cycles.len(), 1);
    assert_eq!(
        cycles[0].iter().map(|id| &**id).collect::<Vec<_>>(),
        ["A", "B", "C"]
    );
}

#[test]
fn case_26_neighbours_are_direct() {
    let graph = chain();
    assert_eq!(graph.dependencies("C").unwrap(), ["B"]);
    assert_eq!(graph.dependents("B").unwrap(), ["C"]);
    assert_eq!(graph.dependencies("A").unwrap(), [""; 0]);
    assert_eq!(graph.dependents("D").unwrap(), [""; 0]);
    let missing = Err(TaskgraphError::TaskNotFound {
        task_id: "x".to_owned(),
    });
    assert_eq!(graph.dependencies("x"), missing);
    assert_eq!(graph.dependents("x"), missing);
}

#[test]
fn case_27_get_task_and_task_count() {
    assert_eq!(chain().get_task("x"), None);
    assert_eq!(TaskGraph::new().task_count(), 0);
    assert_eq!(chain().task_count(), 4);
    assert_eq!(diamond().task_count(), 4);
}

#[test]
fn case_28_subgraph_keeps_inner_edges_only() {
    let graph = diamond();
    assert!(graph.subgraph(|_, _| false).is_empty());
    assert_eq!(graph.subgraph(|_, _| true).to_json(), graph.to_json());
    let part = graph.subgraph(|id, _| id == "B" || id == "D");
    assert_eq!(edges(&part), [("B".to_owned(), "D".to_owned())]);
    assert_eq!(
        chain()
            .subgraph(|id, _| id == "A" || id == "D")
            .edge_count(),
        0
    );
}

#[test]
fn case_29_subgraph_leaves_the_original_and_asks_once() {
    let mut graph = diamond();
    graph.remove_dependency("A", "B");
    graph.add_dependency_retaining("A", "B", 0.75).unwrap();
    let before = graph.to_json();
    let mut asked = Vec::new();
    let part = graph.subgraph(|id, attributes| {
        asked.push((id.to_owned(), attributes.clone()));
        id != "C"
    });
    assert_eq!(part.quality_retention("A", "B"), Some(Some(0.75)));
    assert_eq!(graph.to_json(), before);
    let expected = ["A", "B", "C", "D"].map(|id| (id.to_owned(), TaskAttributes::named(id)));
    assert_eq!(asked, expected);
}

/// A graph whose attributes came without a schema.
fn untyped(tasks: &[(&str, Value)]) -> TaskGraph {
    let mut graph = TaskGraph::new();
    for (id, attributes) in tasks {
        let attributes = TaskAttributes::from_untyped(attributes.as_object().unwrap());
        graph.add_task(id, attributes).unwrap();
    }
    graph
}

#[test]
fn case_30_validate_schema_names_task_field_and_value() {
    assert!(TaskGraph::new().validate_schema().is_empty());
    assert!(diamond().validate_schema().is_empty());
    let graph = untyped(&[
        (
            "A",
            json!({ "name": "A", "risk": "extreme", "scope": "narrow", "color": 1 }),
        ),
        ("B", json!({ "status": 5, "scope": "wide" })),
    ]);
    let issues = serde_json::to_value(graph.validate_schema()).unwrap();
    assert_eq!(
        issues,
        json!([
            { "type": "schema", "taskId": "A", "field": "risk", "message": "Expected union value", "value": "extreme" },
            { "type": "schema", "taskId": "B", "field": "name", "message": "Expected required property" },
            { "type": "schema", "taskId": "B", "field": "scope", "message": "Expected union value", "value": "wide" },
            { "type": "schema", "taskId": "B", "field": "status", "message": "Expected union value", "value": 5 },
        ])
    );
    // The same by way of the whole analysis, where invalid values count as not assessed.
    let input =
        json!({ "tasks": [{ "id": "A", "name": "A", "risk": "extreme", "dependsOn": [] }] });
    let result = analyze(&input).unwrap();
    assert_eq!(result["validation"][0]["field"], "risk");
    assert_eq!(
        result["export"]["nodes"][0]["attributes"]["risk"],
        "extreme"
    );
    assert_eq!(result["riskDistribution"]["unspecified"], json!(["A"]));
}

#[test]
fn case_31_validate_graph_gives_one_entry_for_all_cycles() {
    assert!(diamond().validate_graph().is_empty());
    assert!(graph(&["A: ghost"]).validate_graph().is_empty());
    let one = circle();
    assert_eq!(
        one.validate_graph(),
        [ValidationIssue::Graph {
            category: "cycle",
            message: "Graph contains 1 cycle".to_owned(),
            details: vec![vec!["A", "B", "C"]],
        }]
    );
    let issues = serde_json::to_value(two_circles().validate_graph()).unwrap();
    assert_eq!(
        issues,
        json!([{
            "type": "graph", "category": "cycle", "message": "Graph contains 2 cycles",
            "details": [["A", "B"], ["X", "Y"]],
        }])
    );
}

#[test]
fn case_32_validate_puts_schema_before_graph() {
    let mut graph = untyped(&[("A", json!({})), ("B", json!({ "name": "B" }))]);
    assert_eq!(graph.validate().len(), 1);
    graph.add_dependency("A", "B").unwrap();
    graph.add_dependency("B", "A").unwrap();
    let issues = graph.validate();
    assert!(matches!(
        issues[..],
        [
            ValidationIssue::Schema { .. },
            ValidationIssue::Graph { .. }
        ]
    ));
    assert_eq!(circle().validate().len(), 1);
    assert!(diamond().validate().is_empty());
}

#[test]
fn missing_references_come_in_task_order() {
    let graph = graph(&[
        "app: ghost-b lib ghost-a",
        "lib: ghost-a",
        "docs: app app ghost-b",
    ]);
    assert_eq!(ids(&graph), ["app", "lib", "docs", "ghost-b", "ghost-a"]);
    let expected = [
        ("app", "ghost-b"),
        ("app", "ghost-a"),
        ("lib", "ghost-a"),
        ("docs", "ghost-b"),
    ];
    assert_eq!(graph.missing_references(), expected);
    let open = graph.subgraph(|_, task| task.status != Some(TaskStatus::Completed));
    assert_eq!(open.missing_references(), expected);
}

#[test]
fn edge_lists_have_the_cycles_of_their_graph() {
    let edges = [
        ("a", "b"),
        ("b", "c"),
        ("c", "a"),
        ("b", "d"),
        ("d", "c"),
        ("x", "x"),
    ];
    assert_eq!(
        cycles::find_cycles(&edges),
        [vec!["a", "b", "c"], vec!["x"]]
    );
    assert!(cycles::find_cycles::<&str>(&[]).is_empty());
    assert_eq!(cycles::path(&edges, &"a", &"d"), Some(vec!["a", "b", "d"]));
    assert_eq!(cycles::path(&edges, &"x", &"x"), Some(vec!["x"]));
    assert_eq!(cycles::path(&edges, &"x", &"a"), None);
    assert_eq!(cycles::path(&edges, &"unknown", &"a"), None);
}

#[test]
fn a_chain_of_a_million_is_no_danger_and_its_circle_is_reported_whole() {
    const COUNT: u32 = 1_000_000;
    let mut edges: Vec<(u32, u32)> = (1..COUNT).map(|number| (number - 1, number)).collect();
    assert!(cycles::find_cycles(&edges).is_empty());
    assert_eq!(
        cycles::path(&edges, &0, &(COUNT - 1)).map(|path| path.len()),
        Some(COUNT as usize)
    );
    edges.push((COUNT - 1, 0));
    // Back edges from everywhere: their cycles together would be half a billion ids long.
    edges.extend((500_000..COUNT).step_by(500).map(|number| (number, 1)));
    let cycles = cycles::find_cycles(&edges);
    assert!(cycles.iter().any(|cycle| cycle.len() == COUNT as usize) || cycles.len() > 1);
    assert!(cycles.iter().map(Vec::len).sum::<usize>() <= 5_000_000);
}
