//! `task.sync`: a directory of task files and a project brought together, both ways.
//!
//! Of each task three texts are compared: that of the file, that the export would write for the row, and
//! the baseline, which both had after the last sync and of which the caller keeps the hash. Whoever
//! differs from the baseline alone has changed; when both have, nothing is written and the conflict is
//! told. File and row belong together by the task's id, so a file that was moved is still its file.

mod compare;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alkhub_operations::{Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::import::batch::Batch;
use super::import::write::bring_in;
use super::import::{SourceText, off_runtime, refuse_too_much};
use super::{export, lock_project, refuse_archived, visible_project};
use crate::audit::{self, Action, Entry};
use crate::error::HubError;
use crate::events::TaskChange;
use crate::state::{Call, handle};

use compare::{Outcome, Side, Sides, hash};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<SyncInput, SyncReport>("task.sync", OperationType::Mutation)
            .description(
                "Compares task files with the tasks of a project and brings over what changed on one \
                 side. What changed on both is a conflict, of which nothing is written.",
            )
            .scopes(&["task:write"])
            .resource("project", "write")
            .error("CONFLICT", "archived: the project was put away")
            .error("UNPROCESSABLE", "cycle: tasks would depend on each other in a circle")
            .error("PAYLOAD_TOO_LARGE", "the files together are over server.importLimit")
            .long_details()
            .handler(handle(sync)),
    ]
}

/// Which way to bring changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// From files to the project.
    ToDb,
    /// From the project to files.
    ToFile,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SyncInput {
    /// Id of the project.
    project_id: String,
    /// All files of the directory, at most 20,000.
    #[schemars(length(max = 20_000))]
    files: Vec<SourceText>,
    /// By path of the file: the hash that the last sync answered.
    baseline: Option<BTreeMap<String, String>>,
    /// Which way to bring changes.
    #[serde(default)]
    direction: Direction,
    /// Report what would happen and change nothing; false writes to the project.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// What a sync did, and what is left to the caller.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SyncReport {
    /// True when nothing was changed because only the report was asked for.
    dry_run: bool,
    /// Files the caller is to write.
    to_file: Vec<FileToWrite>,
    /// Files that were brought into the project.
    to_db: Vec<FileOfTask>,
    /// Tasks that changed on both sides.
    conflicts: Vec<SyncConflict>,
    /// Tasks that are the same on both sides.
    unchanged: u64,
    /// Hashes to give as `baseline` next time.
    baseline: BTreeMap<String, String>,
}

/// A file the caller is to write.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FileToWrite {
    /// Path of the file.
    path: String,
    /// Its whole text.
    text: String,
    /// Path of a file that this one takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

/// A file and its task.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FileOfTask {
    /// Path of the file.
    path: String,
    /// Slug of the task.
    task: String,
}

/// A task that changed on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SyncConflict {
    /// Path of the file, or the one the task would be written to.
    path: String,
    /// Slug of the task.
    task: String,
    /// What happened on the two sides.
    reason: String,
}

async fn sync(call: Call, input: Arc<SyncInput>) -> Result<SyncReport, HubError> {
    let scope = call.scope()?;
    visible_project(call.database().reader(), &scope, &input.project_id).await?;
    refuse_too_much(&call, &input.files)?;
    let files = Arc::clone(&input);
    let batch = off_runtime(move || Batch::read(&files.files)).await??;

    let transaction = call.begin().await?;
    let project = lock_project(&transaction, &scope, &input.project_id).await?;
    if input.direction != Direction::ToFile {
        refuse_archived(&project)?;
    }
    let rows = export::written(&transaction, &project.id, None)
        .await?
        .files;
    let baseline = input.baseline.clone().unwrap_or_default();
    let outcomes = Sides::new(&batch, &input.files, rows).outcomes(&baseline);

    let mut report = SyncReport::new(input.dry_run);
    let coming = report.take(outcomes, input.direction, &baseline);
    if !coming.is_empty() {
        let part = batch.only(&coming);
        bring_in(&transaction, &project, part, &input.files, false).await?;
        let rows = export::written(&transaction, &project.id, None)
            .await?
            .files;
        report.settle(&rows, coming, input.direction);
    }
    report.sort();
    if input.dry_run || report.to_db.is_empty() {
        transaction.rollback().await?;
        return Ok(report);
    }
    let entry = Entry::about("project", &project.id, &project.name)
        .in_organization(project.org_id.as_ref())
        .counted(json!({
            "toDb": report.to_db.len(),
            "toFile": report.to_file.len(),
            "conflicts": report.conflicts.len(),
            "unchanged": report.unchanged,
        }));
    audit::write(&transaction, &call.actor()?, Action::TaskSynced, entry).await?;
    transaction.commit().await?;
    call.state()
        .events
        .task(&project.id, None, TaskChange::Imported);
    Ok(report)
}

impl SyncReport {
    fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            to_file: Vec::new(),
            to_db: Vec::new(),
            conflicts: Vec::new(),
            unchanged: 0,
            baseline: BTreeMap::new(),
        }
    }

    /// Notes every outcome; gives the files that go into the project, by slug.
    fn take(
        &mut self,
        outcomes: Vec<(String, Outcome)>,
        direction: Direction,
        baseline: &BTreeMap<String, String>,
    ) -> HashMap<String, Side> {
        let mut coming = HashMap::new();
        for (task, outcome) in outcomes {
            match outcome {
                Outcome::Same(side) => {
                    self.unchanged += 1;
                    self.baseline.insert(side.path, side.hash);
                }
                Outcome::ToDb(side) if direction != Direction::ToFile => {
                    coming.insert(task, side);
                }
                Outcome::ToFile { path, text, file } if direction != Direction::ToDb => {
                    self.baseline.insert(path.clone(), hash(&text));
                    let replaces = file.filter(|file| *file != path);
                    self.to_file.push(FileToWrite {
                        path,
                        text,
                        replaces,
                    });
                }
                // Left for another time: what is known of the last sync stays known.
                Outcome::ToDb(Side { path, .. }) => self.keep(path, baseline),
                Outcome::ToFile { path, file, .. } => self.keep(file.unwrap_or(path), baseline),
                Outcome::Conflict { path, reason } => {
                    self.keep(path.clone(), baseline);
                    self.conflicts.push(SyncConflict {
                        path,
                        task,
                        reason: reason.to_owned(),
                    });
                }
            }
        }
        coming
    }

    fn keep(&mut self, path: String, baseline: &BTreeMap<String, String>) {
        if let Some(hash) = baseline.get(&path) {
            self.baseline.insert(path, hash.clone());
        }
    }

    /// After the files were brought in: where the task still reads otherwise than its file (a status,
    /// which files do not decide), the file is to be written.
    fn settle(
        &mut self,
        rows: &[export::TaskText],
        coming: HashMap<String, Side>,
        direction: Direction,
    ) {
        let rows: HashMap<&str, &export::TaskText> =
            rows.iter().map(|row| (row.slug.as_str(), row)).collect();
        for (task, side) in coming {
            if let Some(row) = rows.get(task.as_str()) {
                let now = hash(&row.text);
                if now != side.hash && direction == Direction::Both {
                    self.to_file.push(FileToWrite {
                        path: row.path.clone(),
                        text: row.text.clone(),
                        replaces: Some(side.path.clone()).filter(|path| *path != row.path),
                    });
                    self.baseline.insert(row.path.clone(), now);
                } else {
                    self.baseline.insert(side.path.clone(), now);
                }
            }
            self.to_db.push(FileOfTask {
                path: side.path,
                task,
            });
        }
    }

    fn sort(&mut self) {
        self.to_file.sort_by(|a, b| a.path.cmp(&b.path));
        self.to_db.sort_by(|a, b| a.path.cmp(&b.path));
        self.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    }
}
