//! `alkhub key`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use super::project::is_false;
use super::values;
use crate::args::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::{Plan, text_at};
use crate::view::{Column, View, column, status, time};

/// Make, see and revoke keys
///
/// A key is what a program calls the hub with. It is shown once, when it is made.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub key create laptop --preset developer --expires 90d")]
pub(crate) enum Key {
    /// Make a key
    ///
    /// Prints the key, which is shown this once only. --out writes it to a file that only you can
    /// read and prints nothing secret.
    #[command(
        after_help = "Example:\n  alkhub key create ci --scope task:read --scope task:status --out ci.key"
    )]
    Create(Create),
    /// List keys
    ///
    /// Yours, newest first; revoked ones only with --include-revoked.
    #[command(after_help = "Example:\n  alkhub key list --expiring-within 7d")]
    List(List),
    /// Show a key
    ///
    /// Everything but the key itself, which nobody can see again.
    #[command(after_help = "Example:\n  alkhub key show 7d3b6f0e-7c3c-4c55-9d2c-0a8f4f1c2b3d")]
    Show(Show),
    /// Revoke a key for good
    ///
    /// It stops working at once, and so do the keys it was rotated to unless --no-cascade is given.
    #[command(
        after_help = "Example:\n  alkhub key revoke 7d3b6f0e-7c3c-4c55-9d2c-0a8f4f1c2b3d --reason lost"
    )]
    Revoke(Revoke),
    /// Ask whether your key may call an operation
    ///
    /// Nothing is called. Without an input only the scopes are checked.
    #[command(after_help = "Example:\n  alkhub key check task.create")]
    Check(Check),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Name that tells you later what the key is for
    name: String,
    /// A right it gets (may repeat), such as task:read, task:* or *
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        required_unless_present = "preset"
    )]
    #[serde(skip)]
    scopes: Vec<String>,
    /// A ready-made list of rights
    #[arg(long, value_name = "PRESET", value_enum, conflicts_with = "scopes")]
    #[serde(skip)]
    preset: Option<Preset>,
    /// Id of the account it belongs to [default: yours]
    #[arg(long = "owner", value_name = "ID")]
    owner_id: Option<String>,
    /// When it ends: a time, a day, or a duration from now (90d) [default: never]
    #[arg(long = "expires", value_name = "WHEN", value_parser = values::moment)]
    expires_at: Option<String>,
    /// Narrow it to some rows: a JSON object such as {"project": ["ID"]}
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    resources: Option<Value>,
    /// What it is for, in a sentence
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Write the key to this new file, mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    out: Option<PathBuf>,
}

/// The lists of rights of `hub.md` §3.1 by their names; the hub knows what is in them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// Everything
    Admin,
    /// What a person who works with agents needs
    Developer,
    /// What a machine that only offers operations needs
    Spoke,
    /// What an agent needs
    Agent,
    /// Read everything, change nothing
    Viewer,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Those of this account, by its id
    #[arg(long = "owner", value_name = "ID")]
    owner_id: Option<String>,
    /// Revoked ones too
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    include_revoked: bool,
    /// Only those that end within this time
    #[arg(long, value_name = "DURATION")]
    expiring_within: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Show {
    /// Id of the key
    id: String,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Revoke {
    /// Id of the key
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Leave the keys alone that it was rotated to
    #[arg(long)]
    #[serde(skip)]
    no_cascade: bool,
    /// Even if it is the last key of an admin
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    force: bool,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Check {
    /// Full name of the operation, such as task.create
    operation: String,
    /// Input of the call: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    input: Option<Value>,
}

const COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("ID", "/id"),
    column("BEGINS WITH", "/keyPrefix"),
    column("SCOPES", "/scopes"),
    status("ENABLED", "/enabled"),
    time("EXPIRES", "/expiresAt"),
    time("LAST USED", "/lastUsedAt"),
    time("REVOKED", "/revokedAt"),
];
const LIST: View = View::Rows {
    at: "/items",
    columns: COLUMNS,
    empty: "no keys",
};
const RECORD: View = View::Record {
    at: "",
    fields: &[
        column("Name", "/name"),
        column("Id", "/id"),
        column("Begins with", "/keyPrefix"),
        column("Owner", "/ownerId"),
        column("Scopes", "/scopes"),
        column("Resources", "/resources"),
        status("Enabled", "/enabled"),
        time("Expires", "/expiresAt"),
        time("Last used", "/lastUsedAt"),
        time("Revoked", "/revokedAt"),
        column("Rotated to", "/rotatedToId"),
        column("Description", "/description"),
        time("Created", "/createdAt"),
    ],
};
const REVOKED: View = View::Sentence(|data| {
    let revoked = data
        .get("revoked")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    format!(
        "revoked {revoked} key{}",
        if revoked == 1 { "" } else { "s" }
    )
});
const CHECK: View = View::Record {
    at: "",
    fields: &[
        status("Allowed", "/allowed"),
        column("Missing", "/missing"),
        column("Reason", "/reason"),
    ],
};

impl Key {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let plan = match self {
            Key::Create(create) => return super::wait(create.run(global, output))?,
            Key::List(list) => Plan::new("key.list", list, &LIST)?,
            Key::Show(show) => Plan::new("key.get", show, &RECORD)?,
            Key::Revoke(revoke) => Plan::new("key.revoke", revoke, &REVOKED)?.when(
                revoke.no_cascade,
                "cascade",
                json!(false),
            ),
            Key::Check(check) => Plan::new("key.check", check, &CHECK)?,
        };
        super::call(plan, global, output)
    }
}

impl Create {
    async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        // Before the key exists: nobody could see it again if its file could not be made.
        let file = self.out.as_deref().map(new_secret_file).transpose()?;
        let client = Client::new(global)?;
        let plan = Plan::new("key.create", self, &RECORD)?;
        let plan = match self.preset.and_then(|preset| preset.to_possible_value()) {
            Some(preset) => plan.with("preset", json!(preset.get_name())),
            None => plan.with("scopes", json!(self.scopes)),
        };
        let (_, mut data) = match plan.data(&client, output).await {
            Ok(made) => made,
            Err(failure) => {
                if let Some(path) = &self.out {
                    // Ours and empty; what matters is the failure itself.
                    let _removed = std::fs::remove_file(path);
                }
                return Err(failure);
            }
        };
        let key = text_at(&data, "key")?;
        if let (Some(mut file), Some(path)) = (file, &self.out) {
            file.write_all(format!("{key}\n").as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|problem| {
                    Failure::Local(format!(
                        "the key was made and cannot be written to {}: {problem}; revoke it and \
                         make another",
                        path.display()
                    ))
                })?;
            if let Some(fields) = data.as_object_mut() {
                fields.remove("key");
            }
        }
        if output.json {
            return output.document(&data);
        }
        match &self.out {
            Some(path) => output.text(&format!("{}\n", path.display())),
            None => {
                output.text(&format!("{key}\n"))?;
                output
                    .hint("This is the only time the key is shown; keep it in a file of mode 0600.")
            }
        }
    }
}

/// A new file that only this user can read.
#[cfg(unix)]
pub(super) fn new_secret_file(path: &Path) -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::OpenOptionsExt;

    open_new(path, std::fs::OpenOptions::new().mode(0o600))
}

/// A new file.
#[cfg(not(unix))]
pub(super) fn new_secret_file(path: &Path) -> Result<std::fs::File, Failure> {
    open_new(path, &mut std::fs::OpenOptions::new())
}

fn open_new(path: &Path, options: &mut std::fs::OpenOptions) -> Result<std::fs::File, Failure> {
    options
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|problem| Failure::Local(format!("cannot make {}: {problem}", path.display())))
}
