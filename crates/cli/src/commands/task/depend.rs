//! `alkhub task depend`: what a task depends on.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{One, view};
use crate::failure::Failure;
use crate::plan::Plan;

/// The verbs of `alkhub task depend`.
#[derive(Debug, Subcommand)]
pub(crate) enum Depend {
    /// Make a task depend on another
    ///
    /// Both must belong to the same project.
    #[command(
        after_help = "Example:\n  alkhub task depend add write-parser grammar --project demo"
    )]
    Add(DependAdd),
    /// Take a dependency away
    ///
    /// The tasks themselves stay.
    #[command(
        after_help = "Example:\n  alkhub task depend remove write-parser grammar --project demo"
    )]
    Remove(DependRemove),
    /// List dependencies of a task
    ///
    /// What it depends on and what depends on it.
    #[command(
        after_help = "Example:\n  alkhub task depend list write-parser --project demo --depth 3"
    )]
    List(DependList),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DependAdd {
    #[command(flatten)]
    #[serde(skip)]
    pair: Pair,
    /// How much of the quality of what it depends on it keeps, 0 to 1 [default: 0.9]
    #[arg(long, value_name = "SHARE")]
    quality_retention: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct DependRemove {
    #[command(flatten)]
    pair: Pair,
}

/// A task and one that it depends on.
#[derive(Debug, Args)]
struct Pair {
    /// Slug (with --project) or id of the task
    task: String,
    /// Slug (with --project) or id of the task it depends on
    on: String,
    /// Name or id of their project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct DependList {
    #[command(flatten)]
    #[serde(skip)]
    one: One,
    /// Which side to look at [default: both]
    #[arg(long, value_name = "SIDE", value_parser = ["dependencies", "dependents", "both"])]
    direction: Option<String>,
    /// How many steps to follow [default: 1]
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
}

impl Depend {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        match self {
            Depend::Add(add) => {
                Ok(Plan::new("task.dependency.add", add, &view::ADDED)?.pair(&add.pair))
            }
            Depend::Remove(remove) => {
                let plan = Plan::new("task.dependency.remove", &json!({}), &view::REMOVED)?;
                Ok(plan.pair(&remove.pair))
            }
            Depend::List(list) => {
                let One { task, project } = &list.one;
                let plan = Plan::new("task.dependency.list", list, &view::DEPENDENCIES)?;
                Ok(plan.task(task, project.as_deref(), "taskId"))
            }
        }
    }
}

impl Plan {
    fn pair(self, pair: &Pair) -> Plan {
        let project = pair.project.as_deref();
        self.task(&pair.task, project, "taskId")
            .task(&pair.on, project, "dependsOnId")
    }
}
