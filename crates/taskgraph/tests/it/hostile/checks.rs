//! What holds for any bytes whatever: no panic, and what was read comes back when it is written.
//! Each check is the body of a fuzz target and of a test that replays what the targets know.

use alkhub_taskgraph::frontmatter::{self, Document, Options, UnknownKeys};
use alkhub_taskgraph::{
    InvalidReason, TaskGraph, WorkflowCostOptions, analyze, graph_from_json_str, render,
};
use serde_json::Value;

/// Largest graph whose analyses a check waits for.
const SMALL: usize = 200;

/// Bytes as a task file.
pub(crate) fn front_matter(bytes: &[u8]) {
    for options in [Options::default(), Options::lenient()] {
        let text = String::from_utf8_lossy(bytes);
        let task = frontmatter::parse_bytes(bytes, &options);
        assert_eq!(task, frontmatter::parse_with(&text, &options));
        let document = Document::parse(&text, &options);
        let Ok(task) = task else {
            assert!(document.is_err(), "a document without a task");
            continue;
        };
        let written = frontmatter::write(&task, &text);
        assert_eq!(
            frontmatter::parse_with(&written, &options),
            Ok(task.clone())
        );
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                // Only what refers to itself or unfolds without end cannot be kept.
                let aliases = text.contains('&') && text.contains('*');
                assert!(aliases && error.reason == InvalidReason::Shape, "{error:?}");
                continue;
            }
        };
        assert_eq!(document.task, task);
        let again = Document::parse(&document.to_text(), &options);
        assert_eq!(again.as_ref(), Ok(&document));
        let unknown = UnknownKeys::parse(document.unknown.as_str(), &options);
        assert_eq!(unknown.as_ref(), Ok(&document.unknown));
    }
}

/// Bytes as graphology JSON, and as the input of an analysis.
pub(crate) fn graph_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = graph_from_json_str(text);
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        assert!(read.is_err(), "a graph out of no JSON");
        return;
    };
    match (&read, TaskGraph::from_json(&value)) {
        (Ok(graph), Ok(tree)) => assert_eq!(graph.to_json(), tree.to_json()),
        (Err(error), Err(tree)) => assert_eq!(*error, tree),
        (read, tree) => panic!("read as text {read:?}, as a tree {tree:?}"),
    }
    if text.len() < 20_000
        && let Err(error) = analyze(&value)
    {
        assert!(!error.message.is_empty());
    }
    if let Ok(graph) = read {
        exported(&graph);
        analysed(&graph);
    }
}

/// An export reads back as the same graph.
fn exported(graph: &TaskGraph) {
    let export = graph.to_json();
    let text = serde_json::to_string(graph).unwrap_or_default();
    let again = graph_from_json_str(&text);
    let again = again.unwrap_or_else(|error| panic!("{error:?} for an export: {text}"));
    assert_eq!(again.to_json(), export);
}

/// The analyses agree with each other about cycles, and all of them come to an end.
fn analysed(graph: &TaskGraph) {
    let cyclic = graph.has_cycles();
    assert_eq!(cyclic, !graph.find_cycles().is_empty());
    assert_eq!(cyclic, graph.topological_order().is_err());
    assert_eq!(cyclic, graph.validate_graph().len() == 1);
    assert_eq!(graph.validate_schema().len(), 0, "the shape was checked");
    if graph.task_count() > SMALL {
        return;
    }
    let groups = graph.parallel_groups();
    let grouped: usize = groups.iter().flatten().map(Vec::len).sum();
    assert_eq!(grouped, if cyclic { 0 } else { graph.task_count() });
    let cost = graph.workflow_cost(&WorkflowCostOptions::default());
    assert_eq!(cost.is_err(), cyclic);
    assert_eq!(graph.schedule().is_err(), cyclic);
    for bottleneck in graph.bottlenecks() {
        let score = bottleneck.score;
        assert!((0.0..=1.000_000_1).contains(&score), "{bottleneck:?}");
    }
    for id in graph.task_ids() {
        for before in graph.dependencies(id).unwrap_or_default() {
            let after = graph.dependents(before).unwrap_or_default();
            assert!(after.contains(&id), "{before} knows nothing of {id}");
        }
    }
    let options = render::Options::default();
    if let Ok(svg) = render::svg(graph, &options) {
        assert!(svg.contains("</svg>"));
    }
}
