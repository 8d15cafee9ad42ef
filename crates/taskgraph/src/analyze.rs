//! Everything about an input at once, as one JSON document.

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use crate::analysis::{
    EvConfig, WorkflowCostOptions, calculate_task_ev, resolve_defaults, should_decompose_task,
};
use crate::frontmatter;
use crate::{
    DependencyEdge, InvalidInput, PropagationMode, TaskAttributes, TaskGraph, TaskStatus,
    TaskgraphError,
};

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
            ("fromRecords", records(input)?)
        } else {
            ("fromTasks", tasks(input)?)
        };
        let extra = cost_options(input)?;
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
        out.insert("taskEv".to_owned(), task_evs(calls)?);
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

type Named<T> = Vec<(String, Result<T, InvalidInput>)>;

fn cost_options(input: &Map<String, Value>) -> Result<Named<WorkflowCostOptions>, InvalidInput> {
    let Some(sets) = input.get("workflowCost") else {
        return Ok(Vec::new());
    };
    let sets = sets
        .as_object()
        .ok_or_else(|| InvalidInput::shape("workflowCost", "Expected object"))?;
    let read = |(name, options): (&String, &Value)| {
        let options = WorkflowCostOptions::from_json(options);
        (name.clone(), options)
    };
    Ok(sets.iter().map(read).collect())
}

impl WorkflowCostOptions {
    /// Reads options from JSON, with the field at fault.
    fn from_json(options: &Value) -> Result<Self, InvalidInput> {
        let object = options
            .as_object()
            .ok_or_else(|| InvalidInput::shape("", "Expected object"))?;
        // Whole numbers may be written as 3.0; null means the default, as absence does.
        let mut clean = Map::new();
        for (key, value) in object {
            let whole = value
                .as_f64()
                .filter(|f| key == "limit" && *f >= 0.0 && f.fract() == 0.0);
            match whole {
                _ if value.is_null() => {}
                Some(limit) => {
                    clean.insert(key.clone(), Value::from(limit as u64));
                }
                None => {
                    clean.insert(key.clone(), value.clone());
                }
            }
        }
        serde_json::from_value(Value::Object(clean.clone())).map_err(|error| {
            // One field at a time tells which one it is.
            let alone = |(key, value): (String, Value)| {
                let one = Value::Object(Map::from_iter([(key.clone(), value)]));
                serde_json::from_value::<Self>(one).is_err().then_some(key)
            };
            let field = clean.into_iter().find_map(alone).unwrap_or_default();
            InvalidInput::shape(field, error.to_string())
        })
    }
}

/// Tasks and what they depend on.
fn tasks(input: &Map<String, Value>) -> Result<Result<TaskGraph, TaskgraphError>, InvalidInput> {
    let tasks = untyped_tasks(input, true)?;
    Ok(TaskGraph::from_parts(tasks.iter().map(|task| {
        (task.id, task.attributes.clone(), &*task.depends_on)
    })))
}

/// Tasks and separate edges.
fn records(input: &Map<String, Value>) -> Result<Result<TaskGraph, TaskgraphError>, InvalidInput> {
    let tasks = untyped_tasks(input, false)?;
    let edges = list(input, "edges")?;
    let edges: Vec<DependencyEdge> = edges
        .iter()
        .enumerate()
        .map(|(number, edge)| {
            serde_json::from_value(edge.clone())
                .map_err(|error| InvalidInput::shape(format!("edges/{number}"), error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    let none: &[String] = &[];
    let graph = TaskGraph::from_parts(
        tasks
            .iter()
            .map(|task| (task.id, task.attributes.clone(), none)),
    );
    Ok(graph.and_then(|mut graph| {
        graph.add_edges(&edges)?;
        Ok(graph)
    }))
}

/// A task whose attributes nobody has checked.
struct UntypedTask<'a> {
    id: &'a str,
    attributes: TaskAttributes,
    depends_on: Vec<String>,
}

fn untyped_tasks<'a>(
    input: &'a Map<String, Value>,
    with_dependencies: bool,
) -> Result<Vec<UntypedTask<'a>>, InvalidInput> {
    const NOT_KEPT: [&str; 7] = [
        "id",
        "dependsOn",
        "tags",
        "assignee",
        "due",
        "created",
        "modified",
    ];
    let read = |(number, task): (usize, &'a Value)| {
        let fault = |field: &str, message: &str| {
            InvalidInput::shape(format!("tasks/{number}{field}"), message)
        };
        let task = task
            .as_object()
            .ok_or_else(|| fault("", "Expected object"))?;
        let id = task.get("id").and_then(Value::as_str);
        let depends_on: Option<Vec<String>> = match task.get("dependsOn") {
            Some(Value::Array(ids)) if with_dependencies => ids
                .iter()
                .map(|id| id.as_str().map(str::to_owned))
                .collect(),
            Some(_) if with_dependencies => None,
            _ => Some(Vec::new()),
        };
        let mut attributes = task.clone();
        attributes.retain(|key, _| !NOT_KEPT.contains(&key.as_str()));
        Ok(UntypedTask {
            id: id.ok_or_else(|| fault("/id", "Expected string"))?,
            attributes: TaskAttributes::from_untyped(&attributes),
            depends_on: depends_on
                .ok_or_else(|| fault("/dependsOn", "Expected array of strings"))?,
        })
    };
    list(input, "tasks")?.iter().enumerate().map(read).collect()
}

fn list<'a>(input: &'a Map<String, Value>, field: &str) -> Result<&'a [Value], InvalidInput> {
    match input.get(field) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(InvalidInput::shape(field, "Expected array")),
    }
}

fn task_evs(calls: &Value) -> Result<Value, InvalidInput> {
    let fault = |field: String, message: &str| InvalidInput::shape(field, message);
    let Value::Array(calls) = calls else {
        return Err(fault("taskEv".to_owned(), "Expected array"));
    };
    let run = |(number, call): (usize, &Value)| {
        let argument = |place: usize| {
            call.get(place)
                .and_then(Value::as_f64)
                .ok_or_else(|| fault(format!("taskEv/{number}/{place}"), "Expected number"))
        };
        let config = match call.get(3) {
            None | Some(Value::Null) => EvConfig::default(),
            Some(config) => serde_json::from_value(config.clone())
                .map_err(|error| fault(format!("taskEv/{number}/3"), &error.to_string()))?,
        };
        Ok(value(&calculate_task_ev(
            argument(0)?,
            argument(1)?,
            argument(2)?,
            &config,
        )))
    };
    calls
        .iter()
        .enumerate()
        .map(run)
        .collect::<Result<Vec<_>, _>>()
        .map(Value::from)
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
