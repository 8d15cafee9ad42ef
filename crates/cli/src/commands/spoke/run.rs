//! `alkhub spoke run`: this machine as a spoke.

use std::path::PathBuf;

use alkhub_spoke::devenv::{self, Environment, EnvironmentOptions};
use alkhub_spoke::{Spoke, SpokeBuilder, SpokeError, SpokeType, Stopper};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::file::SpokeFile;
use super::label;
use crate::args::Global;
use crate::client::Client;
use crate::failure::{Failure, Refusal};
use crate::locate;
use crate::output::Output;
use crate::plan::{self, text_at};

/// Offer this machine's files, shell, processes and git to the hub
///
/// Connects to the hub and runs what it is asked for, inside the given directories only, until
/// Ctrl-C. After a lost connection it comes back by itself. Shell commands can reach whatever you can:
/// give bash.* and process.* only to those you would give a shell.
///
/// --config names a spoke.toml here: url, keyFile, name, projectId, projects, roots, shell, deny,
/// maxProcesses, env.pass, labels, limits.maxInFlight. Options win over the file. With --json each
/// event is a line.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  alkhub spoke run --project .\n  alkhub spoke run --project ~/web --project ~/api --project-id demo --label gpu=a100\n  alkhub spoke run --config spoke.toml --json"
)]
pub(crate) struct Run {
    /// Directory to offer (may repeat); relative paths begin at the first [default: this one]
    #[arg(long = "project", value_name = "DIR")]
    projects: Vec<PathBuf>,
    /// Name of the spoke [default: machine:directory]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The hub's project it works for, by name or id
    #[arg(long, value_name = "PROJECT")]
    project_id: Option<String>,
    /// A label it can be chosen by (may repeat)
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Most calls at once [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    max_in_flight: Option<u16>,
    /// Take the place of a connected spoke of the same name
    #[arg(long)]
    replace: bool,
}

impl Run {
    pub(super) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let file = match &global.config {
            Some(path) => SpokeFile::read(path)?,
            None => SpokeFile::default(),
        };
        let mut global = Global {
            // It was the spoke's file, not the hub's.
            config: None,
            ..global.clone()
        };
        if std::env::var_os("ALKHUB_URL").is_none() {
            global.url = global.url.or_else(|| file.url.clone());
        }
        if std::env::var_os("ALKHUB_KEY_FILE").is_none() {
            global.key_file = global.key_file.or_else(|| file.key_file.clone());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|problem| Failure::Local(format!("cannot start: {problem}")))?;
        runtime.block_on(self.serve(&global, &file, output))
    }

    async fn serve(
        &self,
        global: &Global,
        file: &SpokeFile,
        output: &Output,
    ) -> Result<(), Failure> {
        let environment = Environment::open(self.environment(file))
            .map_err(|problem| Failure::Usage(told(&problem)))?;
        let roots: Vec<PathBuf> = environment.roots().map(PathBuf::from).collect();
        let hub = locate::hub(global)?;
        let key = locate::key(global, &hub)?.ok_or_else(|| {
            let message = "there is no key to connect with; name its file with --key-file. Make one \
                           with `alkhub key create NAME --preset spoke`, or get one with `alkhub \
                           spoke enroll`";
            Failure::NoKey(message.to_owned())
        })?;
        let mut builder = Spoke::builder(hub.url.clone(), key.expose_secret())
            .name(self.name(file, &roots))
            .spoke_type(SpokeType::DevEnv)
            .replace(self.replace)
            .operations(devenv::operations(environment.clone()));
        if let Some(named) = self.project_id.as_ref().or(file.project_id.as_ref()) {
            let project = plan::project(&Client::new(global)?, named, false).await?;
            builder = builder.project(text_at(&project, "id")?);
        }
        if let Some(most) = self.max_in_flight.or(file.limits.max_in_flight) {
            builder = builder.max_in_flight(most.into());
        }
        let mut labels = file.labels.clone();
        labels.extend(self.labels.iter().cloned());
        for (name, value) in labels {
            builder = builder.label(name, value);
        }
        let ended = connected(builder, &hub.url, &roots, output).await;
        // Nothing that was started for the hub shall outlive the connection to it.
        environment.shutdown().await;
        ended?;
        event(output, json!({"event": "stopped"}), "stopped")
    }

    fn environment(&self, file: &SpokeFile) -> EnvironmentOptions {
        let mut roots = self.projects.clone();
        if roots.is_empty() {
            roots.clone_from(&file.projects);
        }
        if roots.is_empty() && file.roots.is_empty() {
            roots.push(PathBuf::from("."));
        }
        roots.extend(file.roots.iter().cloned());
        let mut options = EnvironmentOptions::new(roots);
        options.shell.clone_from(&file.shell);
        if let Some(deny) = &file.deny {
            options.deny.clone_from(deny);
        }
        if let Some(most) = file.max_processes {
            options.max_processes = most;
        }
        if let Some(pass) = &file.env.pass {
            options.env_pass.clone_from(pass);
        }
        options
    }

    /// The chosen name; else one that is the same after a restart and differs between directories.
    fn name(&self, file: &SpokeFile, roots: &[PathBuf]) -> String {
        if let Some(name) = self.name.as_ref().or(file.name.as_ref()) {
            return name.clone();
        }
        let machine = devenv::host_info().hostname;
        let directory = roots.first().and_then(|root| root.file_name());
        let directory = directory.map_or_else(|| "/".into(), |name| name.to_string_lossy());
        let name = format!("{}:{directory}", machine.as_deref().unwrap_or("machine"));
        name.chars()
            .filter(|letter| !letter.is_control())
            .take(100)
            .collect()
    }
}

/// Connects and serves until the spoke is told to stop, or cannot go on.
async fn connected(
    builder: SpokeBuilder,
    url: &str,
    roots: &[PathBuf],
    output: &Output,
) -> Result<(), Failure> {
    let spoke = builder
        .connect()
        .await
        .map_err(|problem| failure(problem, url))?;
    announce(&spoke, url, roots, output)?;
    let mut up = spoke.watch_up();
    let signals = tokio::spawn(stop_when_told(spoke.stopper()));
    let serving = spoke.run();
    tokio::pin!(serving);
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            Ok(()) = up.changed() => {
                let is_up = *up.borrow_and_update();
                let (name, sentence) = if is_up {
                    ("connected", "connected again")
                } else {
                    ("disconnected", "the connection is gone; trying again")
                };
                event(output, json!({"event": name}), sentence)?;
            }
        }
    };
    signals.abort();
    ended.map_err(|problem| failure(problem, url))
}

fn announce(spoke: &Spoke, url: &str, roots: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let Some(registration) = spoke.registration() else {
        return Err(Failure::Local("the hub told no spoke id".to_owned()));
    };
    for refused in &registration.refused {
        output.warning(&format!(
            "the hub does not take {}: {}",
            refused.name, refused.message
        ))?;
    }
    let roots: Vec<String> = roots
        .iter()
        .map(|root| root.display().to_string())
        .collect();
    if output.json {
        return output.line(&json!({
            "event": "connected",
            "url": url,
            "spokeId": registration.spoke_id,
            "operations": registration.accepted,
            "refused": registration.refused.iter().map(|it| json!({
                "name": it.name, "code": it.code, "message": it.message,
            })).collect::<Vec<_>>(),
            "roots": roots,
        }));
    }
    output.text(&format!(
        "connected to {url}\n\n  Spoke        {}\n  Operations   {}\n  Directories  {}\n\n",
        registration.spoke_id,
        summary(&registration.accepted),
        roots.join("\n               "),
    ))?;
    output.hint("Ctrl-C ends it.")
}

/// `28 (bash 2, fs 11, …)`.
fn summary(operations: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for operation in operations {
        let namespace = operation.split('.').next().unwrap_or_default();
        *counts.entry(namespace).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(namespace, count)| format!("{namespace}.* {count}"))
        .collect();
    format!("{} ({})", operations.len(), counts.join(", "))
}

fn event(output: &Output, event: Value, sentence: &str) -> Result<(), Failure> {
    if output.json {
        output.line(&event)
    } else {
        output.hint(sentence)
    }
}

/// Asked for by a second signal: whoever sends it does not want to wait for anything.
#[expect(
    clippy::disallowed_methods,
    reason = "running calls hold main; it could not return"
)]
fn exit_at_once() -> ! {
    std::process::exit(1)
}

/// The first signal lets running calls end; the second ends the process.
async fn stop_when_told(stopper: Stopper) {
    told_to_stop().await;
    stopper.stop();
    told_to_stop().await;
    exit_at_once();
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn failure(problem: SpokeError, url: &str) -> Failure {
    let refused = |code: &str, message: String| {
        Failure::Refused(Refusal {
            code: code.to_owned(),
            message,
            details: None,
        })
    };
    match problem {
        SpokeError::KeyRefused(why) => refused(
            "UNAUTHENTICATED",
            format!(
                "the hub at {url} does not accept this key: {why}. Name another with --key-file, or \
                 make one with `alkhub key create NAME --preset spoke`"
            ),
        ),
        SpokeError::Registration(error) => {
            let taken = error
                .details
                .as_ref()
                .is_some_and(|details| details["rule"] == "already_connected");
            let advice = if taken {
                "; choose another --name, or take its place with --replace"
            } else {
                ""
            };
            Failure::Refused(Refusal {
                code: error.code.to_string(),
                message: format!("{}{advice}", error.message),
                details: error.details,
            })
        }
        SpokeError::Unreachable(why) => Failure::NoHub(format!(
            "no hub answers at {url} ({why}); start one with `alkhub serve`, or name another with \
             --url"
        )),
        problem @ SpokeError::NoHub { .. } => {
            Failure::NoHub(format!("{url}: {problem}; is --url right?"))
        }
        problem @ SpokeError::Replaced => refused("CONFLICT", problem.to_string()),
        problem @ SpokeError::Settings(_) => Failure::Usage(problem.to_string()),
        problem @ (SpokeError::Operation(_) | SpokeError::Internal(_)) => {
            Failure::Local(told(&problem))
        }
    }
}

/// The error with its reasons.
fn told(problem: &dyn std::error::Error) -> String {
    let mut text = problem.to_string();
    let mut current = problem.source();
    while let Some(source) = current {
        text.push_str(&format!(": {source}"));
        current = source.source();
    }
    text
}
