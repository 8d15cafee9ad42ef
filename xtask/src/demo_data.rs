//! `cargo xtask demo-data`: realistic task files for benches and tests.
//!
//! The same seed and count give the same files, byte for byte. A task depends only on earlier ones,
//! so the graph has no cycle, and a task is completed only when all it depends on are.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use chrono::{DateTime, Days, SecondsFormat, Utc};
use clap::Args;
use fastrand::Rng;

/// Writes a directory of realistic task files, the same ones for the same seed.
///
/// Each file has the front matter that `alkhub task import` reads; a task depends only on earlier
/// ones.
#[derive(Debug, Args)]
pub(crate) struct DemoDataArguments {
    /// The directory to write; it must be new or empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// How many files
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: usize,
    /// Which of the possible worlds
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoDataError {
    /// There are files that would be mixed with ours.
    #[error("{0} is not empty: name a new or empty directory")]
    NotEmpty(PathBuf),
    /// The system refused.
    #[error("cannot write {path}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// One task file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskFile {
    /// The task's id, unique among the files.
    pub(crate) id: String,
    /// The file's path below the directory, with `/` and `.md`.
    pub(crate) path: String,
    /// Front matter and body.
    pub(crate) text: String,
}

/// Writes the files and says how many.
pub(crate) fn run(arguments: &DemoDataArguments) -> Result<ExitCode, DemoDataError> {
    let files = generate(arguments.count, arguments.seed);
    write(&arguments.directory, &files)?;
    println!(
        "{} task files in {}",
        files.len(),
        arguments.directory.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes the files below the directory, which must be new or empty.
pub(crate) fn write(directory: &Path, files: &[TaskFile]) -> Result<(), DemoDataError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| DemoDataError::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    if fs::read_dir(directory)
        .map_err(failed(directory))?
        .next()
        .is_some()
    {
        return Err(DemoDataError::NotEmpty(directory.to_path_buf()));
    }
    for file in files {
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::write(&path, &file.text).map_err(failed(&path))?;
    }
    Ok(())
}

/// Makes that many tasks, in an order in which every task follows those it depends on.
pub(crate) fn generate(count: usize, seed: u64) -> Vec<TaskFile> {
    let mut random = Rng::with_seed(seed);
    let mut tasks: Vec<Task> = Vec::with_capacity(count);
    for number in 0..count {
        let task = Task::invent(number, count, &tasks, &mut random);
        tasks.push(task);
    }
    tasks.iter().map(|task| task.file(&tasks)).collect()
}

const AREAS: [&str; 8] = [
    "api",
    "billing",
    "dashboard",
    "importer",
    "notifications",
    "search",
    "storage",
    "sync",
];
const TOPICS: [&str; 6] = [
    "errors",
    "limits",
    "migration",
    "pagination",
    "permissions",
    "retries",
];
const VERBS: [&str; 10] = [
    "Add", "Check", "Document", "Measure", "Move", "Remove", "Rename", "Review", "Split", "Test",
];
const PEOPLE: [&str; 5] = ["ada", "grace", "linus", "margaret", "radia"];
const SCOPES: [&str; 5] = ["single", "narrow", "moderate", "broad", "system"];
const RISKS: [&str; 5] = ["trivial", "low", "medium", "high", "critical"];
const IMPACTS: [&str; 4] = ["isolated", "component", "phase", "project"];
const LEVELS: [&str; 5] = [
    "planning",
    "decomposition",
    "implementation",
    "review",
    "research",
];
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const TAGS: [&str; 6] = [
    "backend",
    "cleanup",
    "customer",
    "docs",
    "performance",
    "security",
];

/// The day the first task was created.
const FIRST_DAY: DateTime<Utc> = DateTime::from_timestamp(1_767_603_600, 0).expect("a valid time");

#[derive(Debug)]
struct Task {
    number: usize,
    area: &'static str,
    topic: &'static str,
    verb: &'static str,
    status: &'static str,
    /// Numbers of earlier tasks, ascending.
    depends_on: Vec<usize>,
    /// Front matter that a task may lack.
    assessed: Vec<(&'static str, String)>,
    paragraphs: usize,
}

impl Task {
    fn invent(number: usize, count: usize, earlier: &[Self], random: &mut Rng) -> Self {
        let mut depends_on = Vec::new();
        if number > 0 {
            // Mostly on recent tasks, now and then on one far back, as in a grown project.
            for _ in 0..random.usize(0..=3) {
                let reach = if random.u8(0..10) == 0 {
                    number
                } else {
                    number.min(40)
                };
                depends_on.push(number - 1 - random.usize(0..reach));
            }
        }
        depends_on.sort_unstable();
        depends_on.dedup();
        let done = depends_on
            .iter()
            .all(|&other| earlier[other].status == "completed");
        let status = match (number * 10 / count.max(1), done) {
            (0..=3, true) => "completed",
            (4, true) => "in-progress",
            (..=5, _) if random.u8(0..12) == 0 => "blocked",
            (4..=5, _) if random.u8(0..20) == 0 => "failed",
            _ => "pending",
        };
        Self {
            number,
            area: pick(random, &AREAS),
            topic: pick(random, &TOPICS),
            verb: pick(random, &VERBS),
            status,
            depends_on,
            assessed: assess(number, random),
            paragraphs: random.usize(1..=4),
        }
    }

    fn id(&self) -> String {
        format!("{}-{}-{:05}", self.area, self.topic, self.number)
    }

    fn file(&self, all: &[Self]) -> TaskFile {
        TaskFile {
            id: self.id(),
            path: format!("{}/{}/{}.md", self.area, self.topic, self.id()),
            text: self.text(all),
        }
    }

    /// Front matter in the order in which an export writes it, then the body.
    fn text(&self, all: &[Self]) -> String {
        let name = format!("{} {} of the {}", self.verb, self.topic, self.area);
        let mut text = format!(
            "---\nid: {}\nname: {name}\nstatus: {}\n",
            self.id(),
            self.status
        );
        text.push_str(&list(
            "depends_on",
            self.depends_on.iter().map(|&other| all[other].id()),
        ));
        for (key, value) in &self.assessed {
            if *key == "tags" {
                text.push_str(&list(key, value.split(',').map(str::to_owned)));
            } else {
                push(&mut text, format_args!("{key}: {value}\n"));
            }
        }
        push(&mut text, format_args!("---\n\n# {name}\n"));
        for paragraph in 0..self.paragraphs {
            push(
                &mut text,
                format_args!(
                    "\nStep {} looks at the {} in `{}/{}.rs`: callers see the old behaviour until the new\n\
                     one is switched on, and the numbers before and after go into the report.\n",
                    paragraph + 1,
                    self.topic,
                    self.area,
                    self.topic
                ),
            );
        }
        text.push_str("\n## Acceptance\n\n- [ ] a test fails without the change\n- [ ] the page on it is true again\n");
        text
    }
}

fn assess(number: usize, random: &mut Rng) -> Vec<(&'static str, String)> {
    let day = |days: u64| {
        FIRST_DAY
            .checked_add_days(Days::new(days))
            .unwrap_or(FIRST_DAY)
    };
    let created = day(number as u64 / 20);
    let mut assessed = Vec::new();
    let closed: [(&'static str, &[&'static str]); 5] = [
        ("scope", &SCOPES),
        ("risk", &RISKS),
        ("impact", &IMPACTS),
        ("level", &LEVELS),
        ("priority", &PRIORITIES),
    ];
    for (key, values) in closed {
        // One task in five was never assessed in that respect.
        if random.u8(0..5) > 0 {
            assessed.push((key, pick(random, values).to_owned()));
        }
    }
    let first = random.usize(0..TAGS.len());
    let tags = &TAGS[first..(first + random.usize(0..=2)).min(TAGS.len())];
    if !tags.is_empty() {
        assessed.push(("tags", tags.join(",")));
    }
    if random.bool() {
        assessed.push(("assignee", pick(random, &PEOPLE).to_owned()));
    }
    if random.u8(0..3) == 0 {
        let due = day(number as u64 / 20 + random.u64(7..90));
        assessed.push(("due", due.format("%Y-%m-%d").to_string()));
    }
    assessed.push((
        "created",
        created.to_rfc3339_opts(SecondsFormat::Secs, true),
    ));
    assessed
}

fn list(key: &str, items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        push(&mut text, format_args!("  - {item}\n"));
    }
    if text.is_empty() {
        format!("{key}: []\n")
    } else {
        format!("{key}:\n{text}")
    }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .unwrap_or_else(|_| unreachable!("a String takes all that is written to it"));
}

fn pick<T: Copy>(random: &mut Rng, values: &[T]) -> T {
    values[random.usize(0..values.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use alkhub_taskgraph::frontmatter;

    use super::*;

    #[test]
    fn same_seed_gives_same_files_and_another_seed_others() {
        assert_eq!(generate(200, 7), generate(200, 7));
        assert_ne!(generate(200, 7), generate(200, 8));
    }

    #[test]
    fn tasks_are_what_the_parser_reads_and_depend_only_on_earlier_ones() {
        let mut earlier = HashSet::new();
        let (mut edges, mut assessed) = (0, 0);
        for file in generate(2_000, 3) {
            let task = frontmatter::parse(&file.text).unwrap();
            assert_eq!(task.id, file.id);
            for other in &task.depends_on {
                assert!(earlier.contains(other), "{} depends on {other}", file.id);
                edges += 1;
            }
            assessed += usize::from(file.text.contains("\nrisk: "));
            assert!(earlier.insert(task.id), "{} comes twice", file.id);
        }
        assert!(edges > 2_000, "only {edges} dependencies");
        assert!(assessed > 1_000, "only {assessed} tasks have a risk");
    }

    #[test]
    fn files_are_written_below_sub_directories_of_an_empty_directory_only() {
        let directory = tempfile::tempdir().unwrap();
        let files = generate(50, 1);
        write(directory.path(), &files).unwrap();
        for file in &files {
            assert_eq!(file.path.matches('/').count(), 2);
            assert_eq!(
                fs::read_to_string(directory.path().join(&file.path)).unwrap(),
                file.text
            );
        }
        assert!(matches!(
            write(directory.path(), &files),
            Err(DemoDataError::NotEmpty(_))
        ));
    }
}
