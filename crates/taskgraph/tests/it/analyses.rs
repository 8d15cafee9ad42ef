//! Groups, paths, bottlenecks, risk, decomposition, defaults (cases 33 to 41).

use alkhub_taskgraph::{
    TaskAttributes, TaskGraph, TaskImpact, TaskInput, TaskRisk, TaskScope, TaskgraphError,
    resolve_defaults, should_decompose_task,
};
use serde_json::json;

use crate::{chain, circle, diamond, graph};

fn assessed(id: &str, depends_on: &[&str], risk: TaskRisk, impact: TaskImpact) -> TaskInput {
    TaskInput {
        risk: Some(risk).into(),
        impact: Some(impact).into(),
        ..crate::task(id, depends_on)
    }
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-12
}

fn is_circular<T: std::fmt::Debug>(result: Result<T, TaskgraphError>) -> bool {
    matches!(result, Err(TaskgraphError::CircularDependency { cycles }) if !cycles.is_empty())
}

#[test]
fn case_33_parallel_groups() {
    assert_eq!(
        chain().parallel_groups().unwrap(),
        [["A"], ["B"], ["C"], ["D"]]
    );
    assert_eq!(
        diamond().parallel_groups().unwrap(),
        [vec!["A"], vec!["B", "C"], vec!["D"]]
    );
    let two = graph(&["X", "Y: X", "P", "Q: P", "R: Q"]);
    assert_eq!(
        two.parallel_groups().unwrap(),
        [vec!["X", "P"], vec!["Y", "Q"], vec!["R"]]
    );
    assert!(TaskGraph::new().parallel_groups().unwrap().is_empty());
    assert_eq!(graph(&["only"]).parallel_groups().unwrap(), [["only"]]);
    assert!(is_circular(circle().parallel_groups()));
}

#[test]
fn case_34_critical_path() {
    assert!(TaskGraph::new().critical_path().unwrap().is_empty());
    assert_eq!(graph(&["only"]).critical_path().unwrap(), ["only"]);
    assert_eq!(chain().critical_path().unwrap(), ["A", "B", "C", "D"]);
    assert_eq!(diamond().critical_path().unwrap(), ["A", "B", "D"]);
    let branches = graph(&["A", "B1: A", "B2: B1", "C1: A", "C2: C1", "D: B2 C2"]);
    assert_eq!(branches.critical_path().unwrap().len(), 4);
    assert!(is_circular(circle().critical_path()));
}

#[test]
fn case_35_weighted_critical_path() {
    let heavy = |heavy: &'static str, weight: f64| {
        move |id: &str, _: &TaskAttributes| if id == heavy { weight } else { 1.0 }
    };
    assert_eq!(
        diamond().weighted_critical_path(heavy("C", 5.0)).unwrap(),
        ["A", "C", "D"]
    );
    let three = graph(&["A", "B: A", "C: A", "D: A", "E: B C D"]);
    assert_eq!(
        three.weighted_critical_path(heavy("B", 10.0)).unwrap(),
        ["A", "B", "E"]
    );
    assert_eq!(diamond().weighted_critical_path(|_, _| 0.0).unwrap(), ["A"]);
    assert_eq!(
        diamond().weighted_critical_path(|_, _| 1.0).unwrap(),
        diamond().critical_path().unwrap()
    );
    let mut asked = Vec::new();
    let graph = diamond();
    let weight = |id: &str, attributes: &TaskAttributes| {
        assert_eq!(attributes.name, id);
        asked.push(id.to_owned());
        1.0
    };
    graph.weighted_critical_path(weight).unwrap();
    assert_eq!(asked, ["A", "B", "C", "D"]);
    assert!(is_circular(circle().weighted_critical_path(|_, _| 1.0)));
    // Odd weights: negative ones end a path early, what is no number never wins.
    assert_eq!(chain().weighted_critical_path(|_, _| -1.0).unwrap(), ["A"]);
    assert!(
        chain()
            .weighted_critical_path(|_, _| f64::NAN)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        chain()
            .weighted_critical_path(heavy("B", f64::NAN))
            .unwrap(),
        ["A"]
    );
    assert_eq!(
        crate::graph(&["only"])
            .weighted_critical_path(|_, _| f64::NAN)
            .unwrap(),
        ["only"]
    );
}

#[test]
fn case_36_bottlenecks_of_small_graphs() {
    assert!(TaskGraph::new().bottlenecks().is_empty());
    for (graph, count) in [
        (graph(&["only"]), 1),
        (graph(&["A", "B"]), 2),
        (graph(&["A", "B", "C"]), 3),
        (graph(&["A", "B: A", "X", "Y: X"]), 4),
    ] {
        let bottlenecks = graph.bottlenecks();
        assert_eq!(bottlenecks.len(), count);
        assert!(bottlenecks.iter().all(|bottleneck| bottleneck.score == 0.0));
    }
}

#[test]
fn case_37_bottlenecks_of_chain_and_diamond() {
    let graph = chain();
    let scores = graph.bottlenecks();
    let order: Vec<_> = scores.iter().map(|bottleneck| bottleneck.task_id).collect();
    assert_eq!(order, ["B", "C", "A", "D"]);
    assert_eq!(scores[2].score, 0.0);
    assert_eq!(scores[3].score, 0.0);
    let graph = diamond();
    for bottleneck in graph.bottlenecks() {
        let inner = ["B", "C"].contains(&bottleneck.task_id);
        assert_eq!(bottleneck.score > 0.0, inner, "{}", bottleneck.task_id);
    }
    let tasks: Vec<_> = (0..22)
        .map(|n: i32| match n {
            0 => "t0".to_owned(),
            n => format!("t{n}: t{} t{}", n / 2, n - 1),
        })
        .collect();
    let graph = crate::graph(&tasks.iter().map(String::as_str).collect::<Vec<_>>());
    let scores: Vec<_> = graph
        .bottlenecks()
        .iter()
        .map(|bottleneck| bottleneck.score)
        .collect();
    assert_eq!(scores.len(), 22);
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
}

#[test]
fn bottlenecks_stay_right_when_path_counts_outgrow_integers() {
    // Layers of three: 3^layers shortest paths, beyond 2^31 at 20 layers and 2^1000 at 700.
    let layered = |layers: usize| {
        let mut tasks = Vec::new();
        for layer in 0..layers {
            for place in 0..3 {
                let before: Vec<String> = match layer {
                    0 => Vec::new(),
                    _ => (0..3).map(|p| format!("{}-{p}", layer - 1)).collect(),
                };
                tasks.push(TaskInput::new(format!("{layer}-{place}"), "").depending_on(before));
            }
        }
        TaskGraph::from_tasks(&tasks).unwrap()
    };
    let mut ends = vec![TaskInput::new("end", "").depending_on(["19-0", "19-1", "19-2"])];
    ends.push(TaskInput::new("start", ""));
    for layer in 0..20 {
        for place in 0..3 {
            let before: Vec<String> = match layer {
                0 => vec!["start".to_owned()],
                _ => (0..3).map(|p| format!("{}-{p}", layer - 1)).collect(),
            };
            ends.push(TaskInput::new(format!("{layer}-{place}"), "").depending_on(before));
        }
    }
    let graph = TaskGraph::from_tasks(&ends).unwrap();
    assert_eq!(graph.task_count(), 62);
    let best = graph.bottlenecks()[0].score;
    assert!((best - 0.07905).abs() < 0.000_005, "{best}");
    for graph in [layered(40), layered(600)] {
        assert!(
            graph
                .bottlenecks()
                .iter()
                .all(|b| (0.0..=1.0).contains(&b.score))
        );
    }
}

#[test]
fn case_38_risk_path() {
    use TaskImpact::{Isolated, Phase, Project};
    use TaskRisk::{Critical, High, Low, Medium};
    let of = |tasks: &[TaskInput]| {
        let graph = TaskGraph::from_tasks(tasks).unwrap();
        let path = graph.risk_path().unwrap();
        (path.path.join(" "), path.total_risk)
    };
    assert_eq!(of(&[]), (String::new(), 0.0));
    assert_eq!(
        of(&[assessed("A", &[], High, Phase)]),
        ("A".to_owned(), 0.7)
    );
    let (path, total) = of(&[
        assessed("A", &[], Medium, Isolated),
        assessed("B", &["A"], High, Phase),
        assessed("C", &["B"], Critical, Project),
    ]);
    assert_eq!(path, "A B C");
    assert!(near(total, 0.20 + 0.70 + 1.50), "{total}");
    let (path, total) = of(&[
        assessed("A", &[], Low, Isolated),
        assessed("B", &["A"], Medium, Isolated),
        assessed("C", &["A"], High, Project),
        crate::task("D", &["B", "C"]),
    ]);
    assert_eq!(path, "A C D");
    assert!(near(total, 0.1 + 1.05 + 0.2), "{total}");
    let graph = chain();
    assert!(near(graph.risk_path().unwrap().total_risk, 0.8));
    assert!(is_circular(circle().risk_path()));
}

#[test]
fn case_39_risk_distribution() {
    let mut tasks: Vec<_> = TaskRisk::ALL
        .iter()
        .map(|risk| assessed(risk.as_str(), &[], *risk, TaskImpact::Isolated))
        .collect();
    tasks.push(crate::task("none", &["ghost"]));
    let graph = TaskGraph::from_tasks(&tasks).unwrap();
    assert_eq!(
        serde_json::to_value(graph.risk_distribution()).unwrap(),
        json!({
            "trivial": ["trivial"], "low": ["low"], "medium": ["medium"], "high": ["high"],
            "critical": ["critical"], "unspecified": ["none", "ghost"],
        })
    );
    let empty = TaskGraph::new();
    assert_eq!(empty.risk_distribution(), Default::default());
}

#[test]
fn case_40_decompose() {
    let reasons = |risk: Option<TaskRisk>, scope: Option<TaskScope>| {
        let answer = should_decompose_task(&TaskAttributes {
            risk,
            scope,
            ..TaskAttributes::default()
        });
        assert_eq!(answer.should_decompose, !answer.reasons.is_empty());
        answer.reasons
    };
    let high = "risk: high — failure probability 0.35";
    let critical = "risk: critical — failure probability 0.50";
    let broad = "scope: broad — cost estimate 4.0";
    let system = "scope: system — cost estimate 5.0";
    assert_eq!(reasons(Some(TaskRisk::High), None), [high]);
    assert_eq!(
        reasons(Some(TaskRisk::Critical), Some(TaskScope::Narrow)),
        [critical]
    );
    assert_eq!(reasons(None, Some(TaskScope::Broad)), [broad]);
    assert_eq!(
        reasons(Some(TaskRisk::Low), Some(TaskScope::System)),
        [system]
    );
    assert_eq!(
        reasons(Some(TaskRisk::High), Some(TaskScope::Broad)),
        [high, broad]
    );
    for risk in [
        None,
        Some(TaskRisk::Medium),
        Some(TaskRisk::Low),
        Some(TaskRisk::Trivial),
    ] {
        for scope in [TaskScope::Single, TaskScope::Narrow, TaskScope::Moderate] {
            assert!(reasons(risk, Some(scope)).is_empty());
        }
        assert!(reasons(risk, None).is_empty());
    }
}

#[test]
fn case_41_defaults_and_numbers() {
    let scopes: Vec<_> = TaskScope::ALL
        .iter()
        .map(|s| (s.cost_estimate(), s.token_estimate()))
        .collect();
    assert_eq!(
        scopes,
        [
            (1.0, 500),
            (2.0, 1_500),
            (3.0, 3_000),
            (4.0, 6_000),
            (5.0, 10_000)
        ]
    );
    let risks: Vec<_> = TaskRisk::ALL
        .iter()
        .map(|r| (r.success_probability(), r.risk_weight()))
        .collect();
    let expected = [
        (0.98, 0.020000000000000018),
        (0.9, 0.09999999999999998),
        (0.8, 0.19999999999999996),
        (0.65, 0.35),
        (0.5, 0.5),
    ];
    assert_eq!(risks, expected);
    let impacts: Vec<_> = TaskImpact::ALL
        .iter()
        .map(|impact| impact.impact_weight())
        .collect();
    assert_eq!(impacts, [1.0, 1.5, 2.0, 3.0]);
    let resolved = serde_json::to_value(resolve_defaults(&TaskAttributes::named("A"))).unwrap();
    assert_eq!(
        resolved,
        json!({
            "name": "A", "risk": "medium", "scope": "narrow", "impact": "isolated",
            "level": null, "priority": null, "status": null, "costEstimate": 2.0,
            "tokenEstimate": 1500, "successProbability": 0.8, "riskWeight": 0.19999999999999996,
            "impactWeight": 1.0,
        })
    );
    let given = TaskAttributes {
        risk: Some(TaskRisk::Trivial),
        scope: Some(TaskScope::System),
        impact: Some(TaskImpact::Project),
        ..TaskAttributes::named("B")
    };
    let resolved = resolve_defaults(&given);
    assert_eq!(
        (resolved.risk, resolved.scope),
        (TaskRisk::Trivial, TaskScope::System)
    );
    assert_eq!((resolved.cost_estimate, resolved.impact_weight), (5.0, 3.0));
}

#[test]
fn schedule_tells_slack_in_units_of_cost() {
    let sized = |id: &str, depends_on: &[&str], scope| TaskInput {
        scope: Some(scope).into(),
        ..crate::task(id, depends_on)
    };
    let graph = TaskGraph::from_tasks(&[
        sized("A", &[], TaskScope::Single),
        sized("B", &["A"], TaskScope::System),
        sized("C", &["A"], TaskScope::Single),
        sized("D", &["B", "C"], TaskScope::Narrow),
        crate::task("free", &[]),
    ])
    .unwrap();
    let schedule: Vec<_> = graph
        .schedule()
        .unwrap()
        .iter()
        .map(|task| {
            (
                task.task_id,
                task.head,
                task.tail,
                task.slack,
                task.on_critical_path,
            )
        })
        .collect();
    assert_eq!(
        schedule,
        [
            ("A", 0.0, 8.0, 0.0, true),
            ("B", 1.0, 7.0, 0.0, true),
            ("C", 1.0, 3.0, 4.0, false),
            ("D", 6.0, 2.0, 0.0, true),
            ("free", 0.0, 2.0, 6.0, false),
        ]
    );
    assert!(is_circular(circle().schedule()));
}
