//! Expected values, propagation and workflow cost (cases 42 to 60).

use alkhub_taskgraph::{
    DependencyEdge, EvConfig, PropagationMode, TaskGraph, TaskImpact, TaskInput, TaskRisk,
    TaskScope, TaskStatus, TaskgraphError, WorkflowCost, WorkflowCostOptions, analyze,
    calculate_task_ev,
};
use serde_json::json;

use crate::{chain, circle, graph};

fn ev(p: f64, cost: f64, weight: f64, config: EvConfig) -> f64 {
    calculate_task_ev(p, cost, weight, &config).ev
}

fn near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-12, "{left} is not {right}");
}

fn config(retries: f64, fallback_cost: f64, time_lost: f64, value_rate: f64) -> EvConfig {
    EvConfig {
        retries,
        fallback_cost,
        time_lost,
        value_rate,
    }
}

fn none() -> EvConfig {
    EvConfig::default()
}

#[test]
fn case_42_ev_by_hand() {
    near(ev(0.8, 3.0, 1.5, none()), 4.5);
    near(
        calculate_task_ev(0.8, 3.0, 1.5, &none()).expected_retries,
        0.25,
    );
    let certain = calculate_task_ev(1.0, 4.0, 2.0, &none());
    assert_eq!((certain.ev, certain.expected_retries), (8.0, 0.0));
    let hopeless = calculate_task_ev(0.0, 3.0, 1.5, &none());
    assert_eq!((hopeless.ev, hopeless.expected_retries), (4.5, 0.0));
    assert_eq!(ev(0.0, 3.0, 1.5, config(0.0, 10.0, 5.0, 0.0)), 14.5);
}

#[test]
fn case_43_expected_retries() {
    for p in [0.98, 0.9, 0.8, 0.65, 0.5] {
        assert_eq!(
            calculate_task_ev(p, 1.0, 1.0, &none()).expected_retries,
            (1.0 - p) / p
        );
    }
    assert_eq!(
        calculate_task_ev(0.01, 1.0, 1.0, &none()).expected_retries,
        99.0
    );
}

#[test]
fn case_44_costs_of_failure() {
    assert_eq!(ev(0.5, 2.0, 1.0, config(0.0, 20.0, 0.0, 0.0)), 12.0);
    assert_eq!(ev(0.5, 2.0, 1.0, config(0.0, 0.0, 5.0, 0.0)), 4.5);
    near(ev(0.8, 3.0, 1.5, config(0.0, 10.0, 5.0, 0.0)), 6.75);
    assert_eq!(ev(0.5, 2.0, 1.0, config(0.0, 5.0, 0.0, 0.0)), 4.5);
    assert_eq!(ev(0.5, 2.0, 1.0, config(0.0, 0.0, 10.0, 0.0)), 7.0);
}

#[test]
fn case_45_retries_are_capped() {
    let of = |p, config: EvConfig| calculate_task_ev(p, 2.0, 1.0, &config);
    assert_eq!(of(0.5, config(3.0, 0.0, 0.0, 0.0)).expected_retries, 1.0);
    let capped = of(0.2, config(2.0, 0.0, 5.0, 0.0));
    assert_eq!(capped.expected_retries, 2.0);
    near(capped.ev, 10.0);
    let capped = of(0.1, config(1.0, 0.0, 3.0, 0.0));
    assert_eq!(capped.expected_retries, 1.0);
    near(capped.ev, 4.7);
    assert_eq!(of(0.2, none()).expected_retries, 4.0);
    near(of(0.2, config(1.0, 0.0, 0.0, 0.0)).ev, 2.0);
}

#[test]
fn case_46_value_rate() {
    near(ev(0.8, 3.0, 1.0, config(0.0, 0.0, 0.0, 100.0)), 300.0);
    near(ev(0.5, 2.0, 1.0, config(0.0, 10.0, 5.0, 10.0)), 95.0);
    near(ev(0.5, 2.0, 1.5, config(2.0, 10.0, 3.0, 50.0)), 475.0);
    near(
        ev(0.65, 4.0, 1.5, config(3.0, 8.0, 2.0, 0.0)),
        0.65 * 6.0 + 0.35 * (14.0 + 2.0 * 0.35 / 0.65),
    );
}

#[test]
fn case_47_nothing_costs_nothing() {
    assert_eq!(ev(0.5, 0.0, 1.0, none()), 0.0);
    assert_eq!(ev(0.5, 5.0, 0.0, none()), 0.0);
    assert_eq!(calculate_task_ev(1.7, 1.0, 1.0, &none()).p_success, 1.7);
    assert_eq!(
        serde_json::from_value::<EvConfig>(json!({})).unwrap(),
        none()
    );
}

fn at(id: &str, depends_on: &[&str], risk: TaskRisk) -> TaskInput {
    TaskInput {
        risk: Some(risk).into(),
        ..crate::task(id, depends_on)
    }
}

fn built(tasks: &[TaskInput]) -> TaskGraph {
    TaskGraph::from_tasks(tasks).unwrap()
}

/// Effective probability of a task under the default options.
fn p(graph: &TaskGraph, id: &str) -> f64 {
    p_with(graph, id, WorkflowCostOptions::default())
}

fn p_with(graph: &TaskGraph, id: &str, options: WorkflowCostOptions) -> f64 {
    let cost = graph.workflow_cost(&options).unwrap();
    cost.tasks
        .iter()
        .find(|task| task.task_id == id)
        .unwrap()
        .p_effective
}

fn retaining(retention: f64) -> TaskGraph {
    let tasks = [at("A", &[], TaskRisk::High), at("B", &[], TaskRisk::Medium)];
    let edge = DependencyEdge {
        from: "A".to_owned(),
        to: "B".to_owned(),
        quality_retention: Some(retention),
    };
    TaskGraph::from_records(&tasks, &[edge]).unwrap()
}

/// A high, B medium, an edge without a retention.
fn without_retention() -> TaskGraph {
    let mut json = retaining(0.0).to_json();
    json["edges"][0]["attributes"] = json!({});
    TaskGraph::from_json(&json).unwrap()
}

fn independent() -> WorkflowCostOptions {
    WorkflowCostOptions {
        propagation_mode: PropagationMode::Independent,
        ..Default::default()
    }
}

#[test]
fn case_48_independent_and_root_are_intrinsic() {
    let graph = built(&[
        at("A", &[], TaskRisk::High),
        at("B", &["A"], TaskRisk::Medium),
    ]);
    assert_eq!(p_with(&graph, "B", independent()), 0.8);
    assert_eq!(p(&graph, "A"), 0.65);
}

#[test]
fn case_49_propagation_multiplies_along_the_edges() {
    let graph = built(&[
        at("A", &[], TaskRisk::High),
        at("B", &["A"], TaskRisk::Medium),
        at("C", &["B"], TaskRisk::Medium),
        at("X", &["A"], TaskRisk::Low),
        at("D", &["B", "X"], TaskRisk::Medium),
    ]);
    let b = p(&graph, "B");
    near(b, 0.8 * 0.965);
    near(p(&graph, "C"), 0.8 * (b + (1.0 - b) * 0.9));
    let x = p(&graph, "X");
    near(
        p(&graph, "D"),
        0.8 * (b + (1.0 - b) * 0.9) * (x + (1.0 - x) * 0.9),
    );
}

#[test]
fn case_50_retention_of_the_edge_decides() {
    near(p(&retaining(0.5), "B"), 0.8 * 0.825);
    near(p(&retaining(1.0), "B"), 0.8);
    near(p(&retaining(0.0), "B"), 0.8 * 0.65);
    let options = WorkflowCostOptions {
        default_quality_retention: 0.85,
        ..Default::default()
    };
    near(p_with(&without_retention(), "B", options), 0.8 * 0.9475);
}

fn two() -> TaskGraph {
    built(&[
        TaskInput {
            scope: Some(TaskScope::Narrow).into(),
            impact: Some(TaskImpact::Phase).into(),
            ..at("A", &[], TaskRisk::High)
        },
        TaskInput {
            scope: Some(TaskScope::Broad).into(),
            impact: Some(TaskImpact::Component).into(),
            ..at("B", &["A"], TaskRisk::Medium)
        },
    ])
}

#[test]
fn case_51_two_tasks() {
    let graph = two();
    let cost = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap();
    let rows: Vec<_> = cost
        .tasks
        .iter()
        .map(|t| (t.task_id, t.scope_cost, t.impact_weight))
        .collect();
    assert_eq!(rows, [("A", 2.0, 2.0), ("B", 4.0, 1.5)]);
    near(cost.tasks[0].p_effective, 0.65);
    near(cost.tasks[1].p_effective, 0.772);
    assert_eq!(cost.propagation_mode, PropagationMode::DagPropagate);
    assert_eq!(
        serde_json::to_value(&cost).unwrap()["propagationMode"],
        "dag-propagate"
    );
}

#[test]
fn case_52_propagation_lowers_what_has_a_parent() {
    let graph = two();
    let alone = graph.workflow_cost(&independent()).unwrap();
    assert!(
        alone
            .tasks
            .iter()
            .all(|task| task.p_effective == task.p_intrinsic)
    );
    let together = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap();
    let lower = |(a, b): (
        &alkhub_taskgraph::TaskCost<'_>,
        &alkhub_taskgraph::TaskCost<'_>,
    )| a.p_effective - b.p_effective;
    let differences: Vec<f64> = alone.tasks.iter().zip(&together.tasks).map(lower).collect();
    assert_eq!(differences[0], 0.0);
    assert!(differences[1] > 0.001);
}

#[test]
fn case_53_three_in_a_row() {
    let graph = built(&[
        at("A", &[], TaskRisk::Critical),
        at("B", &["A"], TaskRisk::Medium),
        at("C", &["B"], TaskRisk::Medium),
    ]);
    near(p(&graph, "A"), 0.5);
    near(p(&graph, "B"), 0.76);
    near(p(&graph, "C"), 0.7808);
}

#[test]
fn case_54_completed_tasks_are_certain_and_left_out() {
    let done = |risk| TaskInput {
        status: Some(TaskStatus::Completed).into(),
        ..at("A", &[], risk)
    };
    let graph = built(&[done(TaskRisk::High), at("B", &["A"], TaskRisk::Medium)]);
    let cost = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap();
    assert_eq!(cost.tasks.len(), 1);
    near(cost.tasks[0].p_effective, 0.8);
    let with = WorkflowCostOptions {
        include_completed: true,
        ..Default::default()
    };
    near(p_with(&graph, "A", with), 0.65);
    near(p_with(&graph, "B", with), 0.772);
    let graph = built(&[
        done(TaskRisk::Critical),
        at("B", &["A"], TaskRisk::High),
        at("C", &["B"], TaskRisk::Medium),
    ]);
    near(p(&graph, "B"), 0.65);
    near(p(&graph, "C"), 0.772);
}

#[test]
fn case_55_failed_and_blocked_tasks_are_listed() {
    let with = |id: &str, status| TaskInput {
        status: Some(status).into(),
        ..crate::task(id, &[])
    };
    let graph = built(&[
        with("A", TaskStatus::Failed),
        with("B", TaskStatus::Blocked),
    ]);
    assert_eq!(
        graph
            .workflow_cost(&WorkflowCostOptions::default())
            .unwrap()
            .tasks
            .len(),
        2
    );
}

#[test]
fn case_56_empty_and_single() {
    let empty = TaskGraph::new();
    assert_eq!(
        empty
            .workflow_cost(&WorkflowCostOptions::default())
            .unwrap(),
        WorkflowCost {
            tasks: Vec::new(),
            total_ev: 0.0,
            average_ev: 0.0,
            propagation_mode: PropagationMode::DagPropagate,
        }
    );
    assert_eq!(
        graph(&["A"])
            .workflow_cost(&WorkflowCostOptions::default())
            .unwrap()
            .tasks
            .len(),
        1
    );
}

#[test]
fn case_57_default_retention_is_for_edges_without_one() {
    let options = WorkflowCostOptions {
        default_quality_retention: 1.0,
        ..Default::default()
    };
    assert_eq!(p_with(&without_retention(), "B", options), 0.8);
    // A critical task before, an edge of 0.5: 0.8 × 0.75, whatever the default.
    let tasks = [
        at("A", &[], TaskRisk::Critical),
        at("B", &[], TaskRisk::Medium),
    ];
    let edge = DependencyEdge {
        from: "A".to_owned(),
        to: "B".to_owned(),
        quality_retention: Some(0.5),
    };
    near(
        p_with(
            &TaskGraph::from_records(&tasks, &[edge]).unwrap(),
            "B",
            options,
        ),
        0.6,
    );
}

#[test]
fn case_58_limit_keeps_the_first() {
    let options = WorkflowCostOptions {
        limit: Some(2),
        ..Default::default()
    };
    let graph = chain();
    let cost = graph.workflow_cost(&options).unwrap();
    assert_eq!(
        cost.tasks
            .iter()
            .map(|task| task.task_id)
            .collect::<Vec<_>>(),
        ["A", "B"]
    );
    // Limits that are no whole numbers are refused where options come as JSON.
    for limit in [json!(-1), json!(1.5), json!("2")] {
        let input = json!({
            "tasks": [{ "id": "A", "name": "A", "dependsOn": [] }],
            "workflowCost": { "mine": { "limit": limit } },
        });
        let result = analyze(&input).unwrap();
        assert_eq!(result["workflowCost"]["mine"]["error"]["field"], "limit");
    }
}

#[test]
fn case_59_totals_are_over_the_listed() {
    let graph = graph(&["A", "B"]);
    let cost = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap();
    assert_eq!((cost.total_ev, cost.average_ev), (4.0, 2.0));
    let first = &cost.tasks[0];
    assert_eq!(
        (first.p_effective, first.scope_cost, first.impact_weight),
        (0.8, 2.0, 1.0)
    );
}

#[test]
fn case_60_a_cyclic_graph_has_no_cost() {
    let graph = circle();
    let error = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap_err();
    assert!(matches!(error, TaskgraphError::CircularDependency { .. }));
    for id in ["A", "B", "C"] {
        assert!(error.to_string().contains(id));
    }
}

#[test]
fn a_config_makes_cost_depend_on_probability() {
    let options = WorkflowCostOptions {
        ev_config: Some(config(0.0, 20.0, 0.0, 0.0)),
        ..Default::default()
    };
    let graph = built(&[at("A", &[], TaskRisk::Critical)]);
    assert_eq!(graph.workflow_cost(&options).unwrap().total_ev, 12.0);
}
