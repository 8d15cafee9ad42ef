//! `alkhub spoke enroll`: a token turned into a key.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::args::Global;
use crate::client::Client;
use crate::commands::key::new_secret_file;
use crate::commands::values;
use crate::failure::Failure;
use crate::output::Output;
use crate::plan::text_at;

/// Turn a token of `alkhub spoke invite` into a key
///
/// For a machine that has no key yet. Prints the key, which is shown this once only; --out writes it
/// to a file that only you can read and prints nothing secret.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub spoke enroll @token.txt build-7 --url http://hub:4848 --out spoke.key\n  alkhub spoke run --project . --url http://hub:4848 --key-file spoke.key"
)]
pub(crate) struct Enroll {
    /// The token: as it is, @FILE, or - for stdin
    #[arg(value_parser = values::text)]
    token: String,
    /// Name of the machine; its key gets it
    name: String,
    /// Write the key to this new file, mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Enroll {
    pub(super) async fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        // Before the token is spent: the key could not be had again if its file could not be made.
        let file = self.out.as_deref().map(new_secret_file).transpose()?;
        let client = Client::new(global)?;
        let input = json!({"token": self.token.trim(), "name": self.name});
        let mut data = match client.call("spoke.enroll", &input).await {
            Ok(data) => data,
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
                        "the key was made and cannot be written to {}: {problem}",
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
            Some(path) => output.text(&format!("{}\n", path.display()))?,
            None => output.text(&format!("{key}\n"))?,
        }
        match data.get("projectId").and_then(|id| id.as_str()) {
            // Such a key cannot look a project up by its name.
            Some(id) => output.hint(&format!("connect with --project-id {id}")),
            None => Ok(()),
        }
    }
}
