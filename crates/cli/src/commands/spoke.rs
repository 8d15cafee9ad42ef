//! `alkhub spoke`: this machine as a spoke, and the spokes the hub knows.

mod enroll;
mod file;
mod run;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::paging::Paging;
use super::values;
use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::{View, column, status, time};

/// Offer this machine to the hub, and look after those that do
///
/// A spoke is a program that is connected to the hub and offers operations.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub spoke run --project .\n  alkhub spoke list")]
pub(crate) enum Spoke {
    Run(run::Run),
    /// List spokes
    ///
    /// Those you may see, connected or not.
    #[command(after_help = "Example:\n  alkhub spoke list --status connected")]
    List(List),
    /// Show a spoke
    ///
    /// With its machine and how busy it is.
    #[command(after_help = "Example:\n  alkhub spoke get laptop:alkhub")]
    Get(One),
    /// Give a spoke no new calls
    ///
    /// Calls it has go on. --off lets it take calls again.
    #[command(after_help = "Example:\n  alkhub spoke drain laptop:alkhub")]
    Drain(Drain),
    /// Close the connection of a spoke
    ///
    /// It comes back by itself unless --ban keeps it out.
    #[command(after_help = "Example:\n  alkhub spoke disconnect laptop:alkhub --ban 1h")]
    Disconnect(Disconnect),
    /// Delete a spoke that is not connected
    ///
    /// With what it offered. The records of its calls stay.
    #[command(after_help = "Example:\n  alkhub spoke delete laptop:alkhub")]
    Delete(One),
    /// Make a token with which a machine gets a key
    ///
    /// The token is shown this once; give it to `alkhub spoke enroll` on that machine.
    #[command(after_help = "Example:\n  alkhub spoke invite --project demo --ttl 1h --uses 5")]
    Invite(Invite),
    Enroll(enroll::Enroll),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Only those of this project, by name or id
    #[arg(long, value_name = "PROJECT")]
    #[serde(skip)]
    project: Option<String>,
    /// Only those in this status
    #[arg(long, value_name = "STATUS", value_parser = ["connected", "disconnected", "unreachable"])]
    status: Option<String>,
    /// Only this sort of machine
    #[arg(long = "type", value_name = "TYPE", value_parser = ["dev-env", "client", "compute", "custom"])]
    spoke_type: Option<String>,
    /// Only those that offer this operation now
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Name or id of the spoke
    spoke: String,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Name or id of the spoke
    spoke: String,
    /// Let it take calls again
    #[arg(long)]
    off: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    /// Name or id of the spoke
    spoke: String,
    /// Why; it is told to the spoke
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long it may not come back, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ban: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// The project its spokes work for, by name or id [default: any you see]
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// A label every spoke with such a key gets (may repeat)
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// How long the token can be used [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ttl: Option<Duration>,
    /// How many machines may use it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    uses: Option<u32>,
}

const LIST: View = View::Rows {
    at: "/items",
    columns: &[
        column("NAME", "/name"),
        status("STATUS", "/status"),
        column("TYPE", "/spokeType"),
        column("PROJECT", "/projectId"),
        column("OPERATIONS", "/operations"),
        column("IN FLIGHT", "/inFlight"),
        time("LAST SEEN", "/lastHeartbeat"),
        column("ID", "/id"),
    ],
    empty: "no spokes",
};

const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("Id", "/id"),
        column("Name", "/name"),
        status("Status", "/status"),
        column("Type", "/spokeType"),
        column("Project", "/projectId"),
        column("Operations", "/operations"),
        column("In flight", "/inFlight"),
        column("Latency ms", "/latencyMs"),
        column("Clock skew ms", "/clockSkewMs"),
        column("Draining", "/metadata/drain"),
        column("Labels", "/metadata/labels"),
        column("Machine", "/hostInfo/hostname"),
        column("System", "/hostInfo/os"),
        column("Processor", "/hostInfo/arch"),
        column("Hub process", "/hubInstance"),
        time("Last seen", "/lastHeartbeat"),
        time("Connected", "/connectedAt"),
        time("Disconnected", "/disconnectedAt"),
        time("Created", "/createdAt"),
    ],
};

const CLOSED: View = View::Sentence(|data| {
    match data["closed"].as_bool() {
        Some(true) => "disconnected",
        _ => "it had no connection",
    }
    .to_owned()
});

const DELETED: View = View::Sentence(|_| "deleted".to_owned());

const INVITED: View = View::Sentence(|data| data["token"].as_str().unwrap_or_default().to_owned());

impl Spoke {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let nothing = json!({});
        let plan = match self {
            Spoke::Run(run) => return run.run(global, output),
            Spoke::Enroll(enroll) => return super::wait(enroll.run(global, output))?,
            Spoke::List(list) => Plan::new("spoke.list", list, &LIST)?
                .maybe_project(list.project.as_deref(), "projectId"),
            Spoke::Get(one) => Plan::new("spoke.get", &nothing, &RECORD)?.spoke(&one.spoke, "id"),
            Spoke::Drain(drain) => {
                Plan::new("spoke.update", &json!({"drain": !drain.off}), &RECORD)?
                    .spoke(&drain.spoke, "id")
            }
            Spoke::Disconnect(disconnect) => {
                let input = json!({
                    "reason": disconnect.reason,
                    "banSeconds": disconnect.ban.map(|ban| ban.as_secs()),
                });
                Plan::new("spoke.disconnect", &input, &CLOSED)?.spoke(&disconnect.spoke, "id")
            }
            Spoke::Delete(one) => {
                Plan::new("spoke.delete", &nothing, &DELETED)?.spoke(&one.spoke, "id")
            }
            Spoke::Invite(invite) => {
                let labels: std::collections::BTreeMap<_, _> =
                    invite.labels.iter().cloned().collect();
                let input = json!({
                    "labels": labels,
                    "ttlSeconds": invite.ttl.map(|ttl| ttl.as_secs()),
                    "uses": invite.uses,
                });
                Plan::new("spoke.invite", &input, &INVITED)?
                    .maybe_project(invite.project.as_deref(), "projectId")
            }
        };
        super::call(plan, global, output)
    }
}

fn label(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
