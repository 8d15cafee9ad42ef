//! The boundary: which path is meant, and that it lies under a root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::environment::EnvironmentError;
use super::errors::{DevError, at, shown};

/// A directory that is only walked through needs no right to be read where the system can say so.
#[cfg(target_os = "linux")]
const PASS_THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PASS_THROUGH: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// The directories that nothing may leave, and what in them is closed.
#[derive(Debug)]
pub(super) struct Roots {
    roots: Vec<Root>,
    deny: GlobSet,
    patterns: Vec<String>,
}

#[derive(Debug)]
struct Root {
    /// As given, made absolute: callers may write absolute paths with it.
    given: PathBuf,
    /// Without symlinks.
    real: PathBuf,
}

/// A path that has passed the boundary: a root and the way down from it, without symlinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    root: PathBuf,
    relative: PathBuf,
}

impl Roots {
    pub(super) fn open(paths: &[PathBuf], deny: &[String]) -> Result<Self, EnvironmentError> {
        if paths.is_empty() {
            return Err(EnvironmentError::NoRoot);
        }
        let roots = paths.iter().map(|path| {
            let wrong = |source| EnvironmentError::Root {
                path: path.clone(),
                source,
            };
            let real = fs::canonicalize(path).map_err(wrong)?;
            if !real.is_dir() {
                return Err(EnvironmentError::NotADirectory(path.clone()));
            }
            let given = normalised(&std::path::absolute(path).map_err(wrong)?);
            Ok(Root { given, real })
        });
        let mut set = GlobSetBuilder::new();
        for pattern in deny {
            let wrong = |source| EnvironmentError::Pattern {
                pattern: pattern.clone(),
                source,
            };
            set.add(path_glob(pattern).map_err(wrong)?);
        }
        Ok(Self {
            roots: roots.collect::<Result<_, _>>()?,
            deny: set.build().map_err(|source| EnvironmentError::Pattern {
                pattern: deny.join(" "),
                source,
            })?,
            patterns: deny.to_vec(),
        })
    }

    /// The real path of the first root.
    pub(super) fn first(&self) -> &Path {
        &self.roots[0].real
    }

    pub(super) fn real_paths(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(|root| root.real.as_path())
    }

    /// The deny patterns as they were given.
    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// What `text` means from `base`: symlinks resolved, the last component's too. What does not
    /// exist yet is located by its nearest directory.
    pub(super) fn locate(&self, base: &Path, text: &str) -> Result<Located, DevError> {
        let wanted = self.wanted(base, text)?;
        let real = real_path(&wanted, text)?;
        self.admit(&wanted, real, text)
    }

    /// As [`Roots::locate`], but a symlink at the end is meant itself.
    pub(super) fn locate_entry(&self, base: &Path, text: &str) -> Result<Located, DevError> {
        let wanted = self.wanted(base, text)?;
        let real = match (wanted.parent(), wanted.file_name()) {
            (Some(parent), Some(name)) if !self.is_root(&wanted) => {
                real_path(parent, text)?.join(name)
            }
            _ => real_path(&wanted, text)?,
        };
        self.admit(&wanted, real, text)
    }

    /// True when a real path under a root, or a directory it is in, is closed.
    pub(super) fn denies(&self, real: &Path) -> bool {
        self.relative(real)
            .is_some_and(|(_, relative)| self.denies_relative(&relative))
    }

    /// True when a real path lies under a root.
    pub(super) fn contains(&self, real: &Path) -> bool {
        self.relative(real).is_some()
    }

    /// The path as text, checked, and whether it stays inside as it is written.
    fn wanted(&self, base: &Path, text: &str) -> Result<PathBuf, DevError> {
        if text.is_empty() || text.contains('\0') {
            let message = "a path is not empty and holds no NUL";
            return Err(DevError::invalid("", "path", message));
        }
        let wanted = normalised(&base.join(text));
        let inside = self
            .roots
            .iter()
            .any(|root| wanted.starts_with(&root.given) || wanted.starts_with(&root.real));
        // Told before anything outside is looked at, so that nobody learns what exists there.
        if inside {
            Ok(wanted)
        } else {
            Err(outside(text))
        }
    }

    fn admit(&self, wanted: &Path, real: PathBuf, text: &str) -> Result<Located, DevError> {
        let Some((root, relative)) = self.relative(&real) else {
            return Err(outside(text));
        };
        // Both names count: that of a link and that of what it leads to.
        if self.denies_relative(&relative) || self.denies(wanted) || self.denies_given(wanted) {
            return Err(DevError::Denied {
                path: text.to_owned(),
            });
        }
        Ok(Located {
            root: root.to_owned(),
            relative,
        })
    }

    /// The innermost root of a real path, and the way from it.
    fn relative(&self, real: &Path) -> Option<(&Path, PathBuf)> {
        self.roots
            .iter()
            .filter_map(|root| {
                let relative = real.strip_prefix(&root.real).ok()?;
                Some((root.real.as_path(), relative.to_owned()))
            })
            .min_by_key(|(_, relative)| relative.components().count())
    }

    fn denies_relative(&self, relative: &Path) -> bool {
        relative
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
            .any(|path| self.deny.is_match(path))
    }

    fn denies_given(&self, wanted: &Path) -> bool {
        self.roots
            .iter()
            .filter_map(|root| wanted.strip_prefix(&root.given).ok())
            .any(|relative| self.denies_relative(relative))
    }

    fn is_root(&self, path: &Path) -> bool {
        self.roots
            .iter()
            .any(|root| path == root.given || path == root.real)
    }
}

impl Located {
    /// The whole path.
    pub(super) fn absolute(&self) -> PathBuf {
        if self.is_root() {
            self.root.clone()
        } else {
            self.root.join(&self.relative)
        }
    }

    /// True when it is a root itself.
    pub(super) fn is_root(&self) -> bool {
        self.relative.as_os_str().is_empty()
    }

    /// As text: relative to `base` when it lies under it, else absolute. Such a text names the same
    /// path when it is given back.
    pub(super) fn shown(&self, base: &Path) -> String {
        shown_from(&self.absolute(), base)
    }

    /// Refuses to change what makes up a repository: a hook or a setting put there would run as a
    /// program at the next use of git.
    pub(super) fn require_outside_git(&self, text: &str) -> Result<(), DevError> {
        let inside = self.relative.components().any(|component| {
            matches!(component, Component::Normal(name) if name.eq_ignore_ascii_case(".git"))
        });
        if inside {
            let path = text.to_owned();
            return Err(DevError::InsideGit { path });
        }
        Ok(())
    }

    /// Fails unless it is a directory.
    pub(super) fn require_directory(&self) -> Result<(), DevError> {
        let path = self.absolute();
        if fs::metadata(&path).map_err(at(&path))?.is_dir() {
            Ok(())
        } else {
            let path = shown(&path);
            Err(DevError::NotADirectory { path })
        }
    }

    /// Opens the directory it is in, component by component, and gives its name there. A root itself
    /// has no such directory.
    pub(super) fn open_parent(&self, create: bool) -> Result<(OwnedFd, OsString), DevError> {
        let (Some(parent), Some(name)) = (self.relative.parent(), self.relative.file_name()) else {
            let path = shown(&self.root);
            return Err(DevError::IsRoot { path });
        };
        let directory = self.descend(parent, create).map_err(at(&self.absolute()))?;
        Ok((directory, name.to_owned()))
    }

    /// Opens what is at it, component by component, following no link.
    pub(super) fn open(&self, flags: OFlags) -> Result<OwnedFd, DevError> {
        let path = self.absolute();
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.is_root() {
            return openat(CWD, &self.root, flags, Mode::empty()).map_err(at(&path));
        }
        let (directory, name) = self.open_parent(false)?;
        openat(&directory, &name, flags, Mode::empty()).map_err(at(&path))
    }

    /// Makes it a directory with all that lead to it; false when it is one already.
    pub(super) fn make_directory(&self) -> Result<bool, DevError> {
        let path = self.absolute();
        if self.is_root() {
            return Ok(false);
        }
        let (directory, name) = self.open_parent(true)?;
        match mkdirat(&directory, &name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) if self.require_directory().is_ok() => Ok(false),
            Err(error) => Err(at(&path)(error)),
        }
    }

    fn descend(&self, relative: &Path, create: bool) -> io::Result<OwnedFd> {
        let mut directory = openat(CWD, &self.root, PASS_THROUGH, Mode::empty())?;
        for component in relative.components() {
            let name: &OsStr = component.as_os_str();
            let open = || {
                openat(
                    &directory,
                    name,
                    PASS_THROUGH | OFlags::NOFOLLOW,
                    Mode::empty(),
                )
            };
            let next = match open() {
                Err(rustix::io::Errno::NOENT) if create => {
                    match mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                        // Somebody else made it at the same time.
                        Ok(()) | Err(rustix::io::Errno::EXIST) => open()?,
                        Err(error) => return Err(error.into()),
                    }
                }
                other => other?,
            };
            directory = next;
        }
        Ok(directory)
    }
}

/// A pattern of paths: `*` stays within a component, `**` does not. Where file systems do not tell
/// upper case from lower case, patterns do not either.
pub(super) fn path_glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .case_insensitive(cfg!(target_os = "macos"))
        .build()
}

/// The filter of a listing: a pattern without a slash matches names at any depth.
pub(super) fn filter_glob(pattern: Option<&str>) -> Result<Option<GlobMatcher>, DevError> {
    let Some(pattern) = pattern else {
        return Ok(None);
    };
    let anywhere;
    let whole = if pattern.contains('/') {
        pattern.trim_start_matches('/')
    } else {
        anywhere = format!("**/{pattern}");
        &anywhere
    };
    path_glob(whole)
        .map(|glob| Some(glob.compile_matcher()))
        .map_err(|error| DevError::invalid("/glob", "glob", error.kind().to_string()))
}

/// `path` relative to `base` when it lies under it, else whole; `.` for the base itself.
pub(super) fn shown_from(path: &Path, base: &Path) -> String {
    match path.strip_prefix(base) {
        Ok(relative) if relative.as_os_str().is_empty() => ".".to_owned(),
        Ok(relative) => shown(relative),
        Err(_not_under_it) => shown(path),
    }
}

/// Without `.` and `..`, as text.
pub(super) fn normalised(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Resolves every symlink of the part that exists.
fn real_path(wanted: &Path, text: &str) -> Result<PathBuf, DevError> {
    let mut existing = wanted.to_owned();
    let mut missing = Vec::new();
    loop {
        let error = match fs::canonicalize(&existing) {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(error) => error,
        };
        let absent = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        // A link to nothing: where a file would come into being cannot be said.
        let dangling = fs::symlink_metadata(&existing).is_ok_and(|found| found.is_symlink());
        if !absent || dangling {
            return Err(if dangling {
                outside(text)
            } else {
                DevError::of_io(text, error)
            });
        }
        let Some(name) = existing.file_name().map(OsStr::to_owned) else {
            return Err(outside(text));
        };
        missing.push(name);
        existing.pop();
    }
}

fn outside(text: &str) -> DevError {
    DevError::PathOutside {
        path: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root with `sub/file` beside a directory with another `file`, and the root's boundary.
    fn scene() -> (tempfile::TempDir, Roots) {
        let directory = tempfile::tempdir().unwrap();
        for path in ["root/sub", "outside"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
            fs::write(directory.path().join(path).join("file"), path).unwrap();
        }
        let roots = Roots::open(&[directory.path().join("root")], &[]).unwrap();
        (directory, roots)
    }

    #[test]
    fn a_directory_exchanged_for_a_link_after_the_check_is_not_followed() {
        let (directory, roots) = scene();
        let located = roots.locate(roots.first(), "sub/file").unwrap();
        assert!(located.open(OFlags::RDONLY).is_ok());
        let sub = roots.first().join("sub");
        fs::rename(&sub, roots.first().join("moved")).unwrap();
        symlink(directory.path().join("outside"), &sub).unwrap();
        assert!(located.open(OFlags::RDONLY).is_err());
        assert!(located.open_parent(false).is_err());
        assert!(located.open_parent(true).is_err());
    }

    #[test]
    fn a_file_exchanged_for_a_link_after_the_check_lies_outside() {
        let (directory, roots) = scene();
        let located = roots.locate(roots.first(), "sub/file").unwrap();
        let file = roots.first().join("sub/file");
        fs::remove_file(&file).unwrap();
        symlink(directory.path().join("outside/file"), &file).unwrap();
        let error = located.open(OFlags::RDONLY).unwrap_err();
        assert!(matches!(error, DevError::PathOutside { .. }), "{error}");
    }

    #[test]
    fn a_path_shown_names_the_same_path_again() {
        let (_directory, roots) = scene();
        for base in [roots.first().to_owned(), roots.first().join("sub")] {
            for text in [".", "sub", "sub/file"] {
                let located = roots.locate(roots.first(), text).unwrap();
                let again = roots.locate(&base, &located.shown(&base)).unwrap();
                assert_eq!(located, again);
            }
        }
    }
}
