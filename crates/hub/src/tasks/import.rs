//! `task.import`: the files of a directory become tasks of a project.
//!
//! All files are read before the database is asked anything, every faulty one is told at once, and what
//! follows happens in one transaction or not at all. Files say what a task is; never where the work
//! stands, but for tasks that are new.

pub(super) mod batch;
pub(super) mod write;

use std::sync::Arc;

use alkhub_operations::{CallError, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::enums::MembershipLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{lock_project, refuse_archived};
use crate::audit::{self, Action, Entry};
use crate::error::{HubError, unforeseen};
use crate::events::TaskChange;
use crate::state::{Call, handle};

use batch::Batch;
use write::bring_in;

/// Bytes of an import after which memory is given back.
const LARGE_IMPORT: usize = 4 * 1_024 * 1_024;

/// Most files of one import.
pub(super) const MAX_FILES: usize = 20_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ImportInput, ImportReport>("task.import", OperationType::Mutation)
            .description(
                "Brings task files into a project: all of them or none. Statuses of tasks that are \
                 there already are never changed.",
            )
            .scopes(&["task:write"])
            .resource("project", "write")
            .error("CONFLICT", "archived: the project was put away")
            .error(
                "UNPROCESSABLE",
                "cycle: tasks would depend on each other in a circle",
            )
            .error(
                "PAYLOAD_TOO_LARGE",
                "the files together are over server.importLimit",
            )
            .long_details()
            .idempotent(true)
            .handler(handle(import)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ImportInput {
    /// Id of the project.
    project_id: String,
    /// The files, at most 20,000.
    #[schemars(length(max = 20_000))]
    files: Vec<SourceText>,
    /// Report what would happen and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Delete pending tasks that once had a file and have none among these.
    #[serde(default)]
    prune: bool,
}

/// A file of a task directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TaskFile")]
pub(super) struct SourceText {
    /// Path relative to the root of the directory, with `/` between its parts.
    pub(super) path: String,
    /// The whole text, at most 1 MiB.
    pub(super) text: String,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportReport {
    /// True when nothing was changed because only the report was asked for.
    pub(super) dry_run: bool,
    /// Tasks that are new.
    pub(super) inserted: u64,
    /// Tasks of which something changed.
    pub(super) updated: u64,
    /// Tasks whose file says nothing new.
    pub(super) unchanged: u64,
    /// Slugs of tasks deleted because their file is gone.
    pub(super) pruned: Vec<String>,
    /// Slugs of tasks left in place although their file is gone.
    pub(super) gone: Vec<String>,
    /// Files that are no task files.
    pub(super) skipped: Vec<SkippedFile>,
    /// Prerequisites that are no tasks of the project; the next import tries them again.
    pub(super) missing: Vec<MissingReference>,
}

/// A file that is no task file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SkippedFile {
    /// Path of the file.
    pub(super) path: String,
    /// Why it was skipped.
    pub(super) reason: String,
}

/// A prerequisite that is no task of the project.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MissingReference {
    /// Slug of the task that names it.
    pub(super) task: String,
    /// The slug that is no task.
    pub(super) unknown: String,
}

async fn import(call: Call, input: Arc<ImportInput>) -> Result<ImportReport, HubError> {
    let scope = call.scope()?;
    // Whoever may not see the project learns nothing of the files either, and waits for no parsing.
    super::visible_project(call.database().reader(), &scope, &input.project_id).await?;
    refuse_too_much(&call, &input.files)?;
    let files = Arc::clone(&input);
    let batch = off_runtime(move || Batch::read(&files.files)).await??;

    let transaction = call.begin().await?;
    let project = lock_project(&transaction, &scope, &input.project_id).await?;
    refuse_archived(&project)?;
    if input.prune {
        // Pruning deletes.
        call.require_level(project.org_id.as_ref(), MembershipLevel::Admin)?;
    }
    let report = bring_in(&transaction, &project, batch, &input.files, input.prune).await?;
    let report = ImportReport {
        dry_run: input.dry_run,
        ..report
    };
    if input.dry_run {
        transaction.rollback().await?;
        return Ok(report);
    }
    let entry = Entry::about("project", &project.id, &project.name)
        .in_organization(project.org_id.as_ref())
        .counted(counts(&report));
    audit::write(&transaction, &call.actor()?, Action::TaskImported, entry).await?;
    transaction.commit().await?;
    release_memory(&call, &input.files).await;
    call.state()
        .events
        .task(&project.id, None, TaskChange::Imported);
    Ok(report)
}

/// After a large import the database need not keep what it touched. That it could not give it back is
/// no failure of the import, which is durable by now.
async fn release_memory(call: &Call, files: &[SourceText]) {
    if files.iter().map(|file| file.text.len()).sum::<usize>() < LARGE_IMPORT {
        return;
    }
    if let Err(error) = call.database().release_memory().await {
        tracing::warn!(%error, "the database kept the memory of a large import");
    }
}

/// How many of what, for the audit entry.
pub(super) fn counts(report: &ImportReport) -> serde_json::Value {
    json!({
        "inserted": report.inserted,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "pruned": report.pruned.len(),
        "skipped": report.skipped.len(),
        "missing": report.missing.len(),
    })
}

/// Refuses more files, or larger ones, than one call may bring.
pub(super) fn refuse_too_much(call: &Call, files: &[SourceText]) -> Result<(), HubError> {
    if files.len() > MAX_FILES {
        let message = format!("at most {MAX_FILES} files in one call");
        return Err(CallError::validation_field("/files", "maxItems", message).into());
    }
    let limit = call.config().server.import_limit;
    if files.iter().map(|file| file.text.len()).sum::<usize>() > limit {
        let message = format!("the files together are over {limit} bytes");
        return Err(CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, message)
            .with_detail("limit", limit)
            .into());
    }
    Ok(())
}

/// Runs work that keeps a core busy where it holds up nobody else.
pub(super) async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HubError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|failed| unforeseen(&failed).into())
}
