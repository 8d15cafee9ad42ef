//! `cargo xtask fuzz`: any bytes at what reads files and documents, led by what they reach.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;

use crate::process::{self, ProcessError};
use crate::workspace::Workspace;

/// Lets libFuzzer look for inputs that make a reader of files fail.
///
/// Builds the targets in fuzz/ with the counters libFuzzer is led by, which the stable compiler can
/// put in, and runs one after the other from the corpus in fuzz/corpus. What new inputs teach it is
/// kept in target/fuzz for the next time. An input that makes a target fail is written to a file,
/// which is named; once it passes, it belongs into the corpus, where every test run replays it.
/// libFuzzer is built by a C++ compiler.
#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// Which targets to run; without one all
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// The binaries of the package in fuzz/.
const TARGETS: [&str; 3] = ["frame", "front_matter", "graph_json"];

/// What makes the compiler count the edges of each function, and compares as well.
const COUNTERS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Why nothing was fuzzed; an input that fails is no error but an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    /// The targets do not build or do not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The compiler does not say for which system it compiles.
    #[error("`rustc -vV` names no host")]
    NoHost,
    /// A directory cannot be used.
    #[error("cannot use {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// Builds and runs the targets; a failure when one of them failed.
pub(crate) async fn run(
    workspace: &Workspace,
    arguments: &FuzzArguments,
) -> Result<ExitCode, FuzzError> {
    let programs = build(workspace).await?;
    let all: Vec<String> = TARGETS.map(str::to_owned).into();
    let chosen = if arguments.targets.is_empty() {
        &all
    } else {
        &arguments.targets
    };
    let mut passed = true;
    for target in chosen {
        println!("==> {target}: {} s", arguments.seconds);
        passed &= fuzz(workspace, &programs, target, arguments.seconds).await?;
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds all targets; the directory of their programs.
async fn build(workspace: &Workspace) -> Result<PathBuf, FuzzError> {
    let version = process::read(tokio::process::Command::new("rustc").arg("-vV")).await?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or(FuzzError::NoHost)?;
    let target = workspace.target.join("fuzz");
    let mut build = workspace.cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ]);
    // With a target named, what runs during the build is built without counters.
    build.args(["--target", host, "--target-dir"]).arg(&target);
    build.env("RUSTFLAGS", COUNTERS.join(" "));
    process::run(&mut build).await?;
    Ok(target.join(host).join("release"))
}

/// Runs one target; whether it passed.
async fn fuzz(
    workspace: &Workspace,
    programs: &Path,
    target: &str,
    seconds: u32,
) -> Result<bool, FuzzError> {
    let learnt = made(workspace.target.join("fuzz/corpus").join(target))?;
    let found = made(workspace.target.join("fuzz/found").join(target))?;
    let before = files(&found)?;
    let mut fuzz = tokio::process::Command::new(programs.join(target));
    fuzz.current_dir(&workspace.root)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(["-timeout=20", "-rss_limit_mb=2048", "-max_len=20000"])
        .args(["-verbosity=0", "-print_final_stats=1"])
        .arg(&learnt)
        .arg(workspace.root.join("fuzz/corpus").join(target));
    let status = process::status(&mut fuzz).await?;
    for file in files(&found)?.difference(&before) {
        println!(
            "{target} fails on {}: put it into fuzz/corpus/{target} once it passes",
            workspace.relative(file).display()
        );
    }
    Ok(status.success())
}

fn made(path: PathBuf) -> Result<PathBuf, FuzzError> {
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(FuzzError::Directory { path, source }),
    }
}

fn files(directory: &Path) -> Result<BTreeSet<PathBuf>, FuzzError> {
    let failed = |source| FuzzError::Directory {
        path: directory.to_path_buf(),
        source,
    };
    fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| Ok(entry.map_err(failed)?.path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_and_a_corpus() {
        let root = Workspace::find().unwrap().root;
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target}"
            );
            let program = format!("fuzz/fuzz_targets/{target}.rs");
            assert!(root.join(program).is_file(), "{target}");
            assert!(
                !files(&root.join("fuzz/corpus").join(target))
                    .unwrap()
                    .is_empty()
            );
        }
    }
}
