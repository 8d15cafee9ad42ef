//! The data directory: made with a narrow mode, held by a lock, home of the local key and the instance
//! id.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::local_key_file;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another hub runs on it.
    #[error(
        "another hub (process {pid}) already uses the data directory {path}; stop it, or start this \
         one with another --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Process id of the other hub, as it wrote it.
        pid: String,
    },
    /// The file system said no.
    #[error("{path} cannot be used: {source}; make it writable, or choose another --data-dir")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Held while the hub runs; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "holds the lock while it lives")] File);

/// Makes the directory if need be and takes its lock.
pub(super) fn take(data_dir: &Path) -> Result<Lock, DataDirError> {
    make(data_dir)?;
    let path = data_dir.join("hub.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| io(&path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)
                .map_err(|source| io(&path, source))?;
            let pid = if pid.trim().is_empty() {
                "unknown"
            } else {
                pid.trim()
            };
            return Err(DataDirError::InUse {
                path: data_dir.to_owned(),
                pid: pid.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(&path, source)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(|source| io(&path, source))?;
    Ok(Lock(file))
}

/// The id of this installation's hub process, made at its first start.
pub(super) fn instance_id(data_dir: &Path) -> Result<Uuid, DataDirError> {
    let path = data_dir.join("instance-id");
    match fs::read_to_string(&path) {
        Ok(text) => {
            if let Ok(id) = Uuid::parse_str(text.trim()) {
                return Ok(id);
            }
            tracing::warn!(path = %path.display(), "the instance id is not readable; making a new one");
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(io(&path, source)),
    }
    let id = Uuid::new_v4();
    write_private(&path, &id.to_string())?;
    Ok(id)
}

/// Writes the key that the local command line uses, readable by its owner only, durable before the
/// database knows the key: a key nobody holds would lock everybody out.
pub(super) fn write_local_key(data_dir: &Path, key: &SecretString) -> Result<(), DataDirError> {
    write_private(&local_key_file(data_dir), key.expose_secret())
}

/// Narrows a key file that others may read.
pub(super) fn repair_local_key_mode(data_dir: &Path) -> Result<(), DataDirError> {
    let path = local_key_file(data_dir);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(io(&path, source)),
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "others could read the local key; its mode is 600 now");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .map_err(|source| io(&path, source))?;
        }
    }
    Ok(())
}

pub(super) fn make(data_dir: &Path) -> Result<(), DataDirError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(data_dir)
        .map_err(|source| io(data_dir, source))
}

fn write_private(path: &Path, text: &str) -> Result<(), DataDirError> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options.open(&beside).and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> DataDirError {
    DataDirError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_hub_on_the_same_directory_is_told_the_pid_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path()).unwrap();
        match take(directory.path()).unwrap_err() {
            DataDirError::InUse { pid, .. } => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other}"),
        }
        drop(first);
        take(directory.path()).unwrap();
    }

    #[test]
    fn instance_id_is_kept_over_starts() {
        let directory = tempfile::tempdir().unwrap();
        let first = instance_id(directory.path()).unwrap();
        assert_eq!(instance_id(directory.path()).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn key_file_is_private_and_a_wider_mode_is_repaired() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        write_local_key(directory.path(), &SecretString::from("alk_x".to_owned())).unwrap();
        let path = local_key_file(directory.path());
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        repair_local_key_mode(directory.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
