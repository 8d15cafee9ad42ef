//! `spoke.toml`: what `alkhub spoke run` can be told in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alkhub_hub::config::Fault;
use serde::Deserialize;

use crate::failure::Failure;

/// The file. Relative paths in it begin at its directory.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SpokeFile {
    pub(super) url: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) name: Option<String>,
    /// Name or id of the project at the hub.
    pub(super) project_id: Option<String>,
    /// Directories of projects; relative paths of calls begin at the first.
    #[serde(default)]
    pub(super) projects: Vec<PathBuf>,
    /// Further directories that calls may reach.
    #[serde(default)]
    pub(super) roots: Vec<PathBuf>,
    pub(super) shell: Option<PathBuf>,
    pub(super) deny: Option<Vec<String>>,
    pub(super) max_processes: Option<usize>,
    #[serde(default)]
    pub(super) env: EnvironmentTable,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) limits: LimitsTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EnvironmentTable {
    /// Variables that commands get.
    pub(super) pass: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) max_in_flight: Option<u16>,
}

impl SpokeFile {
    /// Reads the file; an unknown key or a bad value names its line.
    pub(super) fn read(path: &Path) -> Result<SpokeFile, Failure> {
        let text = std::fs::read_to_string(path).map_err(|problem| {
            Failure::Usage(format!("cannot read {}: {problem}", path.display()))
        })?;
        let mut file: SpokeFile = toml::from_str(&text).map_err(|problem| {
            let place = problem.span().map(|span| place(&text, span.start));
            Failure::Settings(vec![Fault {
                file: Some(path.to_owned()),
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
                key: None,
                message: problem.message().to_owned(),
            }])
        })?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let named = file
            .projects
            .iter_mut()
            .chain(&mut file.roots)
            .chain(&mut file.key_file)
            .chain(&mut file.shell);
        for path in named {
            *path = directory.join(&*path);
        }
        Ok(file)
    }
}

/// Line and column of that byte, both from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_begin = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_begin..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SpokeFile, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spoke.toml");
        std::fs::write(&path, text).unwrap();
        SpokeFile::read(&path)
    }

    #[test]
    fn every_key_of_the_file_is_understood() {
        let file = read(
            "url = 'http://hub:1'\nkeyFile = 'k'\nname = 'n'\nprojectId = 'demo'\n\
             projects = ['.']\nroots = ['/srv']\nshell = '/bin/sh'\ndeny = ['**/.env']\n\
             maxProcesses = 4\nenv.pass = ['PATH']\nlabels = { gpu = 'a100' }\n\
             limits.maxInFlight = 8\n",
        )
        .unwrap();
        assert_eq!(file.limits.max_in_flight, Some(8));
        assert!(file.key_file.unwrap().is_absolute());
        assert_eq!(file.roots, [PathBuf::from("/srv")]);
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let Err(Failure::Settings(faults)) = read("name = 'n'\n\nagents = 1\n") else {
            panic!("taken");
        };
        assert_eq!(faults[0].line, Some(3));
        assert!(faults[0].message.contains("agents"), "{}", faults[0]);
    }
}
