//! Where the task files are.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;

/// Name of the file that says where the tasks are.
const FILE: &str = ".taskgraph.toml";

/// The directory of the tasks: the given one, else the one the nearest configuration file names,
/// else `tasks` here. A path in a configuration file is relative to that file.
pub(super) fn directory(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return Ok(path.to_path_buf());
    }
    let here = std::env::current_dir()
        .map_err(|problem| Failure::Local(format!("cannot tell where I am: {problem}")))?;
    for directory in here.ancestors() {
        let file = directory.join(FILE);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let tasks = parse(&text)
                    .map_err(|problem| Failure::Local(format!("{}: {problem}", file.display())))?;
                let found = directory.join(tasks);
                // Shown as the user would write it.
                return Ok(found
                    .strip_prefix(&here)
                    .map_or(found.clone(), Path::to_path_buf));
            }
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {}
            Err(problem) => {
                return Err(Failure::Local(format!("{}: {problem}", file.display())));
            }
        }
    }
    Ok(PathBuf::from("tasks"))
}

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    project: Project,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Project {
    tasks_dir: PathBuf,
}

impl Default for Project {
    fn default() -> Self {
        Self {
            tasks_dir: PathBuf::from("tasks"),
        }
    }
}

fn parse(text: &str) -> Result<PathBuf, toml::de::Error> {
    Ok(toml::from_str::<File>(text)?.project.tasks_dir)
}
