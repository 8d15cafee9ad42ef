//! Random graphs against a slow second implementation written from the rules alone, and random
//! texts through the front matter and back.

mod model;
mod texts;

use alkhub_taskgraph::frontmatter::{self, Document, Options, UnknownKeys};
use alkhub_taskgraph::{
    TaskAttributes, TaskGraph, TaskImpact, TaskRisk, TaskScope, TaskStatus, WorkflowCostOptions,
    graph_from_json_str, resolve_defaults,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use model::Model;
use texts::{data, task, text};

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn option<T: Copy + std::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(select(all))
}

fn attributes() -> impl Strategy<Value = TaskAttributes> {
    (
        "[a-c]{0,2}",
        option(TaskScope::ALL),
        option(TaskRisk::ALL),
        option(TaskImpact::ALL),
        option(TaskStatus::ALL),
    )
        .prop_map(|(name, scope, risk, impact, status)| TaskAttributes {
            scope,
            risk,
            impact,
            status,
            ..TaskAttributes::named(name)
        })
}

/// Ids of all kinds the orders look at.
const IDS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "0",
    "7",
    "10",
    "9",
    "07",
    "-1",
    "4294967294",
    "4294967295",
    "1.0",
    "é",
    "e\u{301}",
    "",
    " ",
    "__proto__",
];

/// Nodes in random order, edges between them in random order; acyclic when `forward`.
fn model(forward: bool) -> impl Strategy<Value = Model> {
    let ids = Just(IDS.to_vec()).prop_shuffle();
    (
        ids,
        0..=IDS.len(),
        vec((0..IDS.len(), 0..IDS.len(), 0..5_u8), 0..50),
        vec(attributes(), IDS.len()),
    )
        .prop_map(move |(ids, count, pairs, attributes)| {
            let nodes: Vec<_> = ids
                .iter()
                .take(count)
                .map(|id| (*id).to_owned())
                .zip(attributes)
                .collect();
            let mut model = Model {
                nodes,
                edges: Vec::new(),
            };
            for (from, to, retention) in pairs {
                // A rank that has nothing to do with node order, so that sources stand anywhere.
                let rank = |place: usize| (place * 7 + 3) % IDS.len();
                let (from, to) = if forward && rank(from) > rank(to) {
                    (to, from)
                } else {
                    (from, to)
                };
                if from == to || from >= count || to >= count {
                    continue;
                }
                let (from, to) = (ids[from].to_owned(), ids[to].to_owned());
                if !model
                    .edges
                    .iter()
                    .any(|edge| edge.0 == from && edge.1 == to)
                {
                    model.edges.push((from, to, f64::from(retention) / 4.0));
                }
            }
            model
        })
}

fn built(model: &Model) -> TaskGraph {
    let mut graph = TaskGraph::new();
    for (id, attributes) in &model.nodes {
        graph.add_task(id, attributes.clone()).unwrap();
    }
    for (from, to, retention) in &model.edges {
        graph
            .add_dependency_retaining(from, to, *retention)
            .unwrap();
    }
    graph
}

fn check_against(model: &Model, graph: &TaskGraph) {
    assert_eq!(texts(&graph.task_ids().collect::<Vec<_>>()), model.ids());
    for id in model.ids() {
        assert_eq!(texts(&graph.dependents(&id).unwrap()), model.out(&id));
        assert_eq!(texts(&graph.dependencies(&id).unwrap()), model.inn(&id));
        assert_eq!(graph.get_task(&id), Some(model.attributes(&id)));
    }
    let cycles: Vec<_> = graph
        .find_cycles()
        .iter()
        .map(|cycle| texts(cycle))
        .collect();
    assert_eq!(cycles, model.cycles());
    assert_eq!(graph.has_cycles(), !cycles.is_empty());
    let bottlenecks: Vec<_> = graph
        .bottlenecks()
        .iter()
        .map(|b| (b.task_id.to_owned(), b.score.to_bits()))
        .collect();
    let expected: Vec<_> = model
        .betweenness()
        .into_iter()
        .map(|(id, score)| (id, score.to_bits()))
        .collect();
    assert_eq!(bottlenecks, expected);
    let Some(order) = model.topological() else {
        assert!(graph.topological_order().is_err());
        assert!(graph.critical_path().is_err());
        return;
    };
    assert_eq!(texts(&graph.topological_order().unwrap()), order);
    let groups: Vec<_> = graph
        .parallel_groups()
        .unwrap()
        .iter()
        .map(|group| texts(group))
        .collect();
    assert_eq!(groups, model.groups(&order));
    assert_eq!(
        texts(&graph.critical_path().unwrap()),
        model.longest(&order, |_| 1.0)
    );
    let cost = |task: &TaskAttributes| {
        let task = resolve_defaults(task);
        task.cost_estimate * task.impact_weight - 3.0
    };
    assert_eq!(
        texts(&graph.weighted_critical_path(|_, task| cost(task)).unwrap()),
        model.longest(&order, |id| cost(model.attributes(id)))
    );
    let risk = |id: &str| {
        let task = resolve_defaults(model.attributes(id));
        task.risk_weight * task.impact_weight
    };
    let path = graph.risk_path().unwrap();
    let expected = model.longest(&order, risk);
    assert_eq!(texts(&path.path), expected);
    let total = expected.iter().fold(0.0, |sum, id| sum + risk(id));
    assert_eq!(path.total_risk.to_bits(), total.to_bits());
    let workflow = graph
        .workflow_cost(&WorkflowCostOptions::default())
        .unwrap();
    let listed: Vec<_> = workflow
        .tasks
        .iter()
        .map(|t| (t.task_id.to_owned(), t.p_effective.to_bits()))
        .collect();
    let expected: Vec<_> = model
        .probabilities(&order)
        .into_iter()
        .map(|(id, p)| (id, p.to_bits()))
        .collect();
    assert_eq!(listed, expected);
}

/// One change of a graph.
#[derive(Clone, Debug)]
enum Change {
    Add(&'static str),
    Remove(&'static str),
    Link(&'static str, &'static str),
    Unlink(&'static str, &'static str),
    Keep(Vec<&'static str>),
}

fn change() -> impl Strategy<Value = Change> {
    let id = || select(IDS);
    prop_oneof![
        6 => id().prop_map(Change::Add),
        2 => id().prop_map(Change::Remove),
        8 => (id(), id()).prop_map(|(from, to)| Change::Link(from, to)),
        3 => (id(), id()).prop_map(|(from, to)| Change::Unlink(from, to)),
        1 => proptest::sample::subsequence(IDS, 4..=IDS.len()).prop_map(Change::Keep),
    ]
}

fn apply(change: &Change, model: &mut Model, graph: &mut TaskGraph) {
    let there = |model: &Model, id: &str| model.nodes.iter().any(|node| node.0 == id);
    match change {
        Change::Add(id) => {
            let added = graph.add_task(id, TaskAttributes::named(*id));
            assert_eq!(added.is_err(), there(model, id));
            if added.is_ok() {
                model
                    .nodes
                    .push(((*id).to_owned(), TaskAttributes::named(*id)));
            }
        }
        Change::Remove(id) => {
            graph.remove_task(id);
            model.nodes.retain(|node| node.0 != *id);
            model.edges.retain(|edge| edge.0 != *id && edge.1 != *id);
        }
        Change::Link(from, to) => {
            let linked = graph.add_dependency(from, to);
            let twice = model
                .edges
                .iter()
                .any(|edge| edge.0 == *from && edge.1 == *to);
            let legal = there(model, from) && there(model, to) && from != to && !twice;
            assert_eq!(linked.is_ok(), legal);
            if legal {
                model
                    .edges
                    .push(((*from).to_owned(), (*to).to_owned(), 0.9));
            }
        }
        Change::Unlink(from, to) => {
            graph.remove_dependency(from, to);
            model.edges.retain(|edge| edge.0 != *from || edge.1 != *to);
        }
        Change::Keep(ids) => {
            *graph = graph.subgraph(|id, _| ids.contains(&id));
            let kept = |id: &str| ids.contains(&id);
            model.nodes.retain(|node| kept(&node.0));
            model.edges.retain(|edge| kept(&edge.0) && kept(&edge.1));
        }
    }
}
/// The usual number of cases (`PROPTEST_CASES` changes it) divided: the second implementation is
/// slow on purpose.
fn cases(divisor: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / divisor,
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn acyclic_graphs_give_what_the_rules_say(model in model(true)) {
        check_against(&model, &built(&model));
    }

    #[test]
    fn graphs_with_cycles_give_what_the_rules_say(model in model(false)) {
        check_against(&model, &built(&model));
    }

    #[test]
    fn changes_leave_what_the_rules_say(changes in vec(change(), 0..120)) {
        let (mut model, mut graph) = (Model::default(), TaskGraph::new());
        for change in &changes {
            apply(change, &mut model, &mut graph);
        }
        check_against(&model, &graph);
    }

    #[test]
    fn export_and_import_are_inverse(model in model(false)) {
        let graph = built(&model);
        let text = serde_json::to_string(&graph).unwrap();
        let again = graph_from_json_str(&text).unwrap();
        prop_assert_eq!(again.to_json(), graph.to_json());
        check_against(&model, &again);
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn written_tasks_read_back_equal(task in task(), body in text()) {
        let written = frontmatter::write(&task, &body);
        prop_assert_eq!(frontmatter::parse(&written), Ok(task), "{}", written);
        let document = Document::parse(&written, &Options::default()).unwrap();
        prop_assert_eq!(&document.body, &body);
        prop_assert!(document.unknown.is_empty());
        prop_assert_eq!(document.to_text(), written);
    }

    #[test]
    fn documents_come_back_equal(data in data(), body in text()) {
        let text = format!("---\n{data}\n---\n{body}");
        if let Ok(task) = frontmatter::parse(&text) {
            let document = match Document::parse(&text, &Options::default()) {
                Ok(document) => document,
                // Only what refers to itself or unfolds without end cannot be kept.
                Err(error) => return Err(TestCaseError::fail(format!("{error:?} for {text:?}"))),
            };
            prop_assert_eq!(&document.task, &task);
            let again = Document::parse(&document.to_text(), &Options::default());
            prop_assert_eq!(again, Ok(document.clone()), "{:?} was {:?}", document.to_text(), text);
            let kept = UnknownKeys::parse(document.unknown.as_str(), &Options::default());
            prop_assert_eq!(kept, Ok(document.unknown));
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in text(), bytes in vec(any::<u8>(), 0..64)) {
        let _ = frontmatter::parse(&text);
        let _ = frontmatter::parse(&format!("---\n{text}\n---\n"));
        let _ = frontmatter::parse_bytes(&bytes, &Options::default());
        let _ = graph_from_json_str(&text);
        let _ = UnknownKeys::parse(&text, &Options::default());
    }
}

#[test]
fn bottlenecks_are_exact_on_a_graph_of_several_rounds() {
    let mut random = 1_u64;
    let mut below = |limit: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let mut model = Model::default();
    for number in 0..700_u64 {
        let id = format!("t{number}");
        for _ in 0..3.min(number) {
            let on = format!("t{}", below(number));
            if !model.edges.iter().any(|edge| edge.0 == on && edge.1 == id) {
                model.edges.push((on, id.clone(), 0.9));
            }
        }
        model.nodes.push((id.clone(), TaskAttributes::named(id)));
    }
    let graph = built(&model);
    let expected: Vec<_> = model
        .betweenness()
        .into_iter()
        .map(|(id, s)| (id, s.to_bits()))
        .collect();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let scores = pool.install(|| graph.bottlenecks());
        let scores: Vec<_> = scores
            .iter()
            .map(|b| (b.task_id.to_owned(), b.score.to_bits()))
            .collect();
        assert_eq!(scores, expected, "{threads} threads");
    }
}
