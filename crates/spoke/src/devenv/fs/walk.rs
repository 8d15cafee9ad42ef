//! Walking a directory tree as git sees it, without closed and temporary entries.

use std::ffi::OsStr;
use std::path::Path;

use ignore::{Walk, WalkBuilder};

use super::store::TEMPORARY;
use crate::devenv::work::Work;

/// What a walk takes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Levels below the start; `None` for all.
    pub(super) depth: Option<usize>,
    /// Names that begin with a dot.
    pub(super) hidden: bool,
    /// Leave out what `.gitignore` leaves out, and repositories' own directories.
    pub(super) gitignore: bool,
}

/// Walks below `start` in the order of names. Links are told and not followed.
pub(super) fn walk(work: &Work, start: &Path, sight: Sight) -> Walk {
    let environment = work.environment.clone();
    WalkBuilder::new(start)
        .max_depth(sight.depth)
        .hidden(!sight.hidden)
        .parents(sight.gitignore)
        .ignore(sight.gitignore)
        .git_ignore(sight.gitignore)
        .git_exclude(sight.gitignore)
        .git_global(sight.gitignore)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(move |entry| {
            let name = entry.file_name();
            let left_out = (sight.gitignore && name == ".git") || is_temporary(name);
            !left_out && !environment.bounds().denies(entry.path())
        })
        .build()
}

/// True for the name of a file that is being written.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with(TEMPORARY) && name.ends_with(".tmp"))
}
