//! `hub.json` in the data directory: by it the command line finds the running hub.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::ServeError;

const NAME: &str = "hub.json";

/// The file of this process; taken away when dropped.
pub(super) struct HubFile {
    path: PathBuf,
    content: Content,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Content {
    url: String,
    pid: u32,
}

impl HubFile {
    /// Writes the file in one step, readable by its owner only.
    pub(super) fn write(data_dir: &Path, url: &str) -> Result<Self, ServeError> {
        let path = data_dir.join(NAME);
        let content = Content {
            url: url.to_owned(),
            pid: std::process::id(),
        };
        replace(data_dir, &path, &content).map_err(|source| ServeError::HubFile {
            path: path.clone(),
            source,
        })?;
        Ok(HubFile { path, content })
    }

    fn is_ours(&self) -> bool {
        std::fs::read(&self.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Content>(&bytes).ok())
            .is_some_and(|found| found == self.content)
    }
}

impl Drop for HubFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(error = %error, path = %self.path.display(), "the file of the hub's address is left behind");
        }
    }
}

fn replace(data_dir: &Path, path: &Path, content: &Content) -> io::Result<()> {
    // A temporary file has mode 0600 from its first moment.
    let mut file = NamedTempFile::new_in(data_dir)?;
    serde_json::to_writer(&mut file, content)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_url_and_process_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let file = HubFile::write(directory.path(), "http://127.0.0.1:4848").unwrap();
        let content: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(content["url"], "http://127.0.0.1:4848");
        assert_eq!(content["pid"], std::process::id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn file_of_another_process_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let file = HubFile::write(directory.path(), "http://127.0.0.1:4848").unwrap();
        std::fs::write(&path, r#"{"url":"http://127.0.0.1:4849","pid":1}"#).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
