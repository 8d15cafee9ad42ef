//! Writes files: each one whole, never outside the directory; those of an export all or none.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::manifest::{self, Manifest};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Steps;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Overwrite files that somebody changed.
    pub(super) force: bool,
    /// Look, but write nothing.
    pub(super) dry_run: bool,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) written: usize,
    pub(super) unchanged: usize,
}

/// Writes the files below the directory; refuses before the first one when one of them must not
/// be written.
pub(super) fn write(
    directory: &Path,
    files: &[(String, String)],
    options: Options,
    output: &Output,
) -> Result<Written, Failure> {
    let mut manifest = Manifest::read(directory)?;
    let mut due = Vec::new();
    let mut refused = Vec::new();
    let mut unchanged = 0;
    for (path, text) in files {
        match look(directory, path, text, &manifest) {
            Ok(State::Same) => {
                unchanged += 1;
                manifest.remember(path, text);
            }
            Ok(State::Absent | State::Ours) => due.push((path, text)),
            Ok(State::Foreign) if options.force => due.push((path, text)),
            Ok(State::Foreign) => refused.push((
                path.clone(),
                "was changed by hand, or is no file of an export; --force overwrites it".to_owned(),
            )),
            Err(reason) => refused.push((path.clone(), reason)),
        }
    }
    if !refused.is_empty() {
        return Err(Failure::Files {
            summary: "nothing was written".to_owned(),
            files: refused,
        });
    }
    let written = due.len();
    if !options.dry_run {
        let mut steps = Steps::new(output, "writing", due.len());
        for (path, text) in due {
            replace(&directory.join(path), text)?;
            manifest.remember(path, text);
            steps.step();
        }
        if written + unchanged > 0 {
            replace(&directory.join(manifest::NAME), &manifest.text()?)?;
        }
    }
    Ok(Written { written, unchanged })
}

enum State {
    Absent,
    Same,
    Ours,
    Foreign,
}

/// Whose the file is that stands where one should go, or why nothing may be written there.
fn look(directory: &Path, path: &str, text: &str, manifest: &Manifest) -> Result<State, String> {
    Ok(match standing(directory, path)? {
        None => State::Absent,
        Some(on_disk) if on_disk == text.as_bytes() => State::Same,
        Some(on_disk) if manifest.wrote(path, &on_disk) => State::Ours,
        Some(_) => State::Foreign,
    })
}

/// What stands at a path below the directory, or why nothing may be written there.
pub(super) fn standing(directory: &Path, path: &str) -> Result<Option<Vec<u8>>, String> {
    let relative = inside(path)?;
    let mut place = directory.to_path_buf();
    for part in relative.components() {
        place.push(part);
        match std::fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => {
                return Err("leads through a symbolic link".to_owned());
            }
            Ok(_) => {}
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(problem) => return Err(problem.to_string()),
        }
    }
    let on_disk = std::fs::read(&place).map_err(|problem| problem.to_string())?;
    Ok(Some(on_disk))
}

/// The path, when it stays below the directory it is joined to.
fn inside(path: &str) -> Result<PathBuf, String> {
    let relative = PathBuf::from(path);
    let stays = !path.is_empty()
        && !path.contains(['\\', '\0'])
        && relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    if stays {
        Ok(relative)
    } else {
        Err("leaves the directory".to_owned())
    }
}

/// Removes a file, in whose place another was written.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    std::fs::remove_file(path)
        .map_err(|problem| Failure::Local(format!("cannot remove {}: {problem}", path.display())))
}

/// Writes beside the file and renames, so that a reader never sees half of it.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |problem: io::Error| Failure::Local(format!("cannot write {}: {problem}", path.display()));
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(failed)?;
    let mut file = new_file_in(parent).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path)
        .map_err(|problem| failed(problem.error))?;
    Ok(())
}

#[cfg(unix)]
fn new_file_in(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;

    // The umask takes away what the user does not want to give.
    tempfile::Builder::new()
        .prefix(".alkhub-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)
}

#[cfg(not(unix))]
fn new_file_in(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".alkhub-")
        .tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Output = Output {
        json: false,
        quiet: true,
    };
    const PLAIN: Options = Options {
        force: false,
        dry_run: false,
    };

    fn files(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_second_export_updates_its_own_files_and_leaves_equal_ones() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("new");
        let first = files(&[("a.md", "1"), ("deep/b.md", "1")]);
        let written = write(&root, &first, PLAIN, &QUIET).unwrap();
        assert_eq!(
            written,
            Written {
                written: 2,
                unchanged: 0
            }
        );
        let second = files(&[("a.md", "2"), ("deep/b.md", "1")]);
        let written = write(&root, &second, PLAIN, &QUIET).unwrap();
        assert_eq!(
            written,
            Written {
                written: 1,
                unchanged: 1
            }
        );
        assert_eq!(std::fs::read_to_string(root.join("a.md")).unwrap(), "2");
    }

    #[test]
    fn a_file_changed_by_hand_is_kept_and_nothing_else_is_written() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.md"), "by hand").unwrap();
        let list = files(&[("a.md", "1"), ("b.md", "1")]);
        let refused = write(directory.path(), &list, PLAIN, &QUIET).unwrap_err();
        assert!(matches!(refused, Failure::Files { files, .. } if files.len() == 1));
        assert!(!directory.path().join("b.md").exists());
        let force = Options {
            force: true,
            ..PLAIN
        };
        write(directory.path(), &list, force, &QUIET).unwrap();
        assert_eq!(
            std::fs::read_to_string(directory.path().join("a.md")).unwrap(),
            "1"
        );
    }

    #[test]
    fn no_path_leaves_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        for path in [
            "../a.md",
            "/etc/a.md",
            "x/../../a.md",
            "a\\b.md",
            "",
            "x/./y/..",
        ] {
            let refused = write(directory.path(), &files(&[(path, "1")]), PLAIN, &QUIET);
            assert!(refused.is_err(), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_symbolic_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("link")).unwrap();
        let force = Options {
            force: true,
            ..PLAIN
        };
        let list = files(&[("link/a.md", "1")]);
        assert!(write(directory.path(), &list, force, &QUIET).is_err());
        assert!(!outside.path().join("a.md").exists());
    }

    #[test]
    fn a_dry_run_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let dry = Options {
            dry_run: true,
            ..PLAIN
        };
        let written = write(directory.path(), &files(&[("a.md", "1")]), dry, &QUIET).unwrap();
        assert_eq!(written.written, 1);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
