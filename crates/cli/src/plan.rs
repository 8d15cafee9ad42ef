//! What a friendly command does: one operation, its input, and how the answer looks.
//!
//! A command's argument struct *is* the input of its operation: it serializes to it. Only names
//! that stand for ids ([`Reference`]) need a question to the hub first.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::client::{Answer, CallOptions, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;
use crate::view::View;

/// One call and its presentation.
#[derive(Debug)]
pub(crate) struct Plan {
    operation: &'static str,
    input: Map<String, Value>,
    references: Vec<Reference>,
    confirmation: Option<Confirmation>,
    view: &'static View,
}

/// A name the user gave where the operation wants an id.
#[derive(Debug)]
pub(crate) enum Reference {
    /// A project by name or id.
    Project {
        /// What the user gave.
        named: String,
        /// Field of the input that takes the id.
        field: &'static str,
    },
    /// A task by id, or by slug within a project.
    Task {
        /// What the user gave.
        named: String,
        /// Name or id of the project the slug belongs to.
        project: Option<String>,
        /// Field of the input that takes the id.
        field: &'static str,
    },
    /// A spoke by name or id.
    Spoke {
        /// What the user gave.
        named: String,
        /// Field of the input that takes the id.
        field: &'static str,
    },
}

/// The operation wants the name typed again.
#[derive(Debug)]
struct Confirmation {
    /// Field of the looked-up project that must be repeated.
    field: &'static str,
    /// `--yes` was given.
    given: bool,
}

impl Plan {
    /// A call whose input is these arguments; absent options and empty lists are left out.
    pub(crate) fn new(
        operation: &'static str,
        arguments: &impl Serialize,
        view: &'static View,
    ) -> Result<Plan, Failure> {
        let input = match serde_json::to_value(arguments) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => Map::new(),
            Err(problem) => return Err(Failure::Usage(problem.to_string())),
        };
        let input = input
            .into_iter()
            .filter(|(_, value)| !value.is_null() && !is_empty_list(value))
            .collect();
        Ok(Plan {
            operation,
            input,
            references: Vec::new(),
            confirmation: None,
            view,
        })
    }

    /// Sets one field of the input, null included.
    pub(crate) fn with(mut self, field: &str, value: Value) -> Plan {
        self.input.insert(field.to_owned(), value);
        self
    }

    /// Sets one field of the input when an option was given.
    pub(crate) fn when(self, given: bool, field: &str, value: Value) -> Plan {
        if given { self.with(field, value) } else { self }
    }

    /// Sets these fields to null, which clears them in the row.
    pub(crate) fn unset(mut self, fields: &[String]) -> Plan {
        for field in fields {
            self.input.insert(field.clone(), Value::Null);
        }
        self
    }

    /// Looks up a project and puts its id into `field`.
    pub(crate) fn project(mut self, named: &str, field: &'static str) -> Plan {
        self.references.push(Reference::Project {
            named: named.to_owned(),
            field,
        });
        self
    }

    /// As [`Plan::project`], when there is one.
    pub(crate) fn maybe_project(self, named: Option<&str>, field: &'static str) -> Plan {
        match named {
            Some(named) => self.project(named, field),
            None => self,
        }
    }

    /// Looks up a task and puts its id into `field`.
    pub(crate) fn task(mut self, named: &str, project: Option<&str>, field: &'static str) -> Plan {
        self.references.push(Reference::Task {
            named: named.to_owned(),
            project: project.map(str::to_owned),
            field,
        });
        self
    }

    /// Looks up a spoke and puts its id into `field`.
    pub(crate) fn spoke(mut self, named: &str, field: &'static str) -> Plan {
        self.references.push(Reference::Spoke {
            named: named.to_owned(),
            field,
        });
        self
    }

    /// The user must repeat the project's name, on the terminal or by `--yes`.
    pub(crate) fn confirmed_by_name(mut self, given: bool) -> Plan {
        self.confirmation = Some(Confirmation {
            field: "name",
            given,
        });
        self
    }

    /// Calls and shows.
    pub(crate) async fn run(self, global: &Global, output: &Output) -> Result<(), Failure> {
        let client = Client::new(global)?;
        let (view, data) = self.data(&client, output).await?;
        view.show(&data, output)
    }

    /// Calls a subscription and shows each item as it comes, one JSON document a line with
    /// `--json`.
    pub(crate) async fn follow(mut self, global: &Global, output: &Output) -> Result<(), Failure> {
        let client = Client::new(global)?;
        self.resolve(&client, output).await?;
        let input = Value::Object(self.input);
        let answer = client
            .open(self.operation, &input, &CallOptions::default())
            .await?;
        match answer {
            Answer::Data(data) => self.view.show(&data, output),
            Answer::Items(mut items) => {
                while let Some(item) = items.next().await? {
                    self.view.show_line(&item, output)?;
                }
                Ok(())
            }
        }
    }

    /// Calls; answers the view and the operation's data.
    pub(crate) async fn data(
        mut self,
        client: &Client,
        output: &Output,
    ) -> Result<(&'static View, Value), Failure> {
        self.resolve(client, output).await?;
        let input = Value::Object(self.input);
        let call = client.call(self.operation, &input);
        let data = progress::while_waiting(output, "waiting for the hub", call).await?;
        Ok((self.view, data))
    }

    /// Puts ids where the user gave names.
    async fn resolve(&mut self, client: &Client, output: &Output) -> Result<(), Failure> {
        for reference in std::mem::take(&mut self.references) {
            let field = reference.field();
            let row = reference
                .resolve(client, self.confirmation.is_some())
                .await?;
            if let Some(confirmation) = self.confirmation.take() {
                let expected = text_at(&row, confirmation.field)?;
                if !confirmation.given {
                    confirm(&expected, output)?;
                }
                self.input
                    .insert("confirm".to_owned(), Value::String(expected));
            }
            self.input
                .insert(field.to_owned(), Value::String(text_at(&row, "id")?));
        }
        Ok(())
    }
}

impl Reference {
    fn field(&self) -> &'static str {
        match self {
            Reference::Project { field, .. }
            | Reference::Task { field, .. }
            | Reference::Spoke { field, .. } => field,
        }
    }

    /// The row, or an object with just the id when the user gave that and the rest is not needed.
    async fn resolve(&self, client: &Client, whole: bool) -> Result<Value, Failure> {
        match self {
            Reference::Project { named, .. } => project(client, named, whole).await,
            Reference::Spoke { named, .. } if is_id(named) => Ok(json!({"id": named})),
            Reference::Spoke { named, .. } => {
                client.call("spoke.get", &json!({"name": named})).await
            }
            Reference::Task {
                named,
                project: in_project,
                ..
            } => {
                if is_id(named) {
                    return Ok(json!({"id": named}));
                }
                let Some(in_project) = in_project else {
                    return Err(Failure::Usage(format!(
                        "{named:?} is no id; a task is named by its slug together with --project"
                    )));
                };
                let project = project(client, in_project, false).await?;
                let input = json!({"projectId": text_at(&project, "id")?, "slug": named});
                client.call("task.get", &input).await
            }
        }
    }
}

/// The project of that name or id.
pub(crate) async fn project(client: &Client, named: &str, whole: bool) -> Result<Value, Failure> {
    let input = match (is_id(named), whole) {
        (true, false) => return Ok(json!({"id": named})),
        (true, true) => json!({"id": named}),
        (false, _) => json!({"name": named}),
    };
    client.call("project.get", &input).await
}

/// The text in that field of a row the hub sent.
pub(crate) fn text_at(row: &Value, field: &str) -> Result<String, Failure> {
    row.get(field)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Failure::Local(format!("the hub's answer has no {field}")))
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

fn confirm(expected: &str, output: &Output) -> Result<(), Failure> {
    let question = format!("This cannot be undone. Type {expected:?} to go on:");
    match output.ask(&question)? {
        Some(typed) if typed == expected => Ok(()),
        Some(_) => Err(Failure::Local(
            "not confirmed; nothing was changed".to_owned(),
        )),
        None => Err(Failure::Usage(
            "this cannot be undone; say --yes to do it without a question".to_owned(),
        )),
    }
}
