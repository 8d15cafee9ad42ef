//! One running server in a temporary directory.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Installation, LocateError, ServerUser, UserError};
use crate::process::{self, Group, ProcessError};

/// How long a server may take to accept connections.
const START: Duration = Duration::from_secs(60);

/// How often another port is tried when somebody else took the one that was free.
const PORTS: usize = 5;

/// Who may connect: everybody on this machine's loopback address, and whoever may enter the
/// server's own directory, which is its owner and root.
const ACCESS: &str = "local all all trust\nhost all all 127.0.0.1/32 trust\n";

/// A server of our own, with a cluster that nobody else uses. Dropping it stops the server, and any
/// that a test started in [`PrivatePostgres::environment`]'s directory, and removes the files.
#[derive(Debug)]
pub(crate) struct PrivatePostgres {
    // Order matters: the server stops before its directory goes.
    _server: Group,
    guests: Guests,
    directory: TempDir,
    installation: Installation,
    port: u16,
}

/// Why no server is running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// No PostgreSQL on this machine.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// Nobody to run it.
    #[error(transparent)]
    User(#[from] UserError),
    /// A file could not be written.
    #[error("cannot prepare {path}")]
    Prepare {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// No cluster could be made.
    #[error("cannot initialise a database cluster")]
    Initialise(#[source] ProcessError),
    /// The program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended, or was not ready in time.
    #[error("PostgreSQL {what}; its last words:\n{log}")]
    NotReady {
        /// What happened instead.
        what: String,
        /// The end of the server's log.
        log: String,
    },
}

impl PrivatePostgres {
    /// Starts a server and waits until it accepts connections. Its log stays in `output` afterwards.
    pub(crate) async fn start(output: &Path) -> Result<Self, PostgresError> {
        let installation = Installation::find_or_install().await?;
        let user = ServerUser::choose().await?;
        let directory = directory(&user)?;
        let data = data(directory.path());
        initialise(&installation, &user, directory.path(), &data).await?;
        let guests = Guests::prepare(&installation, &user, directory.path())?;
        let log = output.join("postgres.log");
        let (server, port) = listen(&installation, &user, directory.path(), &log).await?;
        Ok(Self {
            _server: server,
            guests,
            directory,
            installation,
            port,
        })
    }

    /// The address of a database on this server, as its superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The version of the server's release.
    pub(crate) fn version(&self) -> &str {
        &self.installation.version
    }

    /// What tests are told about this server:
    ///
    /// - `ALKHUB_TEST_POSTGRES_URL`: its address, as superuser of the database `postgres`;
    /// - `ALKHUB_TEST_PG_BIN`: the directory of its programs;
    /// - `ALKHUB_TEST_PG_CTL`: a script that runs `pg_ctl` with the given arguments as the right
    ///   user, so that a test may make (`initdb`), start, stop and kill a server of its own;
    /// - `ALKHUB_TEST_PG_DIR`: the directory for those servers, removed with ours;
    /// - `ALKHUB_TEST_PG_DATA`: the data directory of this server.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("ALKHUB_TEST_POSTGRES_URL", self.url("postgres").into()),
            ("ALKHUB_TEST_PG_BIN", self.installation.bin.clone().into()),
            ("ALKHUB_TEST_PG_CTL", self.guests.control.clone().into()),
            ("ALKHUB_TEST_PG_DIR", self.guests.directory.clone().into()),
            ("ALKHUB_TEST_PG_DATA", data(self.directory.path()).into()),
        ]
    }
}

/// Servers that tests start by themselves beside ours.
#[derive(Debug)]
struct Guests {
    directory: PathBuf,
    control: PathBuf,
}

impl Guests {
    fn prepare(
        installation: &Installation,
        user: &ServerUser,
        directory: &Path,
    ) -> Result<Self, PostgresError> {
        let guests = Self {
            directory: directory.join("servers"),
            control: directory.join("pg_ctl"),
        };
        fs::create_dir(&guests.directory)
            .and_then(|()| user.give(&guests.directory))
            .map_err(prepare(&guests.directory))?;
        let script = format!(
            "#!/bin/sh\ncd '{}' && exec {}'{}' \"$@\"\n",
            guests.directory.display(),
            user.shell_prefix(),
            installation.program("pg_ctl").display(),
        );
        fs::write(&guests.control, script)
            .and_then(|()| fs::set_permissions(&guests.control, Permissions::from_mode(0o755)))
            .map_err(prepare(&guests.control))?;
        Ok(guests)
    }

    /// Process ids of the servers that still run, with their data directories.
    fn running(&self) -> Vec<(Pid, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let data = entry.ok()?.path();
                let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
                let id = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
                test_kill_process(id).ok()?;
                Some((id, data))
            })
            .collect()
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        for (id, data) in self.running() {
            eprintln!(
                "xtask: a test left a PostgreSQL running in {}: stopping it",
                data.display()
            );
            // QUIT is the server's immediate shutdown. An error means that it is gone.
            if kill_process(id, Signal::QUIT).is_err() {
                continue;
            }
            while test_kill_process(id).is_ok() && Instant::now() < deadline {
                process::pause(Duration::from_millis(10));
            }
        }
    }
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// A new directory of the user's: where the user may enter it, and with a path short enough for the
/// socket in it (107 bytes).
fn directory(user: &ServerUser) -> Result<TempDir, PostgresError> {
    let usual = std::env::temp_dir();
    let suits = usual.as_os_str().len() <= 60 && user.may_enter(&usual);
    let parent = if suits {
        usual.as_path()
    } else {
        Path::new("/tmp")
    };
    let directory = tempfile::Builder::new()
        .prefix("alkhub-pg-")
        .tempdir_in(parent)
        .map_err(prepare(parent))?;
    user.give(directory.path())
        .map_err(prepare(directory.path()))?;
    Ok(directory)
}

/// Makes the cluster. Text sorts by English rules where the release can do that, so that a query
/// which forgets to ask for bytewise order is found out.
async fn initialise(
    installation: &Installation,
    user: &ServerUser,
    directory: &Path,
    data: &Path,
) -> Result<(), PostgresError> {
    let command = |locale: &[&str]| {
        let mut command = Command::new(installation.program("initdb"));
        command.arg("--pgdata").arg(data).current_dir(directory);
        command
            .args(["--username=postgres", "--encoding=UTF8", "--auth=trust"])
            .args(locale);
        user.run_as(&mut command);
        command
    };
    let english = [
        "--locale=C.UTF-8",
        "--locale-provider=icu",
        "--icu-locale=en-US",
    ];
    if process::read(&mut command(&english)).await.is_err() {
        // Releases before 15, or built without ICU. initdb has removed what it had made.
        process::read(&mut command(&["--locale=C.UTF-8"]))
            .await
            .map_err(PostgresError::Initialise)?;
    }
    let access = data.join("pg_hba.conf");
    fs::write(&access, ACCESS).map_err(prepare(&access))
}

/// Runs the server on a free port; the port may be lost to another program between the choice and
/// the start, then the next is tried.
async fn listen(
    installation: &Installation,
    user: &ServerUser,
    directory: &Path,
    log: &Path,
) -> Result<(Group, u16), PostgresError> {
    let mut last = None;
    for _ in 0..PORTS {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(prepare(Path::new("127.0.0.1")))?
            .port();
        let mut command = server_command(installation, directory, port);
        user.run_as(&mut command);
        if let Some(parent) = log.parent() {
            fs::create_dir_all(parent).map_err(prepare(parent))?;
        }
        let file = File::create(log).map_err(prepare(log))?;
        command
            .stdout(file.try_clone().map_err(prepare(log))?)
            .stderr(file);
        // INT is the server's fast shutdown: it ends connections and leaves a clean cluster.
        let mut server = Group::spawn(&mut command)?.stop_by(Signal::INT, Duration::from_secs(15));
        match ready(&mut server, directory, log).await {
            Ok(()) => return Ok((server, port)),
            Err(error) if error.to_string().contains("Address already in use") => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(PostgresError::NotReady {
        what: "was never started".to_owned(),
        log: String::new(),
    }))
}

fn server_command(installation: &Installation, directory: &Path, port: u16) -> Command {
    let postgres = installation.program("postgres");
    // Without this a server would outlive us when we are killed outright.
    let mut command = if let Some(setpriv) = process::find("setpriv") {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "INT", "--"]).arg(postgres);
        command
    } else {
        Command::new(postgres)
    };
    command
        .current_dir(directory)
        .arg("-D")
        .arg(data(directory));
    let sockets = format!("unix_socket_directories={}", directory.display());
    let port = format!("port={port}");
    for setting in [
        "listen_addresses=127.0.0.1",
        "max_connections=300",
        &port,
        &sockets,
    ] {
        command.arg("-c").arg(setting);
    }
    command
}

/// Waits until the server says in its pid file that it accepts connections, as `pg_ctl` does.
async fn ready(server: &mut Group, directory: &Path, log: &Path) -> Result<(), PostgresError> {
    let deadline = Instant::now() + START;
    let pid_file = data(directory).join("postmaster.pid");
    loop {
        let state = fs::read_to_string(&pid_file).ok();
        if state
            .as_deref()
            .and_then(|text| text.lines().nth(7))
            .is_some_and(|line| line.trim() == "ready")
        {
            return Ok(());
        }
        let what = match server.ended() {
            Ok(Some(status)) => format!("ended while it started ({status})"),
            Err(error) => format!("cannot be watched ({error})"),
            Ok(None) if Instant::now() > deadline => format!("was not ready after {START:?}"),
            Ok(None) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let text = fs::read_to_string(log).unwrap_or_else(|error| format!("(no log: {error})"));
        let lines: Vec<&str> = text.lines().collect();
        let log = lines[lines.len().saturating_sub(20)..].join("\n");
        return Err(PostgresError::NotReady { what, log });
    }
}

fn prepare(path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    let path = path.to_path_buf();
    move |source| PostgresError::Prepare { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_server_answers_and_leaves_nothing_behind() {
        let output = tempfile::tempdir().unwrap();
        let postgres = PrivatePostgres::start(output.path()).await.unwrap();
        let address = ("127.0.0.1", postgres.port);
        let directory = postgres.directory.path().to_path_buf();
        let ask = postgres.installation.program("pg_isready");
        process::read(Command::new(ask).args(["--dbname", &postgres.url("postgres")]))
            .await
            .unwrap();

        // A test may run a server of its own; forgotten, it goes with ours.
        let guest = postgres.guests.directory.join("guest");
        let control = |words: &[&str]| {
            let mut command = Command::new(&postgres.guests.control);
            command.args(words).arg("-D").arg(&guest);
            command
        };
        process::read(control(&["initdb"]).args(["-o", "-A trust -U postgres"]))
            .await
            .unwrap();
        let options = "-c listen_addresses= -c unix_socket_directories=.";
        process::status(control(&["start", "-w", "-s", "-o", options]).args(["-l", "guest.log"]))
            .await
            .unwrap();
        assert_eq!(postgres.guests.running().len(), 1);

        drop(postgres);
        assert!(
            std::net::TcpStream::connect(address).is_err(),
            "the server still answers"
        );
        assert!(!directory.exists(), "the directory is still there");
        assert!(
            output.path().join("postgres.log").is_file(),
            "the log is gone"
        );
    }
}
