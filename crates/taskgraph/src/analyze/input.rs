//! The input of an analysis: tasks nobody has checked, edges, option sets, arguments.

use serde_json::{Map, Value};

use super::value;
use crate::{
    DependencyEdge, EvConfig, InvalidInput, TaskAttributes, TaskGraph, TaskgraphError,
    WorkflowCostOptions, calculate_task_ev,
};

/// Option sets by name; one that cannot be read is an error in the place of its result.
pub(super) type Named<T> = Vec<(String, Result<T, InvalidInput>)>;

pub(super) fn cost_options(
    input: &Map<String, Value>,
) -> Result<Named<WorkflowCostOptions>, InvalidInput> {
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
pub(super) fn tasks(
    input: &Map<String, Value>,
) -> Result<Result<TaskGraph, TaskgraphError>, InvalidInput> {
    let tasks = untyped_tasks(input, true)?;
    Ok(TaskGraph::from_parts(tasks.iter().map(|task| {
        (task.id, task.attributes.clone(), &*task.depends_on)
    })))
}

/// Tasks and separate edges.
pub(super) fn records(
    input: &Map<String, Value>,
) -> Result<Result<TaskGraph, TaskgraphError>, InvalidInput> {
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

/// Expected values for a list of arguments.
pub(super) fn task_evs(calls: &Value) -> Result<Value, InvalidInput> {
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
