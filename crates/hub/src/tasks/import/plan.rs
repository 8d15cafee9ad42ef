//! What an import would change: the files held against the rows of the project. Reads and writes
//! nothing itself.

use std::collections::{HashMap, HashSet};

use alkhub_operations::CallError;
use alkhub_storage::enums::TaskStatus;
use alkhub_storage::ids::{TaskDependencyId, TaskId};
use alkhub_storage::json::Metadata;
use alkhub_storage::{Task, TaskDependency};
use alkhub_taskgraph::cycles::find_cycles;
use serde_json::{Value, json};

use super::batch::{Batch, BatchTask};
use super::{ImportReport, MissingReference, SourceText};
use crate::tasks::file::{self, Authored, FRONTMATTER, MISSING, TaskFile, UNPARSED};
use crate::tasks::notes;
use crate::tasks::places::{Wanted, places};

/// Ids of cycles told in one answer.
const MAX_CYCLE_IDS: usize = 20_000;

/// The project as it is.
#[derive(Debug, Default)]
pub(in crate::tasks) struct Stored {
    /// Its tasks with their bodies.
    pub(in crate::tasks) tasks: Vec<Task>,
    /// All dependencies among them.
    pub(in crate::tasks) edges: Vec<TaskDependency>,
}

/// What an import does.
#[derive(Debug)]
pub(in crate::tasks) struct Plan {
    /// Rows to insert: id, place of the task in the batch, `metadata`.
    pub(in crate::tasks) inserts: Vec<(TaskId, usize, Metadata)>,
    /// Rows whose authored columns change.
    pub(in crate::tasks) updates: Vec<RowUpdate>,
    /// Rows of which only `metadata` changes.
    pub(in crate::tasks) notes: Vec<(TaskId, Metadata)>,
    /// Rows to delete.
    pub(in crate::tasks) prune: Vec<TaskId>,
    /// Dependencies to insert, as (prerequisite, dependent).
    pub(in crate::tasks) new_edges: Vec<(TaskId, TaskId)>,
    /// Dependencies to delete.
    pub(in crate::tasks) gone_edges: Vec<TaskDependencyId>,
    /// What the caller is told.
    pub(in crate::tasks) report: ImportReport,
}

/// A row whose authored columns change.
#[derive(Debug)]
pub(in crate::tasks) struct RowUpdate {
    pub(in crate::tasks) id: TaskId,
    /// Place of the task in the batch.
    pub(in crate::tasks) task: usize,
    /// The path: that of the file, or as it was.
    pub(in crate::tasks) path: Option<String>,
    /// The new body, notes included; none = as it was.
    pub(in crate::tasks) body: Option<String>,
    pub(in crate::tasks) metadata: Metadata,
}

impl Plan {
    /// Holds the batch against the rows.
    ///
    /// # Errors
    /// `UNPROCESSABLE` `cycle` with the paths.
    pub(in crate::tasks) fn new(
        batch: &Batch,
        files: &[SourceText],
        stored: &Stored,
        prune: bool,
    ) -> Result<Self, CallError> {
        let mut planner = Planner::new(batch, stored, prune);
        planner.resolve_dependencies();
        planner.refuse_cycles()?;
        Ok(planner.finish(files))
    }
}

struct Planner<'a> {
    batch: &'a Batch,
    stored: &'a Stored,
    /// Place in `stored` of each slug.
    rows: HashMap<&'a str, usize>,
    /// Slugs of the batch.
    in_batch: HashSet<&'a str>,
    /// Id of each slug once the import is done.
    ids: HashMap<&'a str, TaskId>,
    /// Slug of each row.
    slugs: HashMap<&'a TaskId, &'a str>,
    pruned: Vec<&'a Task>,
    gone: Vec<&'a Task>,
    /// By dependent: the slugs it depends on, and those that are none.
    wanted: HashMap<&'a str, (Vec<String>, Vec<String>)>,
    new_edges: Vec<(TaskId, TaskId)>,
    gone_edges: Vec<TaskDependencyId>,
    /// Dependents whose dependencies change.
    rewired: HashSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn new(batch: &'a Batch, stored: &'a Stored, prune: bool) -> Self {
        let in_batch: HashSet<&str> =
            batch.tasks.iter().map(|task| task.file.authored.slug.as_str()).collect();
        let without_file =
            |row: &&Task| row.path.is_some() && !in_batch.contains(row.slug.as_str());
        let (pruned, gone): (Vec<&Task>, Vec<&Task>) = stored
            .tasks
            .iter()
            .filter(without_file)
            .partition(|row| prune && row.status == TaskStatus::Pending);
        let going: HashSet<&TaskId> = pruned.iter().map(|row| &row.id).collect();
        let rows: HashMap<&str, usize> =
            stored.tasks.iter().enumerate().map(|(place, row)| (row.slug.as_str(), place)).collect();
        let mut ids: HashMap<&str, TaskId> = stored
            .tasks
            .iter()
            .filter(|row| !going.contains(&row.id))
            .map(|row| (row.slug.as_str(), row.id.clone()))
            .collect();
        for slug in &in_batch {
            ids.entry(slug).or_insert_with(TaskId::random);
        }
        let slugs = stored.tasks.iter().map(|row| (&row.id, row.slug.as_str())).collect();
        Self {
            batch,
            stored,
            rows,
            in_batch,
            ids,
            slugs,
            pruned,
            gone,
            wanted: HashMap::new(),
            new_edges: Vec::new(),
            gone_edges: Vec::new(),
            rewired: HashSet::new(),
        }
    }

    /// Finds which dependencies come and go: those of the files as they say, and those that rows without
    /// a file in this batch were waiting for.
    fn resolve_dependencies(&mut self) {
        for task in &self.batch.tasks {
            let slugs = task.file.depends_on.iter();
            let split = slugs.cloned().partition(|slug| self.ids.contains_key(slug.as_str()));
            self.wanted.insert(&task.file.authored.slug, split);
        }
        for row in &self.stored.tasks {
            if self.in_batch.contains(row.slug.as_str()) || !self.ids.contains_key(row.slug.as_str())
            {
                continue;
            }
            let (found, missing): (Vec<String>, Vec<String>) = file::missing(&row.metadata)
                .partition(|slug| self.ids.contains_key(slug.as_str()) && *slug != row.slug);
            if !found.is_empty() {
                self.wanted.insert(&row.slug, (found, missing));
            }
        }
        let mut present: HashMap<&str, HashMap<&str, &TaskDependency>> = HashMap::new();
        for edge in &self.stored.edges {
            if let Some((from, to)) = self.ends(edge)
                && self.ids.contains_key(from)
                && self.ids.contains_key(to)
            {
                present.entry(to).or_default().insert(from, edge);
            }
        }
        for (dependent, (slugs, _)) in &self.wanted {
            let kept = present.remove(dependent).unwrap_or_default();
            let mut changed = false;
            for slug in slugs.iter().filter(|slug| !kept.contains_key(slug.as_str())) {
                self.new_edges.push((self.ids[slug.as_str()].clone(), self.ids[dependent].clone()));
                changed = true;
            }
            if self.in_batch.contains(dependent) {
                let wanted: HashSet<&str> = slugs.iter().map(String::as_str).collect();
                let gone = kept.iter().filter(|(slug, _)| !wanted.contains(**slug));
                let before = self.gone_edges.len();
                self.gone_edges.extend(gone.map(|(_, edge)| edge.id.clone()));
                changed |= self.gone_edges.len() > before;
            }
            if changed {
                self.rewired.insert(dependent);
            }
        }
    }

    /// Looks for cycles in what the graph of the whole project becomes.
    fn refuse_cycles(&self) -> Result<(), CallError> {
        let mut edges: Vec<(&str, &str)> = Vec::new();
        for edge in &self.stored.edges {
            if let Some((from, to)) = self.ends(edge)
                && self.ids.contains_key(from)
                && self.ids.contains_key(to)
                && !self.in_batch.contains(to)
            {
                edges.push((from, to));
            }
        }
        for (dependent, (slugs, _)) in &self.wanted {
            edges.extend(slugs.iter().map(|slug| (slug.as_str(), *dependent)));
        }
        // In a fixed order, so that the same files name the same cycle each time.
        edges.sort_unstable();
        let cycles = find_cycles(&edges);
        if cycles.is_empty() { Ok(()) } else { Err(cycle_error(&cycles)) }
    }

    fn ends(&self, edge: &TaskDependency) -> Option<(&'a str, &'a str)> {
        let from = self.slugs.get(&edge.depends_on_task_id)?;
        Some((from, self.slugs.get(&edge.dependent_task_id)?))
    }

    fn finish(self, files: &[SourceText]) -> Plan {
        let mut plan = Plan {
            inserts: Vec::new(),
            updates: Vec::new(),
            notes: Vec::new(),
            prune: self.pruned.iter().map(|row| row.id.clone()).collect(),
            new_edges: Vec::new(),
            gone_edges: Vec::new(),
            report: ImportReport {
                skipped: self.batch.skipped.clone(),
                pruned: sorted(self.pruned.iter().map(|row| row.slug.clone())),
                gone: sorted(self.gone.iter().map(|row| row.slug.clone())),
                ..ImportReport::default()
            },
        };
        let exported = exported_paths(&self.stored.tasks);
        for (place, task) in self.batch.tasks.iter().enumerate() {
            let slug = task.file.authored.slug.as_str();
            let missing = self.wanted.get(slug).map_or(&[][..], |(_, missing)| missing);
            let row = self.rows.get(slug).map(|at| (&self.stored.tasks[*at], &exported[*at]));
            match row {
                None => {
                    let metadata = with_file_notes(&Metadata::new(), &task.file, missing);
                    plan.inserts.push((self.ids[slug].clone(), place, metadata));
                    plan.report.inserted += 1;
                }
                Some((row, exported)) => {
                    let body = Batch::body(task, files);
                    match update(row, exported, task, body, missing) {
                        Some(update) => {
                            plan.updates.push(RowUpdate { task: place, ..update });
                            plan.report.updated += 1;
                        }
                        None if self.rewired.contains(slug) => plan.report.updated += 1,
                        None => plan.report.unchanged += 1,
                    }
                }
            }
            plan.report.missing.extend(missing.iter().map(|unknown| MissingReference {
                task: slug.to_owned(),
                unknown: unknown.clone(),
            }));
        }
        for (slug, (_, missing)) in &self.wanted {
            if !self.in_batch.contains(slug)
                && let Some(at) = self.rows.get(slug)
            {
                let row = &self.stored.tasks[*at];
                let mut metadata = row.metadata.clone();
                set(&mut metadata, MISSING, (!missing.is_empty()).then(|| json!(missing)));
                plan.notes.push((row.id.clone(), metadata));
                plan.report.updated += 1;
            }
        }
        plan.new_edges = self.new_edges;
        plan.gone_edges = self.gone_edges;
        plan
    }
}

/// What changes in a row; none when nothing does.
fn update(
    row: &Task,
    exported: &str,
    task: &BatchTask,
    body: &str,
    missing: &[String],
) -> Option<RowUpdate> {
    let path = kept_path(row, exported, &task.file.authored);
    let metadata = with_file_notes(&row.metadata, &task.file, missing);
    let stored = row.body.as_deref().unwrap_or_default();
    let authored = notes::split(body).0;
    let body = (notes::split(stored).0 != authored)
        .then(|| notes::replace_authored(stored, authored));
    let wanted = Authored { path: path.clone(), ..task.file.authored.clone() };
    let same = body.is_none() && metadata == row.metadata && wanted == authored_of(row);
    (!same).then(|| RowUpdate { id: row.id.clone(), task: 0, path, body, metadata })
}

/// The path after an import. A file that lies where the export writes the row says nothing new, also
/// when the row has no path or its path was taken: else importing an export would change rows.
fn kept_path(row: &Task, exported: &str, file: &Authored) -> Option<String> {
    if file.path.as_deref() == Some(exported) { row.path.clone() } else { file.path.clone() }
}

fn authored_of(row: &Task) -> Authored {
    Authored {
        slug: row.slug.clone(),
        name: row.name.clone(),
        path: row.path.clone(),
        scope: row.scope,
        risk: row.risk,
        impact: row.impact,
        level: row.level,
        priority: row.priority,
        tags: row.tags.clone(),
        assignee: row.assignee.clone(),
        due_at: row.due_at,
        file_created_at: row.file_created_at,
        file_modified_at: row.file_modified_at,
    }
}

/// Where the export writes each row.
pub(in crate::tasks) fn exported_paths(rows: &[Task]) -> Vec<String> {
    let wanted: Vec<Wanted<'_>> = rows
        .iter()
        .map(|row| Wanted { id: row.id.as_str(), slug: &row.slug, path: row.path.as_deref() })
        .collect();
    places(&wanted).into_iter().map(|place| place.path).collect()
}

/// The notes of a row with those that come from its file brought up to date.
fn with_file_notes(notes: &Metadata, file: &TaskFile, missing: &[String]) -> Metadata {
    let mut notes = notes.clone();
    let unparsed = &file.unparsed;
    set(&mut notes, UNPARSED, (!unparsed.is_empty()).then(|| Value::Object(unparsed.clone())));
    set(&mut notes, FRONTMATTER, file.frontmatter.clone().map(Value::String));
    set(&mut notes, MISSING, (!missing.is_empty()).then(|| json!(missing)));
    notes
}

fn set(notes: &mut Metadata, key: &str, value: Option<Value>) {
    match value {
        Some(value) => notes.insert(key.to_owned(), value),
        None => notes.remove(key),
    };
}

fn sorted(slugs: impl Iterator<Item = String>) -> Vec<String> {
    let mut slugs: Vec<String> = slugs.collect();
    slugs.sort();
    slugs
}

/// `UNPROCESSABLE` `cycle` with every cycle found, as far as they fit.
pub(in crate::tasks) fn cycle_error<S: AsRef<str>>(cycles: &[Vec<S>]) -> CallError {
    let mut ids = 0;
    let told: Vec<Vec<&str>> = cycles
        .iter()
        .enumerate()
        .take_while(|(place, cycle)| {
            ids += cycle.len();
            *place == 0 || ids <= MAX_CYCLE_IDS
        })
        .map(|(_, cycle)| cycle.iter().take(MAX_CYCLE_IDS).map(AsRef::as_ref).collect())
        .collect();
    let first = told.first().map_or(&[][..], Vec::as_slice);
    let mut shown: Vec<&str> = first.iter().take(20).copied().collect();
    if first.len() > shown.len() {
        shown.push("…");
    }
    shown.extend(first.first());
    let message = format!("tasks depend on each other in a circle: {}", shown.join(" → "));
    CallError::unprocessable("cycle", message)
        .with_detail("path", json!(first))
        .with_detail("cycles", json!(told))
}
