//! Everything about an input at once, as one JSON document.

mod input;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use crate::analysis::{WorkflowCostOptions, resolve_defaults, should_decompose_task};
use crate::frontmatter;
use crate::{InvalidInput, PropagationMode, TaskAttributes, TaskGraph, TaskStatus, TaskgraphError};

/// Runs every analysis on an input and gives all results as one document.
///
/// The input is an object with
///
/// - `tasks`, or `tasks` and `edges`, or `graph` (graphology JSON): the graph; beside it
///   `workflowCost`, an object of names and further option sets, and `taskEv`, a list of
///   arguments `[p, scopeCost, impactWeight, config?]`;
/// - or `markdown`: a text with front matter.
///
/// A call that fails gives `{"error": {"class", "message", …}}` in its place. Attributes of tasks
/// may be invalid here; `validation` then says so and the analyses take them as not assessed.
///
/// # Errors
///
/// When the input has none of these forms, with the path of what is wrong.
///
/// ```
/// use serde_json::json;
///
/// let input = json!({ "tasks": [{ "id": "a", "name": "First", "dependsOn": [] }] });
/// let result = alkhub_taskgraph::analyze(&input)?;
/// assert_eq!(result["construction"], json!({ "method": "fromTasks", "taskCount": 1, "edgeCount": 0 }));
/// assert_eq!(result["criticalPath"], json!(["a"]));
/// # Ok::<(), alkhub_taskgraph::InvalidInput>(())
/// ```
pub fn analyze(input: &Value) -> Result<Value, InvalidInput> {
    let input = input
        .as_object()
        .ok_or_else(|| InvalidInput::shape("", "Expected object"))?;
    let mut out = Map::new();
    if let Some(text) = input.get("markdown") {
        let text = text
            .as_str()
            .ok_or_else(|| InvalidInput::shape("markdown", "Expected string"))?;
        match frontmatter::parse(text) {
            Ok(task) => out.insert("task".to_owned(), value(&task)),
            Err(error) => out.insert("error".to_owned(), describe(&error.into())),
        };
    } else if input.contains_key("graph") || input.contains_key("tasks") {
        let (method, graph) = if let Some(graph) = input.get("graph") {
            ("fromJSON", TaskGraph::from_json(graph))
        } else if input.contains_key("edges") {
            ("fromRecords", input::records(input)?)
        } else {
            ("fromTasks", input::tasks(input)?)
        };
        let extra = input::cost_options(input)?;
        match graph {
            Ok(graph) => {
                let counts = json!({
                    "method": method,
                    "taskCount": graph.task_count(),
                    "edgeCount": graph.edge_count(),
                });
                out.insert("construction".to_owned(), counts);
                analyze_graph(&graph, &extra, &mut out);
            }
            Err(error) => {
                let failed = json!({ "method": method, "error": describe(&error) });
                out.insert("construction".to_owned(), failed);
            }
        }
    } else if !input.contains_key("taskEv") {
        let message = "Expected one of tasks, graph, markdown, taskEv";
        return Err(InvalidInput::shape("", message));
    }
    if let Some(calls) = input.get("taskEv") {
        out.insert("taskEv".to_owned(), input::task_evs(calls)?);
    }
    let mut out = Value::Object(out);
    whole_numbers(&mut out);
    Ok(out)
}

/// All results for a graph.
fn analyze_graph(
    graph: &TaskGraph,
    extra: &[(String, Result<WorkflowCostOptions, InvalidInput>)],
    out: &mut Map<String, Value>,
) {
    let mut put = |key: &str, result: Value| {
        out.insert(key.to_owned(), result);
    };
    put("export", graph.to_json());
    put("nodeOrder", value(&graph.task_ids().collect::<Vec<_>>()));
    let by_task = |neighbours: &dyn Fn(&str) -> Value| -> Value {
        graph
            .task_ids()
            .map(|id| (id.to_owned(), neighbours(id)))
            .collect::<Map<_, _>>()
            .into()
    };
    put(
        "dependencies",
        by_task(&|id| outcome(graph.dependencies(id))),
    );
    put("dependents", by_task(&|id| outcome(graph.dependents(id))));
    put("hasCycles", graph.has_cycles().into());
    put("cycles", value(&graph.find_cycles()));
    put("topologicalOrder", outcome(graph.topological_order()));
    put("parallelGroups", outcome(graph.parallel_groups()));
    put("criticalPath", outcome(graph.critical_path()));
    let cost = |attributes: &TaskAttributes| resolve_defaults(attributes).cost_estimate;
    let weighted = |weight: &dyn Fn(&TaskAttributes) -> f64| {
        outcome(graph.weighted_critical_path(|_, attributes| weight(attributes)))
    };
    put(
        "weightedCriticalPath",
        json!({
            "scopeCost": weighted(&cost),
            "scopeCostTimesImpact":
                weighted(&|task| cost(task) * resolve_defaults(task).impact_weight),
            "zero": weighted(&|_| 0.0),
        }),
    );
    put("bottlenecks", value(&graph.bottlenecks()));
    put("riskPath", outcome(graph.risk_path()));
    put("riskDistribution", value(&graph.risk_distribution()));
    let each = |describe: &dyn Fn(&TaskAttributes) -> Value| -> Value {
        let with_id = |(id, attributes): (&str, &TaskAttributes)| {
            let mut described = describe(attributes);
            described["taskId"] = id.into();
            described
        };
        graph.tasks().map(with_id).collect::<Vec<_>>().into()
    };
    put(
        "decompose",
        each(&|task| value(&should_decompose_task(task))),
    );
    put(
        "resolvedDefaults",
        each(&|task| value(&resolve_defaults(task))),
    );
    put("workflowCost", costs(graph, extra));
    let open = graph.subgraph(|_, task| task.status != Some(TaskStatus::Completed));
    put("subgraphNotCompleted", open.to_json());
    put("validation", value(&graph.validate()));
}

/// Workflow costs by the usual option sets and by those of the input.
fn costs(
    graph: &TaskGraph,
    extra: &[(String, Result<WorkflowCostOptions, InvalidInput>)],
) -> Value {
    let usual = |include_completed, propagation_mode, limit| WorkflowCostOptions {
        include_completed,
        propagation_mode,
        limit,
        ..WorkflowCostOptions::default()
    };
    let dag = PropagationMode::DagPropagate;
    let independent = PropagationMode::Independent;
    let mut costs = Map::new();
    for (name, options) in [
        ("dagPropagate", usual(false, dag, None)),
        ("independent", usual(false, independent, None)),
        ("dagPropagateIncludeCompleted", usual(true, dag, None)),
        (
            "independentIncludeCompleted",
            usual(true, independent, None),
        ),
        ("dagPropagateLimit3", usual(false, dag, Some(3))),
    ] {
        costs.insert(name.to_owned(), outcome(graph.workflow_cost(&options)));
    }
    for (name, options) in extra {
        let cost = match options {
            Ok(options) => outcome(graph.workflow_cost(options)),
            Err(error) => json!({ "error": describe(&error.clone().into()) }),
        };
        costs.insert(name.clone(), cost);
    }
    costs.into()
}

/// A result as JSON, or the error in its place.
fn outcome<T: Serialize>(result: Result<T, TaskgraphError>) -> Value {
    match result {
        Ok(result) => value(&result),
        Err(error) => json!({ "error": describe(&error) }),
    }
}

/// An error with its class, its message and its fields.
fn describe(error: &TaskgraphError) -> Value {
    let mut described = json!({ "class": error.class(), "message": error.to_string() });
    match error {
        TaskgraphError::TaskNotFound { task_id }
        | TaskgraphError::DuplicateNode { task_id }
        | TaskgraphError::SelfDependency { task_id } => described["taskId"] = json!(task_id),
        TaskgraphError::CircularDependency { cycles } => {
            let cycles: Vec<Vec<&str>> = cycles
                .iter()
                .map(|cycle| cycle.iter().map(|id| &**id).collect())
                .collect();
            described["cycles"] = json!(cycles);
        }
        TaskgraphError::InvalidInput(error) => described["field"] = json!(error.field),
        TaskgraphError::DuplicateEdge {
            prerequisite,
            dependent,
        } => {
            described["prerequisite"] = json!(prerequisite);
            described["dependent"] = json!(dependent);
        }
    }
    described
}

/// Results hold nothing that JSON cannot say, so this does not fail: doubles that are no numbers
/// become null.
fn value(result: &impl Serialize) -> Value {
    serde_json::to_value(result).unwrap_or(Value::Null)
}

/// Writes doubles without a fraction as whole numbers, as JSON has no difference between them.
fn whole_numbers(value: &mut Value) {
    // Whole doubles beyond this are written in full either way.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(double) = number
                .as_f64()
                .filter(|d| number.is_f64() && d.abs() < EXACT)
                && double.fract() == 0.0
            {
                *number = Number::from(double as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(entries) => entries.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
