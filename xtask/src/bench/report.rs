//! The report of a bench, and the page made from all reports.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::figures::{Bar, Measure};
use super::lab::{Lab, Missing};
use super::machine::Machine;
use super::{About, BenchError};
use crate::process;

/// What a bench found, as it stands in `docs/performance/NAME.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    name: String,
    work: String,
    bar: String,
    /// When it ended, in UTC.
    date: String,
    /// The command that gives these figures again.
    command: String,
    machine: Machine,
    versions: BTreeMap<String, String>,
    measures: Vec<Measure>,
    missing: Vec<Missing>,
}

impl Report {
    /// Sums up a bench that has run.
    pub(super) async fn new(
        about: About,
        lab: Lab,
        measures: Vec<Measure>,
    ) -> Result<Self, BenchError> {
        let mut versions = lab.versions.clone();
        let mut git = Command::new("git");
        git.current_dir(&lab.workspace.root).args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=10",
        ]);
        versions.insert(
            "alkhub".to_owned(),
            process::read(&mut git).await?.trim().to_owned(),
        );
        let rustc = process::read(Command::new("rustc").arg("--version")).await?;
        versions.insert(
            "rustc".to_owned(),
            rustc.split(' ').nth(1).unwrap_or("unknown").to_owned(),
        );
        let words: Vec<String> = env::args().skip(1).collect();
        Ok(Self {
            name: about.name.to_owned(),
            work: about.work.to_owned(),
            bar: about.bar.to_owned(),
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            command: format!("cargo xtask {}", words.join(" ")),
            machine: Machine::here(),
            versions,
            measures,
            missing: lab.missing.clone(),
        })
    }

    /// Whether no bar is missed; one that could not be decided is not missed.
    pub(super) fn is_met(&self) -> bool {
        self.measures
            .iter()
            .all(|measure| measure.is_met() != Some(false))
    }

    /// Writes the report below the repository's root.
    pub(super) fn write(&self, root: &Path) -> Result<(), BenchError> {
        let directory = directory(root);
        let path = directory.join(format!("{}.json", self.name));
        let mut text = serde_json::to_string_pretty(self).map_err(|source| BenchError::Report {
            path: path.clone(),
            source,
        })?;
        text.push('\n');
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(|source| BenchError::File { path, source })
    }

    fn markdown(&self) -> Result<String, fmt::Error> {
        let mut text = format!(
            "## {}\n\n{}.\n\nBar: {}.\n\n",
            self.name, self.work, self.bar
        );
        text.push_str("| measure | who | median | p50 | p99 | ours / theirs | bar |\n");
        text.push_str("| --- | --- | ---: | ---: | ---: | ---: | --- |\n");
        for measure in &self.measures {
            for (index, row) in measure.rows.iter().enumerate() {
                let ratio = row
                    .ratio
                    .map_or(String::new(), |ratio| format!("{ratio:.2}"));
                let (title, verdict) = if index == 0 {
                    (measure.title.as_str(), verdict(measure))
                } else {
                    ("", String::new())
                };
                let unit = &measure.unit;
                writeln!(
                    text,
                    "| {title} | {} | {} {unit} | {} {unit} | {} {unit} | {ratio} | {verdict} |",
                    row.who,
                    number(row.median),
                    number(row.p50),
                    number(row.p99),
                )?;
            }
        }
        for missing in &self.missing {
            writeln!(
                text,
                "\nNot measured: {}: {}.",
                missing.rival, missing.reason
            )?;
        }
        let versions: Vec<String> = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        writeln!(
            text,
            "\n{}, {} cores, {} MiB, {}; {}; {}. `{}`",
            self.machine.processor,
            self.machine.cores,
            self.machine.memory_mib,
            self.machine.system,
            versions.join(", "),
            self.date,
            self.command
        )?;
        Ok(text)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for measure in &self.measures {
            writeln!(formatter, "  {} ({})", measure.title, measure.unit)?;
            for row in &measure.rows {
                let ratio = row
                    .ratio
                    .map_or(String::new(), |ratio| format!("  ours / theirs {ratio:.3}"));
                writeln!(
                    formatter,
                    "    {:<24} median {:>10}  p50 {:>10}  p99 {:>10}  ({} rounds, {} samples){ratio}",
                    row.who,
                    number(row.median),
                    number(row.p50),
                    number(row.p99),
                    row.rounds,
                    row.samples
                )?;
            }
            writeln!(formatter, "    bar: {}", verdict(measure))?;
        }
        for missing in &self.missing {
            writeln!(
                formatter,
                "  NOT MEASURED: {}: {}",
                missing.rival, missing.reason
            )?;
        }
        Ok(())
    }
}

/// Makes `docs/performance.md` from all reports, by name.
pub(super) fn write_table(root: &Path) -> Result<(), BenchError> {
    let mut reports: Vec<Report> = Vec::new();
    let read = |path: &Path| {
        let path = path.to_path_buf();
        move |source| BenchError::File { path, source }
    };
    let directory = directory(root);
    if directory.is_dir() {
        for entry in fs::read_dir(&directory).map_err(read(&directory))? {
            let path = entry.map_err(read(&directory))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = fs::read_to_string(&path).map_err(read(&path))?;
                reports.push(
                    serde_json::from_str(&text)
                        .map_err(|source| BenchError::Report { path, source })?,
                );
            }
        }
    }
    reports.sort_by(|left, right| left.name.cmp(&right.name));
    let path = root.join("docs/performance.md");
    fs::write(&path, page(&reports)).map_err(read(&path))
}

fn page(reports: &[Report]) -> String {
    let mut text = "# Performance\n\nMade by `cargo xtask bench`; do not edit. Each bar is a ratio against a rival measured in the same\n\
         run on the same machine, the contestants taking turns. The median is that of the rounds, p50 and\n\
         p99 are those of all single measurements.\n"
        .to_owned();
    if reports.is_empty() {
        text.push_str("\nNothing has been measured yet.\n");
    }
    for report in reports {
        text.push('\n');
        text.push_str(
            &report
                .markdown()
                .unwrap_or_else(|_| unreachable!("a String takes all that is written to it")),
        );
    }
    text
}

fn directory(root: &Path) -> PathBuf {
    root.join("docs/performance")
}

fn verdict(measure: &Measure) -> String {
    let bound = match measure.bar {
        None => return "none".to_owned(),
        Some(Bar::AtMost(bound)) => format!("≤ {bound}"),
        Some(Bar::AtLeast(bound)) => format!("≥ {bound}"),
    };
    match measure.is_met() {
        Some(true) => format!("{bound}: met"),
        Some(false) => format!("{bound}: MISSED"),
        None => format!("{bound}: undecided, no rival measured"),
    }
}

/// Three figures that matter, so that 0.041 and 52341 are both readable.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 1.0 => 3,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Kind, Round};
    use super::*;

    fn report() -> Report {
        let kind = Kind {
            title: "start".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(0.5)),
        };
        let rounds = |figure| {
            vec![Round {
                figure,
                samples: vec![figure],
            }]
        };
        let measure = Measure::new(
            &kind,
            vec![
                ("alkhub".to_owned(), rounds(40.0)),
                ("rival".to_owned(), rounds(160.0)),
            ],
        );
        Report {
            name: "start".to_owned(),
            work: "Start to first healthy answer".to_owned(),
            bar: "P11".to_owned(),
            date: "2026-11-24T08:10:53Z".to_owned(),
            command: "cargo xtask bench start --peers".to_owned(),
            machine: Machine::here(),
            versions: BTreeMap::from([("rival".to_owned(), "1.2.3".to_owned())]),
            measures: vec![measure],
            missing: vec![Missing {
                rival: "other".to_owned(),
                reason: "npm is not installed".to_owned(),
            }],
        }
    }

    #[test]
    fn page_shows_figures_verdict_and_who_is_missing() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        report().write(root.path()).unwrap();
        write_table(root.path()).unwrap();
        let page = fs::read_to_string(root.path().join("docs/performance.md")).unwrap();
        assert!(page.contains("| start | alkhub | 40.0 ms |"), "{page}");
        assert!(page.contains("| 0.25 |"), "{page}");
        assert!(page.contains("≤ 0.5: met"), "{page}");
        assert!(
            page.contains("Not measured: other: npm is not installed."),
            "{page}"
        );
    }

    #[test]
    fn missed_bar_fails_the_report() {
        let mut slow = report();
        slow.measures[0].bar = Some(Bar::AtMost(0.1));
        assert!(!slow.is_met());
        assert!(report().is_met());
    }
}
