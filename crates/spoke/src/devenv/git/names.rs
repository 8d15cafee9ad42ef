//! What callers name: revisions, branches, paths. None of it can become an option.

use super::run::Git;
use crate::devenv::errors::{BAD_NAME, DevError};

/// A revision as git takes it from an argument.
pub(super) fn revision(field: &'static str, text: &str) -> Result<(), DevError> {
    let refused = text.is_empty()
        || text.starts_with('-')
        || text.len() > 500
        || text.contains(|character: char| character.is_control());
    if refused {
        let message = "a revision does not begin with `-` and holds no control characters";
        return Err(DevError::invalid(field, "revision", message));
    }
    Ok(())
}

/// The name of a branch, as git itself judges it.
///
/// # Errors
/// `BAD_NAME`.
pub(super) async fn branch(git: &Git, name: &str) -> Result<(), DevError> {
    let bad = || {
        let message = format!("git takes no branch of the name {name:?}");
        DevError::other(BAD_NAME, message)
    };
    // `@{-1}` and the like would name another branch than they say.
    if name.starts_with('-') || name.contains(['\0', '{']) || name == "HEAD" {
        return Err(bad());
    }
    let reference = format!("refs/heads/{name}");
    let said = git.run(&["check-ref-format", &reference]).await?;
    if said.code == 0 { Ok(()) } else { Err(bad()) }
}

/// The pathspecs for these paths: each checked like every other path, and meant literally. Without
/// any, everything but what is closed.
pub(super) fn pathspecs(git: &Git, paths: &[String]) -> Result<Vec<String>, DevError> {
    let bounds = git.work().environment.bounds();
    let mut specs = vec!["--".to_owned()];
    for path in paths {
        let located = bounds.locate_entry(git.directory(), path)?;
        located.require_outside_git(path)?;
        specs.push(format!(":(literal){}", located.absolute().display()));
    }
    // Without one that takes something in, git reads patterns that leave out as "all but".
    let closed = bounds.patterns().iter();
    specs.extend(closed.map(|pattern| format!(":(top,exclude,glob){pattern}")));
    Ok(specs)
}

/// The members of a list that git ends each with NUL.
pub(super) fn nul_separated(output: &[u8]) -> impl Iterator<Item = String> + '_ {
    output
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
}

/// Borrowed, as arguments are given.
pub(super) fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
