//! `alkhub call`: any operation, with its input as JSON or as `key=value`; and the records of calls.
//!
//! Names of operations have a dot and those of the commands below have none, so they never clash.

mod draw;
mod look;

use std::time::Duration;

use alkhub_operations::{Schema, coerce_query};
use clap::Args;
use serde_json::{Value, json};

use super::operations::spec_of;
use super::values;
use crate::args::Global;
use crate::client::{Answer, CallOptions, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;

/// Call any operation, or look at calls that were made
///
/// The input is a JSON object (--input), or a list of key=value, which are read by the operation's
/// own schema: numbers, true and false become what they look like where the schema wants them,
/// lists are a repeated key or JSON, and objects are JSON. Prints the data of the
/// answer as JSON; the items of a subscription one a line, until it ends or Ctrl-C.
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Example:\n  alkhub call project.list limit=5\n  alkhub call task.create --input '{\"projectId\": \"…\", \"name\": \"Write the parser\"}'\n  alkhub call list --status failed\n  alkhub call tree 3f0c2b7e-6d0e-4c53-9f0a-0d3d5a1c9b11"
)]
pub(crate) struct Call {
    #[command(subcommand)]
    look: Option<look::Look>,
    /// Full name of the operation, such as task.create
    #[arg(required = true)]
    operation: Option<String>,
    /// Fields of the input
    #[arg(value_name = "KEY=VALUE", value_parser = pair, conflicts_with = "input")]
    fields: Vec<(String, String)>,
    /// The whole input: a JSON object, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    input: Option<Value>,
    /// Longest time the hub may take, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Makes it safe to send the same call again: the hub runs it once (8 to 128 characters)
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
}

impl Call {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let operation = match (&self.look, &self.operation) {
            (None, Some(operation)) => operation,
            (Some(look), None) => return look.run(global, output),
            _ => {
                let message = "give the name of an operation or one of the commands, not both";
                return Err(Failure::Usage(message.to_owned()));
            }
        };
        super::wait(async {
            let client = Client::new(global)?;
            let input = match &self.input {
                Some(input) => input.clone(),
                None if self.fields.is_empty() => json!({}),
                None => self.coerced(operation, &client).await?,
            };
            let options = CallOptions {
                timeout: self.timeout,
                idempotency_key: self.idempotency_key.clone(),
            };
            let call = client.open(operation, &input, &options);
            match progress::while_waiting(output, "waiting for the hub", call).await? {
                Answer::Data(data) => output.document(&data),
                Answer::Items(mut items) => {
                    while let Some(item) = items.next().await? {
                        output.line(&item)?;
                    }
                    Ok(())
                }
            }
        })?
    }

    async fn coerced(&self, operation: &str, client: &Client) -> Result<Value, Failure> {
        let answer = client
            .call("operation.schema", &json!({"name": operation}))
            .await?;
        let schema = spec_of(&answer)
            .get("inputSchema")
            .cloned()
            .unwrap_or(json!({}));
        let schema = Schema::new(schema).map_err(|problem| {
            Failure::Local(format!(
                "the schema of {operation} cannot be used: {problem}; give the input with --input"
            ))
        })?;
        Ok(with_json_lists(coerce_query(&schema, &self.fields)))
    }
}

/// A list may be given as JSON in one value (`dependsOn=["a","b"]`) instead of by a repeated key.
fn with_json_lists(mut input: Value) -> Value {
    for value in input
        .as_object_mut()
        .into_iter()
        .flat_map(|fields| fields.values_mut())
    {
        let written = match value.as_array().map(Vec::as_slice) {
            Some([Value::String(only)]) if only.starts_with('[') => only,
            _ => continue,
        };
        if let Ok(list @ Value::Array(_)) = serde_json::from_str(written) {
            *value = list;
        }
    }
    input
}

fn pair(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_written_as_json() {
        let input = json!({"dependsOn": ["[\"a\",\"b\"]"], "tags": ["[x"], "name": "[1]"});
        let expected = json!({"dependsOn": ["a", "b"], "tags": ["[x"], "name": "[1]"});
        assert_eq!(with_json_lists(input), expected);
    }

    #[test]
    fn fields_are_split_at_the_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }
}
