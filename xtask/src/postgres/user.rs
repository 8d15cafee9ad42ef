//! The user a server runs as: PostgreSQL refuses to run as root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::{fs, io};

use tokio::process::Command;

use crate::process::{self, ProcessError};

/// Users tried in this order when we are root.
const EXISTING: [&str; 2] = ["postgres", "nobody"];

/// The user created when none of those exists.
const CREATED: &str = "alkhub-tests";

/// Who runs the server.
#[derive(Debug, Clone)]
pub(crate) enum ServerUser {
    /// Ourselves, not being root.
    Caller,
    /// Another user, privileges given up on start.
    Other {
        /// The user's name.
        name: String,
        /// The user's id.
        uid: u32,
        /// The id of the user's own group.
        gid: u32,
    },
}

/// Why no unprivileged user is at hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// Neither an existing user nor a new one.
    #[error("PostgreSQL must not run as root, none of the users {} exists, and {CREATED} could not be created", EXISTING.join(", "))]
    Create(#[source] ProcessError),
    /// The new user cannot be read back.
    #[error("user {0} was created and cannot be found")]
    Unknown(&'static str),
}

impl ServerUser {
    /// The caller, or for root the first existing unprivileged user, or a new system user.
    pub(crate) async fn choose() -> Result<Self, UserError> {
        if !process::is_root() {
            return Ok(Self::Caller);
        }
        for name in EXISTING {
            if let Some(user) = look_up(name).await {
                return Ok(user);
            }
        }
        let mut create = Command::new("useradd");
        create.args([
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
        ]);
        process::run(create.arg(CREATED))
            .await
            .map_err(UserError::Create)?;
        look_up(CREATED).await.ok_or(UserError::Unknown(CREATED))
    }

    /// Makes the program run as this user. The standard library gives up the supplementary groups
    /// along with root's user id.
    pub(crate) fn run_as(&self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            command.gid(*gid).uid(*uid);
        }
    }

    /// Gives the file or directory to this user.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Caller => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether the user may enter the directory: somebody else may when everybody may.
    pub(crate) fn may_enter(&self, directory: &Path) -> bool {
        let open = |path: &Path| {
            fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o001 != 0)
        };
        match self {
            Self::Caller => true,
            Self::Other { .. } => directory.ancestors().all(open),
        }
    }

    /// The words that a shell script puts before a program to run it as this user.
    pub(crate) fn shell_prefix(&self) -> String {
        match self {
            Self::Caller => String::new(),
            Self::Other { uid, gid, .. } if process::find("setpriv").is_some() => {
                format!("setpriv --reuid={uid} --regid={gid} --clear-groups -- ")
            }
            Self::Other { name, .. } => format!("runuser --user {name} -- "),
        }
    }
}

/// The user of that name, when there is one that is not root.
async fn look_up(name: &str) -> Option<ServerUser> {
    let uid = id("-u", name).await?;
    let gid = id("-g", name).await?;
    (uid != 0).then(|| ServerUser::Other {
        name: name.to_owned(),
        uid,
        gid,
    })
}

async fn id(kind: &str, name: &str) -> Option<u32> {
    // A failure of `id` is its way to say that there is no such user.
    let answer = process::read(Command::new("id").args([kind, name]))
        .await
        .ok()?;
    answer.trim().parse().ok()
}
