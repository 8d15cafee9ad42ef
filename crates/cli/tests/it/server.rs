//! A hub started as a user would start it, on a data directory of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{Home, Ran};

/// A running `alkhub serve`; killed when dropped.
pub(crate) struct Server<'a> {
    home: &'a Home,
    child: Child,
    stdout: BufReader<ChildStdout>,
    told: String,
}

impl<'a> Server<'a> {
    /// Starts it and waits until it has told its address.
    pub(crate) fn start(home: &'a Home) -> Server<'a> {
        Server::start_with(home, &[])
    }

    pub(crate) fn start_with(home: &'a Home, more: &[&str]) -> Server<'a> {
        let mut command = serve(home, more);
        // A file, because a full pipe that nobody reads would stop the hub.
        command.stderr(File::create(log(home)).unwrap());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        while !told.contains("  Database ") {
            let read = stdout.read_line(&mut told).unwrap();
            assert!(
                read > 0,
                "the hub ended: {}",
                std::fs::read_to_string(log(home)).unwrap()
            );
        }
        Server {
            home,
            child,
            stdout,
            told,
        }
    }

    /// Where the hub leaves its address.
    pub(crate) fn hub_file(home: &Home) -> PathBuf {
        home.path().join("data/hub.json")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["--data-dir", "data"];
        all.extend(arguments);
        self.home.run(&all)
    }

    /// Runs a command that must succeed; answers its standard output.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran.stdout
    }

    /// As [`Server::text`], with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let text = self.text(&all);
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"))
    }

    /// Runs a command that fails; answers the error.
    pub(crate) fn refused(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let ran = self.run(&all);
        assert_ne!(ran.code, Some(0), "{arguments:?}: {}", ran.stdout);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        serde_json::from_str(&ran.stderr)
            .unwrap_or_else(|problem| panic!("{problem}: {}", ran.stderr))
    }

    /// Tells it to stop and waits; answers what it printed.
    pub(crate) fn stop(mut self) -> Ran {
        let told = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        let status = self.child.wait().unwrap();
        let mut stdout = std::mem::take(&mut self.told);
        self.stdout.read_to_string(&mut stdout).unwrap();
        Ran {
            code: status.code(),
            stdout,
            stderr: std::fs::read_to_string(log(self.home)).unwrap(),
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Already gone after `stop`; both calls then have nothing to do.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// `alkhub serve` on any free port, not started yet.
pub(crate) fn serve(home: &Home, more: &[&str]) -> Command {
    let mut arguments = vec!["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"];
    arguments.extend(more);
    let mut command = home.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn log(home: &Home) -> PathBuf {
    home.path().join("log")
}
