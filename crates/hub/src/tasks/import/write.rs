//! The files of an import become rows; what the graph then looks like decides whether they stay.

use std::collections::HashMap;

use alkhub_storage::ids::ProjectId;
use alkhub_storage::tasks::{self as queries, SyncOptions, TaskFile, TaskOutline};
use alkhub_storage::{ConnectionTrait, Project};
use alkhub_taskgraph::cycles::find_cycles;

use super::batch::Batch;
use super::{ImportReport, MissingReference, SourceText};
use crate::error::HubError;
use crate::tasks::graph::{cycle_error, edges_among};
use crate::tasks::places;

/// Brings a batch into the project, whose row is locked.
///
/// # Errors
/// `UNPROCESSABLE` `cycle`: the caller lets the transaction go.
pub(in crate::tasks) async fn bring_in(
    transaction: &impl ConnectionTrait,
    project: &Project,
    batch: Batch,
    files: &[SourceText],
    prune: bool,
) -> Result<ImportReport, HubError> {
    let before = queries::task_outlines(transaction, &project.id).await?;
    let (tasks, bodies, skipped) = batch.into_tasks(files);
    let tasks = with_kept_paths(tasks, &before);
    drop(before);
    let report = queries::sync_tasks_with_bodies(
        transaction,
        &project.id,
        tasks,
        |task| bodies.of(task),
        SyncOptions { prune },
    )
    .await?;
    if !report.inserted.is_empty() || !report.updated.is_empty() {
        refuse_cycles(transaction, &project.id).await?;
    }
    Ok(ImportReport {
        dry_run: false,
        inserted: report.inserted.len() as u64,
        updated: report.updated.len() as u64,
        unchanged: report.unchanged,
        pruned: report.pruned,
        gone: report.gone,
        skipped,
        missing: report
            .missing
            .into_iter()
            .map(|missing| MissingReference {
                task: missing.task,
                unknown: missing.unknown,
            })
            .collect(),
    })
}

/// The files with the paths their tasks get. A file that lies where the export writes its task says
/// nothing new, also when the task has no path or its path was taken: else importing an export would
/// change rows.
fn with_kept_paths(mut files: Vec<TaskFile>, before: &[TaskOutline]) -> Vec<TaskFile> {
    let places = places::of_rows(before);
    let rows: HashMap<&str, (&TaskOutline, &str)> = before
        .iter()
        .zip(&places)
        .map(|(row, place)| (row.slug.as_str(), (row, place.path.as_str())))
        .collect();
    for file in &mut files {
        if let Some((row, exported)) = rows.get(file.slug.as_str())
            && file.path.as_deref() == Some(*exported)
        {
            file.path.clone_from(&row.path);
        }
    }
    files
}

/// Looks for circles in the graph of the whole project, tasks without a file included.
async fn refuse_cycles(
    transaction: &impl ConnectionTrait,
    project: &ProjectId,
) -> Result<(), HubError> {
    let ends = queries::edge_ends(transaction, project).await?;
    if find_cycles(&ends).is_empty() {
        return Ok(());
    }
    let edges = queries::project_edges(transaction, project).await?;
    let rows = queries::task_outlines(transaction, project).await?;
    // By slug, so that the same files name the same circles each time.
    let mut named: Vec<(String, String)> = edges_among(&rows, &edges)
        .into_iter()
        .map(|edge| (edge.from, edge.to))
        .collect();
    named.sort();
    let named = find_cycles(&named);
    Err(cycle_error(&named).into())
}
