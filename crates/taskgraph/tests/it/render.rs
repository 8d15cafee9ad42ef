//! Drawings: what they show, that texts stay texts, and that size is no danger.

use std::time::{Duration, Instant};

use alkhub_taskgraph::render::{self, Options, RenderError};
use alkhub_taskgraph::{
    TaskAttributes, TaskGraph, TaskImpact, TaskInput, TaskRisk, TaskStatus, graph_from_json_str,
};

use crate::{circle, graph, task};

/// A task of every status and risk, one that is missing and one that stands alone.
fn plan() -> TaskGraph {
    let with = |id: &str, name: &str, depends_on: &[&str], status, risk| TaskInput {
        status: Some(status).into(),
        risk: Some(risk).into(),
        impact: Some(TaskImpact::Phase).into(),
        ..TaskInput::new(id, name).depending_on(depends_on.iter().copied())
    };
    TaskGraph::from_tasks(&[
        with(
            "schema",
            "Write the schema",
            &[],
            TaskStatus::Completed,
            TaskRisk::Trivial,
        ),
        with(
            "parser",
            "Write the parser",
            &["schema"],
            TaskStatus::InProgress,
            TaskRisk::High,
        ),
        with(
            "docs",
            "Document <it> & \"all\"",
            &["schema", "style-guide"],
            TaskStatus::Blocked,
            TaskRisk::Low,
        ),
        with(
            "tests",
            "Test the parser",
            &["parser"],
            TaskStatus::Failed,
            TaskRisk::Medium,
        ),
        with(
            "ship",
            "Ship it",
            &["tests", "docs", "schema"],
            TaskStatus::Pending,
            TaskRisk::Critical,
        ),
        TaskInput::new("party", "Have a party"),
    ])
    .unwrap()
}

fn svg(graph: &TaskGraph) -> String {
    render::svg(graph, &Options::default()).unwrap()
}

#[test]
fn svg_of_a_small_plan_is_as_written_down() {
    let options = Options {
        title: Some("Parser & friends".to_owned()),
        ..Options::default()
    };
    insta::assert_snapshot!("plan.svg", render::svg(&plan(), &options).unwrap());
}

#[test]
fn dot_of_a_small_plan_is_as_written_down() {
    insta::assert_snapshot!(
        "plan.dot",
        render::dot(&plan(), &Options::default()).unwrap()
    );
}

#[test]
fn mermaid_of_a_small_plan_is_as_written_down() {
    insta::assert_snapshot!(
        "plan.mermaid",
        render::mermaid(&plan(), &Options::default()).unwrap()
    );
}

#[test]
fn json_is_the_export_and_reads_back() {
    let text = render::json(&plan()).unwrap();
    assert_eq!(
        graph_from_json_str(&text).unwrap().to_json(),
        plan().to_json()
    );
}

#[test]
fn every_task_and_every_dependency_is_drawn_once() {
    let graph = plan();
    let drawn = svg(&graph);
    assert_eq!(drawn.matches("<g class=\"tg-n").count(), graph.task_count());
    assert_eq!(
        drawn.matches("<path class=\"tg-e").count(),
        graph.edge_count() + 1,
        "and the legend's"
    );
}

#[test]
fn the_critical_path_is_marked() {
    let drawn = svg(&plan());
    assert_eq!(drawn.matches("<g class=\"tg-n tg-crit\"").count(), 4);
    assert!(drawn.contains("critical path, 4 tasks"), "{drawn}");
}

#[test]
fn cycles_are_dashed_and_named_and_everything_is_still_drawn() {
    let circle = circle();
    let drawn = svg(&circle);
    assert_eq!(drawn.matches("<g class=\"tg-n").count(), 3);
    assert!(drawn.contains("Cycle: A → B → C → A"), "{drawn}");
    assert_eq!(
        drawn.matches("tg-e tg-back\" d=\"M").count(),
        2,
        "a line and its sample in the legend"
    );
    let dot = render::dot(&circle, &Options::default()).unwrap();
    assert!(
        dot.contains("style=dashed") && dot.contains("// cycle: A → B → C"),
        "{dot}"
    );
    let mermaid = render::mermaid(&circle, &Options::default()).unwrap();
    assert!(mermaid.contains("  n2 --> n0\n"), "{mermaid}");
    assert!(mermaid.contains("linkStyle"), "{mermaid}");
}

#[test]
fn two_tasks_that_depend_on_each_other_give_two_lines_apart() {
    let drawn = svg(&graph(&["a: b", "b: a"]));
    let lines: Vec<&str> = drawn
        .lines()
        .filter(|line| line.contains(" → ") && line.contains("<path"))
        .collect();
    assert_eq!(lines.len(), 2, "{drawn}");
    let points = |line: &str| line.split("d=\"M").nth(1).map(str::to_owned).unwrap();
    assert_ne!(
        points(lines[0]).split(' ').nth(1),
        points(lines[1]).split(' ').nth(1)
    );
}

#[test]
fn missing_tasks_are_dotted_and_counted_apart() {
    let drawn = svg(&plan());
    assert!(drawn.contains("missing task 1"), "{drawn}");
    assert!(drawn.contains("6 tasks, 7 dependencies"), "{drawn}");
    assert!(drawn.contains("there is no such task"));
}

#[test]
fn hostile_texts_stay_texts() {
    let mut graph = TaskGraph::new();
    for id in [
        "<script>alert(1)</script>",
        "\"]; end",
        "a\\",
        "-->",
        "\u{0}\u{1b}[2J",
        "]]>",
        "",
        "#quot;",
        "`**bold**`",
        "two\nlines",
        "\u{202e}rtl",
    ] {
        graph.add_task(id, TaskAttributes::named(id)).unwrap();
    }
    let options = Options {
        title: Some("</title><script>".to_owned()),
        ..Options::default()
    };
    let drawn = render::svg(&graph, &options).unwrap();
    assert!(!drawn.contains("<script"), "{drawn}");
    assert!(!drawn.contains(['\u{0}', '\u{1b}']), "{drawn:?}");
    let dot = render::dot(&graph, &Options::default()).unwrap();
    assert!(dot.contains("  \"\\\"]; end\";\n"), "{dot}");
    assert!(dot.contains("  \"a\\\\\";\n"), "{dot}");
    assert!(dot.contains("  \"two\\nlines\";\n"), "{dot}");
    let mermaid = render::mermaid(&graph, &Options::default()).unwrap();
    assert!(mermaid.contains("  n1[\"#quot;]; end\"]\n"), "{mermaid}");
    assert!(mermaid.contains("  n6[\" \"]\n"), "{mermaid}");
    assert!(mermaid.contains("  n7[\"#35;quot;\"]\n"), "{mermaid}");
    assert_eq!(mermaid.lines().count(), 12, "{mermaid}");
}

#[test]
fn nothing_and_single_tasks_can_be_drawn() {
    assert!(svg(&TaskGraph::new()).contains("0 tasks, 0 dependencies"));
    assert!(svg(&graph(&["only"])).contains("1 task, 0 dependencies"));
    let empty = render::mermaid(&TaskGraph::new(), &Options::default()).unwrap();
    assert_eq!(empty, "graph LR\n");
}

#[test]
fn the_same_graph_gives_the_same_drawing() {
    assert_eq!(svg(&tangle(300)), svg(&tangle(300)));
}

#[test]
fn too_large_graphs_are_refused_unless_asked_for() {
    let options = Options {
        max_tasks: 3,
        ..Options::default()
    };
    let refused = render::svg(&plan(), &options);
    assert!(
        matches!(refused, Err(RenderError::TooLarge { tasks: 7, edges: 7 })),
        "{refused:?}"
    );
    assert!(render::dot(&plan(), &options).is_err());
    assert!(render::mermaid(&plan(), &options).is_err());
    assert!(render::mermaid(&plan(), &options.unlimited()).is_ok());
}

#[test]
fn extreme_shapes_are_drawn_in_bounded_time() {
    let id = |number: usize| format!("t{number}");
    let star: Vec<TaskInput> = std::iter::once(task("hub", &[]))
        .chain((0..3_000).map(|number| task(&id(number), &["hub"])))
        .collect();
    // A chain in which every task also depends on the first: half a million layers crossed.
    let comb: Vec<TaskInput> = (0..1_500_usize)
        .map(|number| match number {
            0 => task(&id(0), &[]),
            1 => task(&id(1), &[&id(0)]),
            _ => task(&id(number), &[&id(number - 1), &id(0)]),
        })
        .collect();
    let dense: Vec<TaskInput> = (0..240_usize)
        .map(|number| {
            let before: Vec<String> = (number / 120 * 120 / 2..number / 120 * 120)
                .map(id)
                .collect();
            task(
                &id(number),
                &before.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        })
        .collect();
    for tasks in [star, comb, dense] {
        let graph = TaskGraph::from_tasks(&tasks).unwrap();
        let started = Instant::now();
        let drawn = svg(&graph);
        assert_eq!(drawn.matches("<g class=\"tg-n").count(), graph.task_count());
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
    }
}

/// Tasks with up to three dependencies anywhere before them.
fn tangle(count: usize) -> TaskGraph {
    let mut seed = 7_u64;
    let mut below = move |limit: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % limit
    };
    let tasks: Vec<TaskInput> = (0..count)
        .map(|number| {
            let before: Vec<String> = (0..3.min(number))
                .map(|_| format!("t{}", below(number)))
                .collect();
            TaskInput::new(format!("t{number}"), "Task").depending_on(before)
        })
        .collect();
    TaskGraph::from_tasks(&tasks).unwrap()
}
