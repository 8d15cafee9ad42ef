//! Reading files whole and replacing them atomically.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, RawMode, accessat, fchmod, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use serde_json::json;

use super::{MOST_FILE_BYTES, sha256};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{CHANGED, DevError, at, shown};
use crate::devenv::paths::Located;

/// What temporary files begin with: listings and watches leave them out.
pub(super) const TEMPORARY: &str = ".alkhub-";

/// Opens a regular file. Opening a pipe or device would wait or have effects, so it is not tried.
pub(super) fn open_regular(located: &Located) -> Result<(File, Metadata), DevError> {
    let path = located.absolute();
    // Without NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let file = File::from(located.open(OFlags::RDONLY | OFlags::NONBLOCK)?);
    let metadata = file.metadata().map_err(at(&path))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        let path = shown(&path);
        Err(DevError::NotAFile { path })
    }
}

/// The whole content of a regular file up to [`MOST_FILE_BYTES`].
pub(super) fn read_whole(located: &Located) -> Result<(Vec<u8>, Metadata), DevError> {
    let (file, metadata) = open_regular(located)?;
    let path = located.absolute();
    let too_large = || DevError::TooLarge {
        path: shown(&path),
        limit: MOST_FILE_BYTES,
    };
    if metadata.len() > MOST_FILE_BYTES {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // It may grow while it is read.
    file.take(MOST_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(at(&path))?;
    if content.len() as u64 > MOST_FILE_BYTES {
        return Err(too_large());
    }
    Ok((content, metadata))
}

/// Replaces a file, or makes it, so that a reader sees the old content or the new one and a crash
/// leaves one of them. Its permissions stay. `expected` is the hash the present content must have.
/// True when the file is new. The caller holds the write lock of the path.
pub(super) fn replace(
    located: &Located,
    content: &[u8],
    create_directories: bool,
    expected: Option<&str>,
) -> Result<bool, DevError> {
    let path = located.absolute();
    let wrong = || at::<Errno>(&path);
    if located.is_root() {
        return Err(DevError::NotAFile { path: shown(&path) });
    }
    let (directory, name) = located.open_parent(create_directories)?;
    let existing = existing_mode(&directory, &name, located)?;
    if let Some(expected) = expected {
        check_unchanged(located, existing.is_some(), expected)?;
    }

    let mut temporary = Temporary::create(&directory).map_err(wrong())?;
    let file = &mut temporary.file;
    file.write_all(content).map_err(at(&path))?;
    if let Some(mode) = existing {
        fchmod(file.as_fd(), mode).map_err(wrong())?;
    }
    file.sync_all().map_err(at(&path))?;
    renameat(&directory, &temporary.name, &directory, &name).map_err(wrong())?;
    temporary.in_place = true;
    sync_directory(&directory).map_err(wrong())?;
    Ok(existing.is_none())
}

/// Runs with the write lock of the path.
pub(super) fn locked<T>(
    environment: &Environment,
    located: &Located,
    run: impl FnOnce() -> Result<T, DevError>,
) -> Result<T, DevError> {
    let _held = environment.write_lock(&located.absolute());
    run()
}

/// The permissions of the regular file in the way, if there is one.
fn existing_mode(
    directory: &OwnedFd,
    name: &OsStr,
    located: &Located,
) -> Result<Option<Mode>, DevError> {
    let path = located.absolute();
    let found = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        // The path was free of links when it was checked.
        FileType::Symlink => return Err(DevError::PathOutside { path: shown(&path) }),
        _ => return Err(DevError::NotAFile { path: shown(&path) }),
    }
    // A rename asks for no right to write the file itself.
    accessat(directory, name, Access::WRITE_OK, AtFlags::empty()).map_err(at(&path))?;
    Ok(Some(Mode::from_raw_mode(
        found.st_mode & (0o777 as RawMode),
    )))
}

fn check_unchanged(located: &Located, exists: bool, expected: &str) -> Result<(), DevError> {
    let present = if exists {
        Some(sha256(&read_whole(located)?.0))
    } else {
        None
    };
    if present.as_deref() == Some(expected) {
        return Ok(());
    }
    let message = format!("{} is not what it was", shown(&located.absolute()));
    let details = json!({ "expected": expected, "sha256": present });
    Err(DevError::detailed(CHANGED, message, details))
}

/// A file that is removed again unless it has been renamed into its place.
struct Temporary<'a> {
    directory: &'a OwnedFd,
    name: OsString,
    file: File,
    in_place: bool,
}

impl<'a> Temporary<'a> {
    fn create(directory: &'a OwnedFd) -> Result<Self, Errno> {
        let name = OsString::from(format!("{TEMPORARY}{}.tmp", uuid::Uuid::new_v4().simple()));
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // The user's umask takes away what it takes from every new file.
        let file = openat(directory, &name, flags, Mode::from_raw_mode(0o666))?;
        Ok(Self {
            directory,
            name,
            file: File::from(file),
            in_place: false,
        })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.in_place {
            return;
        }
        if let Err(error) = unlinkat(self.directory, &self.name, AtFlags::empty()) {
            tracing::warn!(file = %shown(self.name.as_ref()), %error, "a temporary file stays");
        }
    }
}

/// Makes the change of a name last. The handle that was walked with may be of the kind that cannot
/// be synchronised, so the directory is opened once more.
fn sync_directory(directory: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(directory, ".", flags, Mode::empty()) {
        // Some file systems have no such call for directories; their renames last by themselves.
        Ok(opened) => match rustix::fs::fsync(&opened) {
            Err(Errno::INVAL) => Ok(()),
            other => other,
        },
        // It may be written to, but not read.
        Err(Errno::ACCESS) => Ok(()),
        Err(error) => Err(error),
    }
}
