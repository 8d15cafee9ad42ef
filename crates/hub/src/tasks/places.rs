//! Where the file of a task is: what an import accepts as a path, and what an export writes to.

use std::collections::HashSet;

use alkhub_storage::tasks::TaskOutline;

/// Longest path of a file, in characters.
pub(super) const MAX_PATH: usize = 4_096;

/// Longest name of a file or directory, in bytes: what common file systems take.
const MAX_SEGMENT: usize = 255;

/// The place of the task in a file at `path`: the path without its extension.
///
/// # Errors
/// What is wrong with the path.
pub(super) fn of_file(path: &str) -> Result<String, &'static str> {
    check(path)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name
        .len()
        .checked_sub(3)
        .filter(|at| *at > 0 && name.is_char_boundary(*at));
    let stem = match extension {
        Some(at) if name[at..].eq_ignore_ascii_case(".md") => &path[..path.len() - 3],
        _ => path,
    };
    Ok(stem.to_owned())
}

/// Checks a path relative to the root of a task directory.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the path must not be empty");
    }
    if path.contains('\0') {
        return Err("the path must not contain NUL");
    }
    if path.chars().any(char::is_control) {
        return Err("the path must not contain control characters");
    }
    if path.contains('\\') {
        return Err("the path must separate its parts by / and not contain \\");
    }
    if path.starts_with('/') || has_drive(path) {
        return Err("the path must be relative to the root of the directory");
    }
    if path.len() > MAX_PATH && path.chars().count() > MAX_PATH {
        return Err("the path must be at most 4096 characters");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("the path must not lead out of the directory");
    }
    if path.split('/').any(|part| part.is_empty() || part == ".") {
        return Err("the path must not have empty parts or the part \".\"");
    }
    Ok(())
}

/// What decides where a task is written.
struct Wanted<'a> {
    /// Id of the row, the last resort.
    id: &'a str,
    /// Slug, unique.
    slug: &'a str,
    /// Path of its file, if it has one.
    path: Option<&'a str>,
}

/// Where a task is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Path without the extension.
    pub(super) path: String,
    /// Why it is not the path of the row or, without one, its slug.
    pub(super) why: Option<&'static str>,
}

/// A place for each task, in the order given, no two the same.
///
/// Tasks that have a path come first, by slug, so that a directory that was imported is written as it
/// was. Then those without one, and those whose path was taken, get their slug, and what cannot be the
/// name of a file, or is taken too, the id of the row.
fn places(tasks: &[Wanted<'_>]) -> Vec<Place> {
    let mut by_slug: Vec<usize> = (0..tasks.len()).collect();
    by_slug.sort_by_key(|index| tasks[*index].slug);
    let mut taken = Taken::default();
    let mut places: Vec<Option<Place>> = vec![None; tasks.len()];
    let mut reasons: Vec<Option<&'static str>> = vec![None; tasks.len()];
    for &index in &by_slug {
        let Some(path) = tasks[index].path else {
            continue;
        };
        match taken.take(path) {
            Ok(()) => {
                places[index] = Some(Place {
                    path: path.to_owned(),
                    why: None,
                });
            }
            Err(why) => reasons[index] = Some(why),
        }
    }
    for index in by_slug {
        if places[index].is_none() {
            let Wanted { id, slug, .. } = tasks[index];
            let place = match taken.take(slug) {
                Ok(()) => Place {
                    path: slug.to_owned(),
                    why: reasons[index],
                },
                Err(why) => Place {
                    path: id.to_owned(),
                    why: reasons[index].or(Some(why)),
                },
            };
            places[index] = Some(place);
        }
    }
    places.into_iter().flatten().collect()
}

/// Where the export writes each of all tasks of a project.
pub(super) fn of_rows(rows: &[TaskOutline]) -> Vec<Place> {
    let wanted: Vec<Wanted<'_>> = rows
        .iter()
        .map(|row| Wanted {
            id: row.id.as_str(),
            slug: &row.slug,
            path: row.path.as_deref(),
        })
        .collect();
    places(&wanted)
}

/// Whether a path is `prefix`, or lies below it.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || prefix.is_empty() || prefix.ends_with('/')
    })
}

/// The files and directories there are so far.
#[derive(Default)]
struct Taken {
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Taken {
    fn take(&mut self, path: &str) -> Result<(), &'static str> {
        check(path).map_err(|_reason| "is no legal file name")?;
        if path
            .split('/')
            .any(|part| part.len() + ".md".len() > MAX_SEGMENT)
        {
            return Err("is no legal file name");
        }
        let file = format!("{path}.md");
        let parents = || path.match_indices('/').map(|(end, _)| &path[..end]);
        if self.files.contains(&file)
            || self.directories.contains(&file)
            || parents().any(|parent| self.files.contains(parent))
        {
            return Err("is the place of another task");
        }
        for parent in parents() {
            if !self.directories.contains(parent) {
                self.directories.insert(parent.to_owned());
            }
        }
        self.files.insert(file);
        Ok(())
    }
}

fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() >= 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && bytes.get(2) == Some(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(tasks: &[(&str, Option<&str>)]) -> Vec<String> {
        let ids: Vec<String> = (0..tasks.len()).map(|n| format!("id{n}")).collect();
        let wanted: Vec<Wanted<'_>> = tasks
            .iter()
            .zip(&ids)
            .map(|((slug, path), id)| Wanted {
                id,
                slug,
                path: *path,
            })
            .collect();
        places(&wanted)
            .into_iter()
            .map(|place| place.path)
            .collect()
    }

    #[test]
    fn the_extension_goes_and_nothing_else() {
        for (path, place) in [
            ("a.md", "a"),
            ("b/C.MD", "b/C"),
            ("v1.2.md", "v1.2"),
            ("a.txt", "a.txt"),
            ("b/.md", "b/.md"),
            ("äöü.md", "äöü"),
            ("ü", "ü"),
        ] {
            assert_eq!(of_file(path).as_deref(), Ok(place), "{path}");
        }
    }

    #[test]
    fn paths_that_leave_the_directory_or_are_ambiguous_are_refused() {
        for path in [
            "",
            "/a.md",
            "../a.md",
            "a/../b.md",
            "a\\b.md",
            "a\0.md",
            "a//b.md",
            "./a.md",
            "a/",
            "C:/a.md",
            "a\nb.md",
        ] {
            assert!(of_file(path).is_err(), "{path:?}");
        }
        assert!(of_file("a..b/c.md").is_ok());
    }

    #[test]
    fn two_tasks_of_one_path_the_later_by_slug_gives_way() {
        assert_eq!(
            placed(&[("b", Some("x/t")), ("a", Some("x/t"))]),
            ["b", "x/t"]
        );
        assert_eq!(placed(&[("A", Some("p")), ("a", Some("P"))]), ["p", "P"]);
    }

    #[test]
    fn a_path_is_never_lost_to_a_slug() {
        assert_eq!(placed(&[("x", None), ("y", Some("x"))]), ["id0", "x"]);
    }

    #[test]
    fn names_that_no_file_can_have_become_the_id() {
        let long = "ü".repeat(130);
        assert_eq!(
            placed(&[("../up", None), ("a\\b", None), (&long, None)]),
            ["id0", "id1", "id2"]
        );
        assert_eq!(placed(&[("feature/login", None)]), ["feature/login"]);
        assert_eq!(
            placed(&[("a", Some("d")), ("b", Some("d.md/e"))]),
            ["d", "b"]
        );
    }
}
