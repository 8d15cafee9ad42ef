//! `cargo xtask test`: every test, on SQLite and on a private PostgreSQL.

use std::process::ExitCode;

use clap::Args;

use crate::postgres::{PostgresError, PrivatePostgres};
use crate::process::{self, ProcessError};
use crate::workspace::Workspace;

/// Runs every test on SQLite and on a private PostgreSQL that it starts and stops itself.
///
/// PostgreSQL is looked for on the path and in the usual directories; where it is missing, and the
/// caller is root on a system with apt, it is installed. The server runs as an unprivileged user in
/// a temporary directory and is stopped and removed at the end, whatever the end is. Tests learn of
/// it by ALKHUB_TEST_POSTGRES_URL and its sisters; CONTRIBUTING.md lists them.
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Run only tests whose name contains one of these words
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Give tests that repeat rounds (kill loops, random scripts) their full number of rounds
    #[arg(long)]
    long: bool,
    /// Run only the tests of this package; may be given more than once
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Refuse a Cargo.lock that does not fit the manifests, as CI does
    #[arg(long)]
    locked: bool,
    /// Arguments for the test programs themselves, such as `--nocapture`
    #[arg(last = true, value_name = "ARGUMENT")]
    harness: Vec<String>,
}

/// Why the tests could not be run; a failing test is no error but an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    /// No PostgreSQL.
    #[error("cannot start a PostgreSQL for the tests")]
    Postgres(#[from] PostgresError),
    /// Cargo could not be run or the binary does not build.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// The package with the binary `alkhub`.
const BINARY_PACKAGE: &str = "alkhub";

impl TestArguments {
    /// Whether the chosen tests may start the binary: those of packages below it cannot.
    fn needs_binary(&self) -> bool {
        self.packages.is_empty()
            || self
                .packages
                .iter()
                .any(|package| package == BINARY_PACKAGE)
    }

    /// All tests, as CI runs them.
    pub(crate) fn everything() -> Self {
        Self {
            filters: Vec::new(),
            long: false,
            packages: Vec::new(),
            locked: true,
            harness: Vec::new(),
        }
    }
}

/// Runs the tests and gives the exit code of `cargo test`.
pub(crate) async fn run(
    workspace: &Workspace,
    arguments: &TestArguments,
) -> Result<ExitCode, TestError> {
    let binary = arguments.needs_binary();
    if binary {
        // End-to-end tests start it; cargo would build it only for tests of its own package.
        let mut build = workspace.cargo();
        build.args([
            "build",
            "--package",
            BINARY_PACKAGE,
            "--bin",
            BINARY_PACKAGE,
        ]);
        build.args(arguments.locked.then_some("--locked"));
        process::run(&mut build).await?;
    }

    let postgres = PrivatePostgres::start(&workspace.output()).await?;
    eprintln!(
        "xtask: PostgreSQL {} at {}, log in {}",
        postgres.version(),
        postgres.url("postgres"),
        workspace
            .relative(&workspace.output().join("postgres.log"))
            .display(),
    );

    let mut test = workspace.cargo();
    // All failures at once: a run is too long to learn of them one at a time.
    test.args(["test", "--no-fail-fast"]);
    test.args(arguments.locked.then_some("--locked"));
    if arguments.packages.is_empty() {
        test.arg("--workspace");
    }
    for package in &arguments.packages {
        test.args(["--package", package]);
    }
    test.arg("--")
        .args(&arguments.filters)
        .args(&arguments.harness);
    test.envs(postgres.environment());
    if binary {
        test.env("ALKHUB_TEST_BIN", workspace.binary("debug"));
    }
    if arguments.long {
        test.env("ALKHUB_TEST_LONG", "1");
    }
    let status = process::status(&mut test).await?;
    // Ended by a signal there is no code; cargo's own code for failed tests stands for it.
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::from(101), ExitCode::from))
}
