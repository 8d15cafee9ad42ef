//! The commands below `alkhub call`: records of calls, and calls under way.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::draw;
use crate::args::Global;
use crate::client::Client;
use crate::commands::paging::Paging;
use crate::commands::values;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::{View, column, paragraph, status, time};

#[derive(Debug, Subcommand)]
pub(super) enum Look {
    /// List calls that were made
    ///
    /// Newest first: your own, and those of projects you may see when the key has call:read.
    #[command(after_help = "Example:\n  alkhub call list --status failed --since 1h")]
    List(List),
    /// Show one call
    ///
    /// With what went in and what came out, as far as that was recorded and you may see it.
    #[command(after_help = "Example:\n  alkhub call get 3f0c2b7e-6d0e-4c53-9f0a-0d3d5a1c9b11")]
    Get(Get),
    /// Draw a call and all that it triggered
    ///
    /// With how each ended, how long it ran and who ran it. Calls on the critical path, which the
    /// whole waited for, are marked with an asterisk.
    #[command(after_help = "Example:\n  alkhub call tree 3f0c2b7e-6d0e-4c53-9f0a-0d3d5a1c9b11")]
    Tree(Tree),
    /// Draw when each call of a tree ran
    ///
    /// A bar for each call: light while it waited, full while it ran.
    #[command(
        after_help = "Example:\n  alkhub call waterfall 3f0c2b7e-6d0e-4c53-9f0a-0d3d5a1c9b11"
    )]
    Waterfall(Tree),
    /// Show how many calls there were, how many failed and how long they ran
    ///
    /// Of the last day when no time is given; times are milliseconds.
    #[command(after_help = "Example:\n  alkhub call stats --by operation --since 7d")]
    Stats(Stats),
    /// Follow calls as they change
    ///
    /// First what is open now, then every change, until Ctrl-C.
    #[command(after_help = "Example:\n  alkhub call watch --operation bash.exec")]
    Watch(Watch),
    /// Abort a call and all below it
    ///
    /// Answers when everything has stopped for certain, or tells what could not be reached.
    #[command(
        after_help = "Example:\n  alkhub call abort 3f0c2b7e-6d0e-4c53-9f0a-0d3d5a1c9b11 --reason \"wrong branch\""
    )]
    Abort(Abort),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    /// Only those that stand so (may repeat)
    #[arg(long = "status", value_name = "STATUS", value_parser = STATUSES)]
    status: Vec<String>,
    /// Only those of this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only those of operations of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only those about this project, by name or id
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
    /// Only those of this account, by id
    #[arg(long = "account", value_name = "ID")]
    account_id: Option<String>,
    /// Only those made in this session, by id
    #[arg(long = "session", value_name = "ID")]
    session_id: Option<String>,
    /// Only those that ran on this spoke, by id
    #[arg(long = "spoke", value_name = "ID")]
    spoke_id: Option<String>,
    /// Only those from then on: a time, a day or a duration back from now
    #[arg(long = "since", value_name = "TIME", value_parser = values::past)]
    from: Option<String>,
    /// Only those before
    #[arg(long = "until", value_name = "TIME", value_parser = values::past)]
    to: Option<String>,
    /// Only those that ran at least so many milliseconds
    #[arg(long, value_name = "MS")]
    min_ms: Option<u64>,
    /// Only those no other call made
    #[arg(long)]
    root_only: bool,
    /// Only those that ended with this error code
    #[arg(long = "error", value_name = "CODE")]
    error_code: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Get {
    /// Request id of the call
    #[arg(value_name = "ID")]
    request_id: String,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tree {
    /// Request id of the call
    #[arg(value_name = "ID")]
    request_id: String,
    /// Begin at the topmost call that led to it
    #[arg(long)]
    from_root: bool,
    /// Deepest level
    #[arg(long = "depth", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    max_depth: Option<u32>,
    /// At most this many calls [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    limit: Option<u32>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    /// Only calls of this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// What to tell apart
    #[arg(long = "by", value_name = "WHAT", value_parser = ["operation", "caller", "provider", "status"])]
    group_by: Option<String>,
    /// A row for each minute, hour or day
    #[arg(long, value_name = "LENGTH", value_parser = ["1m", "1h", "1d"])]
    bucket: Option<String>,
    /// Calls from then on: a time, a day or a duration back from now
    #[arg(long = "since", value_name = "TIME", value_parser = values::past)]
    from: Option<String>,
    /// Calls before
    #[arg(long = "until", value_name = "TIME", value_parser = values::past)]
    to: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Watch {
    /// Only this call and what is below it
    #[arg(long, value_name = "ID")]
    root: Option<String>,
    /// Only calls of this operation
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only changes to this status (may repeat)
    #[arg(long = "status", value_name = "STATUS", value_parser = STATUSES)]
    statuses: Vec<String>,
    /// Go on behind this number of an earlier watch
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Abort {
    /// Request id of the call
    #[arg(value_name = "ID")]
    request_id: String,
    /// Why; it is recorded and told to whoever runs it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Let running calls below it go on; only what has not started is aborted
    #[arg(long)]
    #[serde(skip)]
    keep_running: bool,
}

const STATUSES: [&str; 5] = ["pending", "running", "completed", "failed", "aborted"];

const LIST: View = View::Rows {
    at: "/items",
    columns: &[
        time("REQUESTED", "/createdAt"),
        column("CALL", "/requestId"),
        column("OPERATION", "/operation"),
        status("STATUS", "/status"),
        column("MS", "/runMs"),
        column("PROVIDER", "/provider"),
        column("ERROR", "/error/code"),
    ],
    empty: "no calls",
};

const CALL: View = View::Record {
    at: "",
    fields: &[
        column("Call", "/requestId"),
        column("Operation", "/operation"),
        status("Status", "/status"),
        column("Error", "/error/code"),
        column("Because", "/error/message"),
        column("Provider", "/provider"),
        column("Made by", "/parentRequestId"),
        column("Account", "/callerAccountId"),
        column("Project", "/metadata/projectId"),
        column("Session", "/metadata/sessionId"),
        time("Requested", "/createdAt"),
        time("Started", "/startedAt"),
        time("Ended", "/completedAt"),
        column("Waited ms", "/queueMs"),
        column("Ran ms", "/runMs"),
        column("Attempt", "/metadata/attempt"),
        column("Input", "/input"),
        column("Output", "/output"),
        column("Withheld", "/withheld"),
        paragraph("Note", "/metadata/note"),
    ],
};

const STATS: View = View::Rows {
    at: "/items",
    columns: &[
        time("FROM", "/bucket"),
        column("WHAT", "/key"),
        column("CALLS", "/count"),
        column("FAILED", "/errors"),
        column("P50", "/p50Ms"),
        column("P95", "/p95Ms"),
        column("P99", "/p99Ms"),
        column("MAX", "/maxMs"),
        column("WAITED", "/meanQueueMs"),
    ],
    empty: "no calls in this time",
};

const REPORT: View = View::Sentence(draw::report);
const CHANGE: View = View::Sentence(draw::change);

impl Look {
    pub(super) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        match self {
            Look::List(list) => {
                let plan = Plan::new("call.list", list, &LIST)?
                    .maybe_project(list.project.as_deref(), "projectId");
                crate::commands::call(plan, global, output)
            }
            Look::Get(get) => {
                crate::commands::call(Plan::new("call.get", get, &CALL)?, global, output)
            }
            Look::Stats(stats) => {
                crate::commands::call(Plan::new("call.stats", stats, &STATS)?, global, output)
            }
            Look::Abort(abort) => {
                let plan = Plan::new("call.abort", abort, &REPORT)?.when(
                    abort.keep_running,
                    "policy",
                    json!("continue-running"),
                );
                crate::commands::call(plan, global, output)
            }
            Look::Watch(watch) => {
                let plan = Plan::new("call.watch", watch, &CHANGE)?;
                crate::commands::wait(plan.follow(global, output))?
            }
            Look::Tree(tree) => tree.draw(draw::tree, global, output),
            Look::Waterfall(tree) => tree.draw(draw::waterfall, global, output),
        }
    }
}

impl Tree {
    fn draw(
        &self,
        draw: fn(&Value) -> String,
        global: &Global,
        output: &Output,
    ) -> Result<(), Failure> {
        let plan = Plan::new("call.waterfall", self, &View::Whole)?;
        crate::commands::wait(async {
            let (_whole, data) = plan.data(&Client::new(global)?, output).await?;
            if output.json {
                return output.document(&data);
            }
            output.text(&draw(&data))?;
            if data.get("more") == Some(&Value::Bool(true)) {
                output.hint("there are more calls: --limit and --depth show more of them")?;
            }
            Ok(())
        })?
    }
}
