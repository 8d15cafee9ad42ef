//! Task files of a directory tree, in a repeatable order.
//!
//! Regular files whose extension is `.md` in any letter case count; symbolic links are skipped,
//! hidden directories are not. Entries of one directory come in byte order of their names, files
//! and directories mixed, depth first. Files are read in parallel on all cores.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::frontmatter::{self, Options};
use crate::{InvalidInput, TaskInput};

/// One file or directory below the root that was looked at.
#[derive(Debug)]
pub struct SourceFile {
    /// Path relative to the root with `/` between its parts; what is no UTF-8 in it is replaced.
    pub path: String,
    /// The text, bytes that are no UTF-8 replaced by U+FFFD, or why it could not be read. A file
    /// over the limit gives [`io::ErrorKind::FileTooLarge`] and is not read whole; a
    /// subdirectory that cannot be listed appears here with its error.
    pub text: io::Result<String>,
}

/// One task file that was read.
#[derive(Debug)]
pub struct TaskFile {
    /// Path relative to the root, as in [`SourceFile::path`].
    pub path: String,
    /// The task, or why there is none.
    pub task: Result<TaskInput, FileError>,
}

/// Why a file gave no task.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// Its front matter is missing or faulty.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
}

/// Reads the text of every task file below `root`.
///
/// # Errors
///
/// When `root` itself cannot be listed. What goes wrong below it stands in the results.
///
/// ```no_run
/// for file in alkhub_taskgraph::directory::read_texts("tasks".as_ref(), 1 << 20)? {
///     match file.text {
///         Ok(text) => println!("{}: {} bytes", file.path, text.len()),
///         Err(error) => println!("{}: {error}", file.path),
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_texts(root: &Path, max_bytes: usize) -> io::Result<Vec<SourceFile>> {
    let found = walk(root)?;
    let read = |found: Found| SourceFile {
        text: match found.file {
            Ok(file) => read_text(&file, max_bytes),
            Err(error) => Err(error),
        },
        path: found.path,
    };
    Ok(found.into_par_iter().map(read).collect())
}

/// Reads every task file below `root`, faulty ones with their errors.
///
/// # Errors
///
/// When `root` itself cannot be listed.
pub fn read_tasks(root: &Path, options: &Options) -> io::Result<Vec<TaskFile>> {
    read_tasks_telling(root, options, &|_| {})
}

/// Like [`read_tasks`]; calls `tell` after each file with the number of all files, from whichever
/// thread read it.
///
/// # Errors
///
/// As [`read_tasks`].
pub fn read_tasks_telling(
    root: &Path,
    options: &Options,
    tell: &(dyn Fn(usize) + Sync),
) -> io::Result<Vec<TaskFile>> {
    let found = walk(root)?;
    let total = found.len();
    let read = |found: Found| {
        let task = match found.file {
            Ok(file) => read_task(&file, options),
            Err(error) => Err(FileError::Read(error)),
        };
        tell(total);
        TaskFile {
            path: found.path,
            task,
        }
    };
    Ok(found.into_par_iter().map(read).collect())
}

/// Reads every task below `root`, files without or with faulty front matter left out without a
/// word. Ids are not checked for being unique.
///
/// # Errors
///
/// The first file or directory, in order, that cannot be read.
pub fn parse_directory(root: &Path) -> io::Result<Vec<TaskInput>> {
    let mut tasks = Vec::new();
    for file in read_tasks(root, &Options::default())? {
        match file.task {
            Ok(task) => tasks.push(task),
            Err(FileError::Invalid(_)) => {}
            Err(FileError::Read(error)) => return Err(error),
        }
    }
    Ok(tasks)
}

/// Reads one task file.
///
/// # Errors
///
/// The file cannot be read, or its front matter is missing or faulty.
pub fn parse_file(path: &Path, options: &Options) -> Result<TaskInput, FileError> {
    read_task(path, options)
}

fn read_task(path: &Path, options: &Options) -> Result<TaskInput, FileError> {
    let bytes = read_bytes(path, options.max_text_bytes).map_err(FileError::Read)?;
    Ok(frontmatter::parse_bytes(&bytes, options)?)
}

fn read_text(path: &Path, max_bytes: usize) -> io::Result<String> {
    let bytes = read_bytes(path, max_bytes)?;
    if bytes.len() > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than the {max_bytes} bytes allowed"),
        ));
    }
    // Most files are UTF-8: no second copy for them.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Reads a file, but not much more than `max_bytes` of it: enough to see that it is too large.
fn read_bytes(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let expected = file.metadata()?.len().min(max_bytes as u64);
    // One byte more, so that the end of the file is seen without asking for more room.
    let mut bytes = Vec::with_capacity(expected as usize + 1);
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A task file, or a directory that could not be listed.
struct Found {
    path: String,
    file: io::Result<PathBuf>,
}

/// An entry of a directory, before it is looked into.
struct Entry {
    path: String,
    file: PathBuf,
    is_directory: bool,
}

/// The task files below `root` in order, found without recursion.
fn walk(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut waiting = list(root, "")?;
    while let Some(entry) = waiting.pop() {
        if !entry.is_directory {
            found.push(Found {
                path: entry.path,
                file: Ok(entry.file),
            });
            continue;
        }
        match list(&entry.file, &entry.path) {
            Ok(entries) => waiting.extend(entries),
            Err(error) => found.push(Found {
                path: entry.path,
                file: Err(error),
            }),
        }
    }
    Ok(found)
}

/// Directories and task files in one directory, the first to look at last.
fn list(directory: &Path, path: &str) -> io::Result<Vec<Entry>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Tells of the entry itself: a symbolic link is neither file nor directory.
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_dir() || (kind.is_file() && is_task_file(&name)) {
            names.push((name, kind.is_dir()));
        }
    }
    names.sort_by(|(a, _), (b, _)| b.as_encoded_bytes().cmp(a.as_encoded_bytes()));
    let entry = |(name, is_directory): (std::ffi::OsString, bool)| {
        let shown = name.to_string_lossy();
        let path = if path.is_empty() {
            shown.into_owned()
        } else {
            format!("{path}/{shown}")
        };
        Entry {
            path,
            file: directory.join(&name),
            is_directory,
        }
    };
    Ok(names.into_iter().map(entry).collect())
}

/// Whether a name has the extension `.md`; a file named just `.md` has none.
fn is_task_file(name: &OsStr) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}
