//! `alkhub account`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use super::values;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::view::{View, column, status, time};

/// Make and see accounts
///
/// An account is a person, a service or an agent: whoever owns keys and answers for what is done.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub account create ada@example.com --name \"Ada\"")]
pub(crate) enum Account {
    /// Make an account
    ///
    /// It can do nothing until it has a key: `alkhub key create --owner`.
    #[command(
        after_help = "Example:\n  alkhub account create ada@example.com --name \"Ada\" --access-level user"
    )]
    Create(Create),
    /// Show an account
    ///
    /// Yours without an argument.
    #[command(after_help = "Example:\n  alkhub account show ada@example.com")]
    Show(Show),
    /// List accounts
    ///
    /// Newest first.
    #[command(after_help = "Example:\n  alkhub account list --access-level admin")]
    List(List),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// E-mail address
    email: String,
    /// Name people see
    #[arg(long = "name", value_name = "NAME")]
    display_name: String,
    /// What it may do at most [default: user]
    #[arg(long, value_name = "LEVEL", value_parser = ["admin", "user", "service"])]
    access_level: Option<String>,
    /// Its name on Gitea
    #[arg(long, value_name = "NAME")]
    gitea_username: Option<String>,
    /// Further data: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    metadata: Option<Value>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id or e-mail address
    account: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Only those of this level
    #[arg(long, value_name = "LEVEL", value_parser = ["admin", "user", "service"])]
    access_level: Option<String>,
    /// Only those of this status
    #[arg(long, value_name = "STATUS", value_parser = ["active", "suspended", "deactivated"])]
    status: Option<String>,
    /// Only members of this organization
    #[arg(long = "org", value_name = "ID")]
    org_id: Option<String>,
    /// Only those whose e-mail address or name begins with this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

const LIST: View = View::Rows {
    at: "/items",
    columns: &[
        column("E-MAIL", "/email"),
        column("NAME", "/displayName"),
        column("LEVEL", "/accessLevel"),
        status("STATUS", "/status"),
        column("ID", "/id"),
    ],
    empty: "no accounts",
};
const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("E-mail", "/email"),
        column("Name", "/displayName"),
        column("Id", "/id"),
        column("Level", "/accessLevel"),
        status("Status", "/status"),
        column("Gitea", "/giteaUsername"),
        column("Metadata", "/metadata"),
        time("Created", "/createdAt"),
        time("Updated", "/updatedAt"),
    ],
};

impl Account {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        match self {
            Account::Create(create) => Plan::new("account.create", create, &RECORD),
            Account::Show(show) => {
                let input = match &show.account {
                    Some(email) if email.contains('@') => json!({"email": email}),
                    Some(id) => json!({"id": id}),
                    None => json!({}),
                };
                Plan::new("account.get", &input, &RECORD)
            }
            Account::List(list) => Plan::new("account.list", list, &LIST),
        }
    }
}
