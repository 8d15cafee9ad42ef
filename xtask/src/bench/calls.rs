//! A contestant that is one operation of a running hub, called again and again by one caller.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::BenchError;
use super::figures::{Contestant, Round};
use super::hub::HubServer;
use super::lab::Lab;
use crate::demo_data;

/// The most files that one import is given here.
const FILES: usize = 10_000;

/// One operation with one input; a turn is a number of calls, its figure their median time in ms.
pub(super) struct Calls {
    /// The name in the report.
    pub(super) who: String,
    /// Whom to call.
    pub(super) hub: Arc<HubServer>,
    /// What to call.
    pub(super) operation: &'static str,
    /// With what.
    pub(super) input: Value,
    /// How many calls a turn has.
    pub(super) count: usize,
}

#[async_trait]
impl Contestant for Calls {
    fn who(&self) -> String {
        self.who.clone()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let mut samples = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let started = Instant::now();
            self.hub.call(self.operation, &self.input).await?;
            samples.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(vec![Round::median(samples)])
    }
}

/// How many calls a turn has: the full number, or ten for a try.
pub(super) fn count(lab: &Lab, full: usize) -> usize {
    if lab.quick { full.min(10) } else { full }
}

/// A new project with that many tasks, imported from invented files; its id.
pub(super) async fn project_with_tasks(
    hub: &HubServer,
    name: &str,
    tasks: usize,
) -> Result<String, BenchError> {
    project_of(hub, name, &demo_data::generate(tasks, 1)).await
}

/// A new project with the tasks of these files; its id.
pub(super) async fn project_of(
    hub: &HubServer,
    name: &str,
    files: &[demo_data::TaskFile],
) -> Result<String, BenchError> {
    let project = project(hub, name).await?;
    for files in files.chunks(FILES) {
        hub.call("task.import", &import_input(&project, files))
            .await?;
    }
    Ok(project)
}

/// A new project without tasks; its id.
pub(super) async fn project(hub: &HubServer, name: &str) -> Result<String, BenchError> {
    let project = hub.call("project.create", &json!({ "name": name })).await?;
    project["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| BenchError::Contestant {
            who: "alkhub".to_owned(),
            what: format!("made a project without an id: {project}"),
        })
}

/// The input of `task.import` for those files.
pub(super) fn import_input(project: &str, files: &[demo_data::TaskFile]) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|file| json!({ "path": file.path, "text": file.text }))
        .collect();
    json!({ "projectId": project, "files": files })
}
