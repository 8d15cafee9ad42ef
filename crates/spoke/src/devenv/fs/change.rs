//! `fs.remove`, `fs.move`, `fs.mkdir`

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::devenv::environment::Environment;
use crate::devenv::errors::{CROSS_DEVICE, Declare, DevError, EXISTS, NOT_EMPTY, PATHS, at};
use crate::devenv::paths::Located;
use crate::devenv::work::{Work, blocking};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RemoveInput {
    /// The file, directory or symlink; what a symlink leads to stays.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
    /// A directory with all that is in it.
    #[serde(default)]
    recursive: bool,
}

#[derive(Serialize, JsonSchema)]
struct RemoveOutput {
    /// True: it is gone.
    removed: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MoveInput {
    /// The file, directory or symlink.
    #[schemars(length(min = 1, max = 4096))]
    from: String,
    /// Its new path, where nothing may be; its directory must exist.
    #[schemars(length(min = 1, max = 4096))]
    to: String,
}

#[derive(Serialize, JsonSchema)]
struct MoveOutput {
    /// True: it is at its new path.
    moved: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MakeInput {
    /// The directory; those that lead to it are made too.
    #[schemars(length(min = 1, max = 4096))]
    path: String,
}

#[derive(Serialize, JsonSchema)]
struct MakeOutput {
    /// False when it was there already.
    created: bool,
}

pub(super) fn remove(environment: &Environment) -> Operation {
    let builder = operation::<RemoveInput, RemoveOutput>("fs.remove", OperationType::Mutation)
        .title("Remove a file or directory")
        .description("Removes a file, a symlink, or a directory.")
        .tags(&["files"])
        .fails_with(&[PATHS, &[NOT_EMPTY]]);
    blocking(builder, environment, |work, input| {
        let located = changeable(work, &input.path)?;
        let path = located.absolute();
        let (parent, name) = located.open_parent(false)?;
        let found = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(at(&path))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            unlinkat(&parent, &name, AtFlags::empty()).map_err(at(&path))?;
            return Ok(RemoveOutput { removed: true });
        }
        if input.recursive {
            require_nothing_closed(work, &path)?;
            empty(work, &parent, &name, &path)?;
        }
        match unlinkat(&parent, &name, AtFlags::REMOVEDIR) {
            // Some systems say it in this other way.
            Err(Errno::EXIST) => Err(at(&path)(Errno::NOTEMPTY).into()),
            other => {
                other.map_err(at(&path))?;
                Ok(RemoveOutput { removed: true })
            }
        }
    })
}

pub(super) fn rename(environment: &Environment) -> Operation {
    let builder = operation::<MoveInput, MoveOutput>("fs.move", OperationType::Mutation)
        .title("Move a file or directory")
        .description("Gives a file, directory or symlink another path. It replaces nothing.")
        .tags(&["files"])
        .fails_with(&[PATHS, &[EXISTS, CROSS_DEVICE]]);
    blocking(builder, environment, |work, input| {
        let from = changeable(work, &input.from)?;
        let to = changeable(work, &input.to)?;
        let (from_path, to_path) = (from.absolute(), to.absolute());
        if to_path.starts_with(&from_path) && to_path != from_path {
            let message = "a directory cannot move into itself";
            return Err(DevError::invalid("/to", "inside", message).into());
        }
        let found = std::fs::symlink_metadata(&from_path).map_err(at(&from_path))?;
        if found.is_dir() {
            require_nothing_closed(work, &from_path)?;
        }
        let (from_parent, from_name) = from.open_parent(false)?;
        let (to_parent, to_name) = to.open_parent(false)?;
        move_without_replacing((&from_parent, &from_name), (&to_parent, &to_name))
            .map_err(at(&to_path))?;
        Ok(MoveOutput { moved: true })
    })
}

pub(super) fn make_directory(environment: &Environment) -> Operation {
    let builder = operation::<MakeInput, MakeOutput>("fs.mkdir", OperationType::Mutation)
        .title("Make a directory")
        .description("Makes a directory and those that lead to it.")
        .tags(&["files"])
        .idempotent(true)
        .fails_with(&[PATHS, &[EXISTS]]);
    blocking(builder, environment, |work, input| {
        let located = work.locate(&input.path)?;
        located.require_outside_git(&input.path)?;
        let created = located.make_directory()?;
        Ok(MakeOutput { created })
    })
}

/// An entry that may be removed, moved or come into being.
fn changeable(work: &Work, path: &str) -> Result<Located, DevError> {
    let located = work.locate_entry(path)?;
    located.require_outside_git(path)?;
    let path = || path.to_owned();
    // A root may lie in another one.
    let absolute = located.absolute();
    let holds_root = work
        .environment
        .roots()
        .any(|root| root.starts_with(&absolute));
    if located.is_root() || holds_root {
        return Err(DevError::IsRoot { path: path() });
    }
    Ok(located)
}

/// Refuses a directory that holds something closed: elsewhere its pattern might not match any more.
fn require_nothing_closed(work: &Work, directory: &Path) -> Result<(), CallError> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        work.still_wanted()?;
        for entry in std::fs::read_dir(&directory).map_err(at(&directory))? {
            let entry = entry.map_err(at(&directory))?;
            let path = entry.path();
            if work.environment.bounds().denies(&path) {
                let path = work.shown(&path);
                return Err(DevError::Denied { path }.into());
            }
            if entry.file_type().map_err(at(&path))?.is_dir() {
                waiting.push(path);
            }
        }
    }
    Ok(())
}

/// Removes all that is in a directory, by handles, so that a directory exchanged for a link on the
/// way leads nowhere.
fn empty(work: &Work, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), CallError> {
    work.still_wanted()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty()).map_err(at(path))?;
    let mut entries = Vec::new();
    for entry in Dir::read_from(directory.as_fd()).map_err(at(path))? {
        let entry = entry.map_err(at(path))?;
        let name = entry.file_name();
        if !is_dots(name) {
            entries.push(OsStr::from_bytes(name.to_bytes()).to_owned());
        }
    }
    for name in entries {
        let path = path.join(&name);
        let found = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(at(&path))?;
        let flags = if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            empty(work, &directory, &name, &path)?;
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        unlinkat(&directory, &name, flags).map_err(at(&path))?;
    }
    Ok(())
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn move_without_replacing(
    (from_parent, from): (&OwnedFd, &OsStr),
    (to_parent, to): (&OwnedFd, &OsStr),
) -> Result<(), Errno> {
    match renameat_with(from_parent, from, to_parent, to, RenameFlags::NOREPLACE) {
        // A file system without the flag: look first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match statat(to_parent, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => renameat(from_parent, from, to_parent, to),
                Err(error) => Err(error),
            }
        }
        other => other,
    }
}
