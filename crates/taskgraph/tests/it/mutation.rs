//! Changing what stands (cases 18 to 21).

use alkhub_taskgraph::{
    EdgeAttributes, Field, TaskAttributes, TaskGraph, TaskRisk, TaskScope, TaskStatus, TaskUpdate,
    TaskgraphError,
};

use crate::{diamond, edges, graph, ids};

#[test]
fn case_18_removing_a_task_removes_its_edges() {
    let mut graph = diamond();
    graph.remove_task("A");
    assert_eq!(ids(&graph), ["B", "C", "D"]);
    assert_eq!(
        edges(&graph),
        [
            ("B".to_owned(), "D".to_owned()),
            ("C".to_owned(), "D".to_owned())
        ]
    );
    assert_eq!(graph.dependencies("B").unwrap(), [""; 0]);
    graph.remove_task("D");
    assert_eq!((graph.task_count(), graph.edge_count()), (2, 0));
    // A task that comes again comes last.
    graph.remove_task("B");
    graph.add_task("B", TaskAttributes::named("B")).unwrap();
    assert_eq!(ids(&graph), ["C", "B"]);
}

#[test]
fn case_19_removing_what_is_not_there_does_nothing() {
    let mut graph = diamond();
    graph.remove_task("x");
    graph.remove_dependency("A", "D");
    graph.remove_dependency("x", "y");
    graph.remove_dependency("B", "A");
    assert_eq!((graph.task_count(), graph.edge_count()), (4, 4));
    graph.remove_dependency("A", "B");
    graph.remove_dependency("A", "B");
    assert_eq!((graph.task_count(), graph.edge_count()), (4, 3));
    assert_eq!(graph.topological_order().unwrap(), ["A", "B", "C", "D"]);
    graph.add_dependency("A", "B").unwrap();
    assert_eq!(graph.dependents("A").unwrap(), ["C", "B"]);
}

#[test]
fn case_20_an_update_merges() {
    let mut graph = TaskGraph::new();
    let attributes = TaskAttributes {
        risk: Some(TaskRisk::Low),
        scope: Some(TaskScope::Narrow),
        ..TaskAttributes::named("A")
    };
    graph.add_task("A", attributes).unwrap();
    let update = TaskUpdate {
        name: Some("Renamed".to_owned()),
        risk: Field::Value(TaskRisk::High),
        status: Field::Value(TaskStatus::Blocked),
        ..TaskUpdate::default()
    };
    graph.update_task("A", update).unwrap();
    let expected = TaskAttributes {
        risk: Some(TaskRisk::High),
        scope: Some(TaskScope::Narrow),
        status: Some(TaskStatus::Blocked),
        ..TaskAttributes::named("Renamed")
    };
    assert_eq!(graph.get_task("A"), Some(&expected));
    let clear = TaskUpdate {
        scope: Field::Null,
        ..TaskUpdate::default()
    };
    graph.update_task("A", clear).unwrap();
    assert_eq!(graph.get_task("A").unwrap().scope, None);
    assert_eq!(
        graph.update_task("x", TaskUpdate::default()),
        Err(TaskgraphError::TaskNotFound {
            task_id: "x".to_owned()
        })
    );
}

#[test]
fn case_21_updating_a_missing_edge_names_it() {
    let mut graph = diamond();
    let half = || EdgeAttributes {
        quality_retention: Some(0.5),
        other: None,
    };
    graph.update_edge_attributes("A", "B", half()).unwrap();
    assert_eq!(graph.quality_retention("A", "B"), Some(Some(0.5)));
    for (from, to) in [("A", "D"), ("x", "y"), ("B", "A")] {
        assert_eq!(
            graph.update_edge_attributes(from, to, half()),
            Err(TaskgraphError::TaskNotFound {
                task_id: format!("{from}->{to}")
            })
        );
    }
}

#[test]
fn ids_that_join_to_the_same_key_stay_apart() {
    let graph = graph(&["c: a->b", "b->c: a", "a->b", "a"]);
    assert_eq!(graph.edge_count(), 2);
    assert_eq!(graph.dependencies("c").unwrap(), ["a->b"]);
    assert_eq!(graph.dependencies("b->c").unwrap(), ["a"]);
    assert_eq!(
        TaskGraph::from_json(&graph.to_json()).unwrap().edge_count(),
        2
    );
    let ordinary = crate::graph(&["__proto__", "constructor: __proto__"]);
    assert_eq!(ordinary.dependencies("constructor").unwrap(), ["__proto__"]);
}

#[test]
fn a_graph_that_shrinks_and_grows_keeps_its_orders() {
    let mut graph = TaskGraph::new();
    for round in 0..50_u32 {
        for number in 0..20_u32 {
            let id = format!("t{round}-{number}");
            graph.add_task(&id, TaskAttributes::named(&*id)).unwrap();
            if number > 0 {
                graph
                    .add_dependency(&format!("t{round}-{}", number - 1), &id)
                    .unwrap();
            }
        }
        for number in 0..19_u32 {
            graph.remove_task(&format!("t{round}-{number}"));
        }
    }
    assert_eq!((graph.task_count(), graph.edge_count()), (50, 0));
    let expected: Vec<_> = (0..50).map(|round| format!("t{round}-19")).collect();
    assert_eq!(ids(&graph), expected);
}
