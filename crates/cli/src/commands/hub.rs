//! `alkhub whoami`, `info`, `health`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::Plan;
use crate::view::{View, column, status, time};

/// Show who you are to the hub
///
/// The account of your key, what the key may do, and your organizations.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alkhub whoami --json")]
pub(crate) struct Whoami {}

/// Show version, engine and limits of the hub
///
/// What the hub is and what it can do.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alkhub info")]
pub(crate) struct Info {}

/// Ask whether the hub is well
///
/// Ends with 1 when it is not, so that scripts can wait for it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alkhub health && echo well")]
pub(crate) struct Health {}

const WHOAMI: View = View::Record {
    at: "",
    fields: &[
        column("Account", "/account/email"),
        column("Name", "/account/displayName"),
        column("Account id", "/account/id"),
        column("Level", "/account/accessLevel"),
        status("Status", "/account/status"),
        column("Key", "/key/name"),
        column("Key begins with", "/key/keyPrefix"),
        column("Key's scopes", "/key/scopes"),
        time("Key expires", "/key/expiresAt"),
        column("Organizations", "/orgs"),
        column("Session", "/session"),
    ],
};
const HEALTH: View = View::Whole;

impl Whoami {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        Plan::new("hub.whoami", &json!({}), &WHOAMI)
    }
}

impl Info {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        Plan::new("hub.info", &json!({}), &View::Whole)
    }
}

impl Health {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<ExitCode, Failure> {
        super::wait(async {
            let client = Client::new(global)?;
            let plan = Plan::new("hub.health", &json!({}), &HEALTH)?;
            let (view, data) = plan.data(&client, output).await?;
            view.show(&data, output)?;
            let well = data.get("status").and_then(Value::as_str) == Some("ok");
            Ok(if well {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        })?
    }
}
