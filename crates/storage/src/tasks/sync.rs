//! The files of a directory become the tasks of a project.
//!
//! The caller has read the files, refused faulty ones and locked the project. It looks for circles in
//! the graph that results, and rolls back when there are any, or when only the report was wanted.

mod rows;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::NewDependency;
use super::rows::{delete_tasks, set_task_metadata, upsert_tasks};
use crate::entity::tasks::Model;
use crate::enums::{TaskImpact, TaskLevel, TaskPriority, TaskRisk, TaskScope, TaskStatus};
use crate::error::StorageError;
use crate::ids::{ProjectId, TaskDependencyId, TaskId};
use crate::json::{Metadata, StringList};
use crate::sql;
use crate::time::{self, DateTimeUtc};
use rows::{changed_row, differs, new_row, set_missing};

/// Files compared with their rows at a time: what bounds the memory of a sync.
const CHUNK: usize = 500;

/// What a file says of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFile {
    /// Unique in the project; files with one slug twice are the caller's to refuse.
    pub slug: String,
    /// Shown name.
    pub name: String,
    /// Relative path of the file, without extension.
    pub path: Option<String>,
    /// Taken for new tasks only.
    pub status: Option<TaskStatus>,
    /// How much it touches.
    pub scope: Option<TaskScope>,
    /// How likely it goes wrong.
    pub risk: Option<TaskRisk>,
    /// How far a failure reaches.
    pub impact: Option<TaskImpact>,
    /// Sort of work.
    pub level: Option<TaskLevel>,
    /// What comes first.
    pub priority: Option<TaskPriority>,
    /// Labels.
    pub tags: StringList,
    /// Who does it.
    pub assignee: Option<String>,
    /// When it is due.
    pub due_at: Option<DateTimeUtc>,
    /// Markdown.
    pub body: Option<String>,
    /// `created` of the file.
    pub file_created_at: Option<DateTimeUtc>,
    /// `modified` of the file.
    pub file_modified_at: Option<DateTimeUtc>,
    /// Slugs of the prerequisites.
    pub depends_on: Vec<String>,
    /// `unparsed` and `frontmatter`, where the file has what no column takes.
    pub metadata: Metadata,
}

/// How to sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Delete tasks that had a file, have none among these, and are still pending.
    pub prune: bool,
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Slugs of new tasks.
    pub inserted: Vec<String>,
    /// Slugs of tasks of which something authored changed, dependencies included.
    pub updated: Vec<String>,
    /// How many files said nothing new.
    pub unchanged: u64,
    /// Slugs of tasks deleted because their file is gone.
    pub pruned: Vec<String>,
    /// Slugs of tasks left in place although their file is gone.
    pub gone: Vec<String>,
    /// Prerequisites that are no tasks of the project.
    pub missing: Vec<MissingDependency>,
}

/// A prerequisite that is no task of the project; kept, and tried again by the next sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingDependency {
    /// Slug of the task that names it.
    pub task: String,
    /// The slug that is no task.
    pub unknown: String,
}

/// A row as far as every sync needs it.
#[derive(FromQueryResult)]
struct Known {
    id: TaskId,
    slug: String,
    status: TaskStatus,
    path: Option<String>,
    missing: Option<String>,
}

#[derive(FromQueryResult)]
struct KnownEdge {
    id: TaskDependencyId,
    depends_on_task_id: TaskId,
    dependent_task_id: TaskId,
}

/// Brings the files into the project: new tasks, authored columns of known ones, and the dependencies
/// as the files name them. Statuses of known tasks are never written; the retention of a dependency
/// that stays is kept. T, with the project locked
pub async fn sync_tasks(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    files: Vec<TaskFile>,
    options: SyncOptions,
) -> Result<SyncReport, StorageError> {
    sync_tasks_with_bodies(db, project, files, |_| None, options).await
}

/// Like [`sync_tasks`], with the bodies elsewhere: `body` gives that of a file by its place among them,
/// and is asked for some hundred at a time, so that many large ones are not held twice. T, with the
/// project locked
pub async fn sync_tasks_with_bodies(
    db: &impl ConnectionTrait,
    project: &ProjectId,
    files: Vec<TaskFile>,
    body: impl Fn(usize) -> Option<String>,
    options: SyncOptions,
) -> Result<SyncReport, StorageError> {
    let mut sync = Sync::load(db, project, &files, options).await?;
    delete_tasks(db, &sync.pruned).await?;
    let wanted = sync.resolve(&files);
    let rewired = sync.rewire(db, &wanted).await?;
    drop(wanted);
    sync.write_rows(db, project, files, body, &rewired).await?;
    sync.write_edges(db).await?;
    Ok(sync.finish())
}

struct Sync {
    /// Number of every slug that is a task once the sync is done.
    ids: HashMap<String, u32>,
    /// Ids by number.
    numbered: Vec<TaskId>,
    /// Slugs that have a row.
    known: HashSet<String>,
    /// What rows without a file among these wait for.
    waiting: Vec<(String, Vec<String>)>,
    pruned: Vec<TaskId>,
    /// Prerequisite and dependent, by number: there may be very many.
    new_edges: Vec<(u32, u32)>,
    report: SyncReport,
}

/// What a dependent waits for.
struct Wanted<'a> {
    dependent: Cow<'a, str>,
    /// In order, each once.
    prerequisites: Vec<Cow<'a, str>>,
    /// Whether the file names them all, so that others go.
    from_file: bool,
}

impl Sync {
    async fn load(
        db: &impl ConnectionTrait,
        project: &ProjectId,
        files: &[TaskFile],
        options: SyncOptions,
    ) -> Result<Self, StorageError> {
        let missing = match crate::engine::Engine::of(db) {
            crate::engine::Engine::Sqlite => "json_extract(metadata, '$.missing')",
            crate::engine::Engine::Postgres => "cast(metadata -> 'missing' as text)",
        };
        let text = format!(
            "select id, slug, status, path, {missing} as missing from tasks where project_id = $1{}",
            // Nobody moves a task that is about to be pruned, or appends a note to a body that is about
            // to be replaced.
            crate::engine::Engine::of(db).for_update()
        );
        let rows: Vec<Known> = sql::all(db, &text, [project.as_str().into()]).await?;
        let in_files: HashSet<&str> = files.iter().map(|file| file.slug.as_str()).collect();
        let mut sync = Self {
            ids: HashMap::with_capacity(rows.len() + files.len()),
            numbered: Vec::with_capacity(rows.len() + files.len()),
            known: HashSet::with_capacity(rows.len()),
            waiting: Vec::new(),
            pruned: Vec::new(),
            new_edges: Vec::new(),
            report: SyncReport::default(),
        };
        for row in rows {
            let has_file = in_files.contains(row.slug.as_str());
            if !has_file && row.path.is_some() {
                if options.prune && row.status == TaskStatus::Pending {
                    sync.pruned.push(row.id);
                    sync.report.pruned.push(row.slug);
                    continue;
                }
                sync.report.gone.push(row.slug.clone());
            }
            if !has_file && let Some(names) = row.missing.as_deref() {
                let names: Vec<String> = serde_json::from_str(names)
                    .map_err(|_| StorageError::unexpected("metadata.missing of a task"))?;
                sync.waiting.push((row.slug.clone(), names));
            }
            sync.known.insert(row.slug.clone());
            sync.number(row.slug, row.id)?;
        }
        for file in files {
            if !sync.ids.contains_key(&file.slug) {
                sync.number(file.slug.clone(), TaskId::random())?;
            }
        }
        Ok(sync)
    }

    fn number(&mut self, slug: String, id: TaskId) -> Result<(), StorageError> {
        let number = u32::try_from(self.numbered.len())
            .map_err(|_| StorageError::unexpected("four thousand million tasks"))?;
        self.ids.insert(slug, number);
        self.numbered.push(id);
        Ok(())
    }

    fn id(&self, number: u32) -> Option<&TaskId> {
        self.numbered.get(usize::try_from(number).ok()?)
    }

    fn id_of(&self, slug: &str) -> Option<&TaskId> {
        self.id(*self.ids.get(slug)?)
    }

    /// What every dependent waits for: those of the files as they say, and those without a file whose
    /// missing prerequisites are tasks now.
    fn resolve<'a>(&mut self, files: &'a [TaskFile]) -> Vec<Wanted<'a>> {
        let mut wanted = Vec::with_capacity(files.len());
        for file in files {
            let mut names: Vec<&str> = file.depends_on.iter().map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            let mut prerequisites = Vec::with_capacity(names.len());
            for name in names {
                if self.ids.contains_key(name) {
                    prerequisites.push(Cow::Borrowed(name));
                } else {
                    self.report.missing.push(MissingDependency {
                        task: file.slug.clone(),
                        unknown: name.to_owned(),
                    });
                }
            }
            wanted.push(Wanted {
                dependent: Cow::Borrowed(&file.slug),
                prerequisites,
                from_file: true,
            });
        }
        for (dependent, names) in &self.waiting {
            let found: BTreeSet<&String> = names
                .iter()
                .filter(|slug| self.ids.contains_key(*slug) && *slug != dependent)
                .collect();
            if !found.is_empty() {
                wanted.push(Wanted {
                    dependent: Cow::Owned(dependent.clone()),
                    prerequisites: found.into_iter().cloned().map(Cow::Owned).collect(),
                    from_file: false,
                });
            }
        }
        wanted
    }

    /// Removes dependencies that no file names any more, and notes the new ones. Answers the
    /// dependents whose set changed.
    async fn rewire(
        &mut self,
        db: &impl ConnectionTrait,
        wanted: &[Wanted<'_>],
    ) -> Result<HashSet<u32>, StorageError> {
        let mut rewired = HashSet::new();
        for chunk in wanted.chunks(CHUNK) {
            let dependents: Vec<&TaskId> = chunk
                .iter()
                .filter_map(|wanted| self.id_of(&wanted.dependent))
                .collect();
            let mut present: HashMap<TaskId, HashMap<TaskId, TaskDependencyId>> = HashMap::new();
            for edge in known_edges(db, &dependents).await? {
                present
                    .entry(edge.dependent_task_id)
                    .or_default()
                    .insert(edge.depends_on_task_id, edge.id);
            }
            let mut gone = Vec::new();
            for wanted in chunk {
                let Some(dependent) = self.ids.get(wanted.dependent.as_ref()).copied() else {
                    continue;
                };
                let mut kept = self
                    .id(dependent)
                    .and_then(|id| present.remove(id))
                    .unwrap_or_default();
                let before = (self.new_edges.len(), gone.len());
                for slug in &wanted.prerequisites {
                    let Some(prerequisite) = self.ids.get(slug.as_ref()).copied() else {
                        continue;
                    };
                    let is_kept = self.id(prerequisite).and_then(|id| kept.remove(id));
                    if is_kept.is_none() {
                        self.new_edges.push((prerequisite, dependent));
                    }
                }
                if wanted.from_file {
                    gone.extend(kept.into_values());
                }
                if before != (self.new_edges.len(), gone.len()) {
                    rewired.insert(dependent);
                }
            }
            if !gone.is_empty() {
                super::delete_dependencies(db, &gone).await?;
            }
        }
        Ok(rewired)
    }

    /// Writes what differs between files and rows, some hundred at a time.
    async fn write_rows(
        &mut self,
        db: &impl ConnectionTrait,
        project: &ProjectId,
        files: Vec<TaskFile>,
        body: impl Fn(usize) -> Option<String>,
        rewired: &HashSet<u32>,
    ) -> Result<(), StorageError> {
        let mut missing: HashMap<String, Vec<String>> = HashMap::new();
        for reference in &self.report.missing {
            missing
                .entry(reference.task.clone())
                .or_default()
                .push(reference.unknown.clone());
        }
        let now = time::now();
        let mut files = files.into_iter().enumerate().map(|(place, file)| TaskFile {
            body: body(place).or(file.body),
            ..file
        });
        loop {
            let chunk: Vec<TaskFile> = files.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let slugs: Vec<String> = chunk
                .iter()
                .filter(|file| self.known.contains(&file.slug))
                .map(|file| file.slug.clone())
                .collect();
            let mut rows: HashMap<String, Model> = if slugs.is_empty() {
                HashMap::new()
            } else {
                super::tasks_by_slugs(db, project, &slugs)
                    .await?
                    .into_iter()
                    .map(|row| (row.slug.clone(), row))
                    .collect()
            };
            let mut changed = Vec::new();
            for file in chunk {
                let unknown = missing.remove(&file.slug).unwrap_or_default();
                let number = self.ids.get(&file.slug);
                let rewired = number.is_some_and(|number| rewired.contains(number));
                match rows.remove(&file.slug) {
                    None => {
                        self.report.inserted.push(file.slug.clone());
                        let id = self.id_of(&file.slug).cloned();
                        changed.push(new_row(project, id, file, unknown, now));
                    }
                    Some(row) => {
                        let wanted = changed_row(project, &row, file, unknown);
                        if rewired || differs(&row, &wanted) {
                            self.report.updated.push(row.slug);
                            changed.push(wanted);
                        } else {
                            self.report.unchanged += 1;
                        }
                    }
                }
            }
            upsert_tasks(db, changed).await?;
        }
        self.write_notes(db, project).await
    }

    async fn write_edges(&mut self, db: &impl ConnectionTrait) -> Result<(), StorageError> {
        let edges = std::mem::take(&mut self.new_edges);
        for chunk in edges.chunks(2 * CHUNK) {
            let ends = |(from, to): &(u32, u32)| {
                Some(NewDependency::new(
                    self.id(*from)?.clone(),
                    self.id(*to)?.clone(),
                ))
            };
            super::insert_dependencies(db, chunk.iter().filter_map(ends).collect()).await?;
        }
        Ok(())
    }

    /// Takes prerequisites that are tasks now out of the notes of rows without a file.
    async fn write_notes(
        &mut self,
        db: &impl ConnectionTrait,
        project: &ProjectId,
    ) -> Result<(), StorageError> {
        let mut still: HashMap<String, Vec<String>> = HashMap::new();
        for (slug, names) in std::mem::take(&mut self.waiting) {
            let (found, left): (Vec<String>, Vec<String>) = names
                .into_iter()
                .partition(|name| self.ids.contains_key(name) && *name != slug);
            self.report
                .missing
                .extend(left.iter().map(|name| MissingDependency {
                    task: slug.clone(),
                    unknown: name.clone(),
                }));
            if !found.is_empty() {
                self.report.updated.push(slug.clone());
                still.insert(slug, left);
            }
        }
        if still.is_empty() {
            return Ok(());
        }
        let slugs: Vec<String> = still.keys().cloned().collect();
        let mut notes = Vec::with_capacity(slugs.len());
        for row in super::tasks_by_slugs(db, project, &slugs).await? {
            let mut metadata = row.metadata;
            set_missing(&mut metadata, still.remove(&row.slug).unwrap_or_default());
            notes.push((row.id, metadata));
        }
        set_task_metadata(db, notes).await?;
        Ok(())
    }

    fn finish(self) -> SyncReport {
        let mut report = self.report;
        for slugs in [&mut report.pruned, &mut report.gone, &mut report.updated] {
            slugs.sort_unstable();
        }
        report.inserted.sort_unstable();
        report
            .missing
            .sort_unstable_by(|a, b| (&a.task, &a.unknown).cmp(&(&b.task, &b.unknown)));
        report
    }
}

async fn known_edges(
    db: &impl ConnectionTrait,
    dependents: &[&TaskId],
) -> Result<Vec<KnownEdge>, StorageError> {
    use crate::engine::{Engine, json_array, text_array};
    let (condition, values) = match Engine::of(db) {
        Engine::Sqlite => (
            "dependent_task_id in (select value from json_each($1))",
            [json_array(dependents).into()],
        ),
        Engine::Postgres => ("dependent_task_id = any($1)", [text_array(dependents)]),
    };
    let text = format!(
        "select id, depends_on_task_id, dependent_task_id from task_dependencies where {condition}"
    );
    sql::all(db, &text, values).await
}
