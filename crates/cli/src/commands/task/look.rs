//! Verbs that only look: lists, and what tasks add up to.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{One, PRIORITIES, STATUSES, view};
use crate::args::Global;
use crate::client::Client;
use crate::commands::paging::Paging;
use crate::commands::values;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;

const ANALYSES: [&str; 10] = [
    "criticalPath",
    "weightedCriticalPath",
    "parallelGroups",
    "bottlenecks",
    "riskPath",
    "riskDistribution",
    "workflowCost",
    "decompose",
    "cycles",
    "topologicalOrder",
];

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// At most this many [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: Option<u16>,
    /// What comes first
    #[arg(long, value_name = "ORDER", value_parser = ["priority", "critical"])]
    order: Option<String>,
    /// Tasks too that a session already works on
    #[arg(long)]
    #[serde(skip)]
    include_mapped: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Blocked {
    /// Slug (with --project) or id of one task
    task: Option<String>,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT", required_unless_present = "task")]
    project: Option<String>,
    /// Show at most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    project: String,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Graph {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
    /// Form of the drawing; graph is plain lists
    #[arg(long, value_name = "FORMAT", value_parser = ["dot", "mermaid", "svg", "graph"], default_value = "dot")]
    format: String,
    /// Only tasks of this path or below it
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Only tasks of this status (may repeat)
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Vec<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Analyze {
    /// What to find out
    #[arg(required = true, value_name = "ANALYSIS", value_parser = ANALYSES)]
    analyses: Vec<String>,
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: String,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct History {
    #[command(flatten)]
    #[serde(skip)]
    one: One,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Name or id of the project
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
    /// Only those of this status (may repeat)
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Vec<String>,
    /// Only those whose path begins with this text
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Only those with this tag (may repeat: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    tags_all: Vec<String>,
    /// Only those with one of these tags (may repeat)
    #[arg(long = "any-tag", value_name = "TAG")]
    tags_any: Vec<String>,
    /// Only those of this assignee
    #[arg(long, value_name = "WHO")]
    assignee: Option<String>,
    /// Only those of this priority
    #[arg(long, value_name = "PRIORITY", value_parser = PRIORITIES)]
    priority: Option<String>,
    /// Only those due before this time, day or duration from now
    #[arg(long, value_name = "WHEN", value_parser = values::moment)]
    due_before: Option<String>,
    /// Only those whose name or slug holds this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

impl Ready {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.ready", self, &view::READY)?
            .when(self.include_mapped, "excludeMapped", json!(false))
            .project(&self.project, "projectId"))
    }
}

impl Watch {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.watch", &json!({}), &view::CHANGE)?.project(&self.project, "projectId"))
    }
}

impl Graph {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.graph", self, &view::GRAPH)?.project(&self.project, "projectId"))
    }
}

impl Analyze {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.analyze", self, &view::ANALYSES)?.project(&self.project, "projectId"))
    }
}

impl History {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.history", self, &view::HISTORY)?.one(&self.one))
    }
}

impl List {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        Ok(Plan::new("task.list", self, &view::LIST)?
            .maybe_project(self.project.as_deref(), "projectId"))
    }
}

impl Blocked {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let plan = Plan::new("task.blocked", &json!({}), &view::BLOCKED)?;
        let project = self.project.as_deref();
        let plan = match &self.task {
            Some(task) => plan.task(task, project, "id"),
            None => plan.maybe_project(project, "projectId"),
        };
        let (view, mut data) = plan.data(&Client::new(global)?, output).await?;
        // The operation has no limit of its own.
        if let (Some(limit), Some(Value::Array(items))) = (self.limit, data.get_mut("items")) {
            items.truncate(usize::from(limit));
        }
        view.show(&data, output)
    }
}
