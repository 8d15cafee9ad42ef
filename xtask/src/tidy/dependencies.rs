//! Every direct dependency stands in `docs/dependencies.md` with its purpose, and is used.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{Finding, SourceFile, TidyError};

/// The list: a table whose rows begin with the dependency's name in backticks.
const LIST: &str = "docs/dependencies.md";

/// The manifest that holds all versions.
const ROOT: &str = "Cargo.toml";

/// Put behind a dependency whose name no source file mentions (used through a macro or for a
/// feature it switches on), with the reason.
const KEPT: &str = "# kept:";

/// Compares manifests, list and sources.
pub(super) fn check(files: &[SourceFile]) -> Result<Vec<Finding>, TidyError> {
    let mut findings = Vec::new();
    let mut used = BTreeMap::new();
    for file in files {
        if file.path.ends_with("/Cargo.toml")
            && let Some(text) = &file.text
        {
            crate_manifest(file, text, files, &mut used, &mut findings)?;
        }
    }
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .and_then(|file| file.text.as_deref())
    };
    let root = parse(ROOT, text(ROOT).unwrap_or(""))?;
    let versions = root
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    for (name, requirement) in versions.and_then(Value::as_table).into_iter().flatten() {
        if requirement.get("path").is_none() && !used.contains_key(name) {
            findings.push(Finding::fault(
                ROOT,
                None,
                format!("holds a version of `{name}`, which no crate uses"),
            ));
        }
    }
    compare(&used, &listed(text(LIST).unwrap_or("")), &mut findings);
    Ok(findings)
}

/// Collects the manifest's dependencies from elsewhere, each with the first manifest that names it.
fn crate_manifest(
    file: &SourceFile,
    text: &str,
    files: &[SourceFile],
    used: &mut BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> Result<(), TidyError> {
    let manifest = parse(&file.path, text)?;
    let directory = file.path.trim_end_matches("Cargo.toml");
    for (name, requirement) in dependencies(&manifest) {
        let shared = requirement.get("workspace").and_then(Value::as_bool) == Some(true);
        if !shared && requirement.get("path").is_none() {
            let message = format!(
                "gives `{name}` a version of its own: put it into the root and say `workspace = true`"
            );
            findings.push(Finding::fault(&file.path, None, message));
        }
        if !is_mentioned(&name, directory, files) && !is_kept(&name, text) {
            let message =
                format!("depends on `{name}`, which none of its sources mentions: take it out");
            findings.push(Finding::fault(&file.path, None, message));
        }
        if !is_ours(&name) {
            used.entry(name).or_insert_with(|| file.path.clone());
        }
    }
    Ok(())
}

fn compare(
    used: &BTreeMap<String, String>,
    listed: &BTreeMap<String, usize>,
    findings: &mut Vec<Finding>,
) {
    for (name, manifest) in used {
        if !listed.contains_key(name) {
            let message = format!(
                "has no line for `{name}` ({manifest}): say what it is for and why this one"
            );
            findings.push(Finding::fault(LIST, None, message));
        }
    }
    for (name, line) in listed {
        if !used.contains_key(name) {
            findings.push(Finding::fault(
                LIST,
                Some(*line),
                format!("lists `{name}`, which no crate depends on"),
            ));
        }
    }
}

fn parse(path: &str, text: &str) -> Result<Table, TidyError> {
    text.parse().map_err(|source| TidyError::Manifest {
        path: path.into(),
        source: Box::new(source),
    })
}

/// All dependencies of a manifest, those for tests, build scripts and single platforms included.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let tables = platforms
        .filter_map(|(_, platform)| platform.as_table())
        .chain([manifest]);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for table in tables {
        for section in SECTIONS {
            for (name, requirement) in table
                .get(section)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                if seen.insert(name.clone()) {
                    found.push((name.clone(), requirement.clone()));
                }
            }
        }
    }
    found
}

fn is_ours(name: &str) -> bool {
    name == "alkhub" || name.starts_with("alkhub-")
}

/// Whether a source file of the crate has the dependency's name as a word.
fn is_mentioned(name: &str, directory: &str, files: &[SourceFile]) -> bool {
    let word = name.replace('-', "_");
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    files
        .iter()
        .filter(|file| file.path.starts_with(directory) && file.path.ends_with(".rs"))
        .filter_map(|file| file.text.as_deref())
        .any(|text| {
            text.split(|character: char| !part_of_word(character))
                .any(|found| found == word)
        })
}

fn is_kept(name: &str, manifest: &str) -> bool {
    manifest.lines().any(|line| {
        line.contains(KEPT)
            && line
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    })
}

/// The names in the first column of the list, with their line.
fn listed(text: &str) -> BTreeMap<String, usize> {
    (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let name = line.strip_prefix("| `")?.split_once('`')?.0;
            Some((name.to_owned(), number))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT_TEXT: &str =
        "[workspace.dependencies]\nserde = \"1\"\nalkhub-hub = { path = \"crates/hub\" }\n";

    fn messages(manifest: &str, source: &str, list: &str) -> Vec<String> {
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            text: Some(text.to_owned()),
        };
        let files = [
            file(ROOT, ROOT_TEXT),
            file("crates/a/Cargo.toml", manifest),
            file("crates/a/src/lib.rs", source),
            file(LIST, list),
        ];
        check(&files)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn listed_and_used_dependency_passes() {
        let manifest = "[dependencies]\nserde.workspace = true\nalkhub-hub.workspace = true\n";
        let source = "use serde::Serialize;\nuse alkhub_hub::Hub;\n";
        assert_eq!(
            messages(manifest, source, "| `serde` | JSON | the usual |\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn dependency_without_a_line_and_line_without_a_dependency_are_faults() {
        let manifest = "[target.'cfg(unix)'.dev-dependencies]\nserde.workspace = true\n";
        let found = messages(
            manifest,
            "use serde::Serialize;\n",
            "| `toml` | files | the usual |\n",
        );
        assert!(
            found[0].contains("no line for `serde` (crates/a/Cargo.toml)"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("fault: docs/dependencies.md:1: lists `toml`"),
            "{found:?}"
        );
    }

    #[test]
    fn dependency_that_no_source_mentions_is_a_fault_unless_kept() {
        let list = "| `serde` | JSON | the usual |\n";
        let found = messages(
            "[dependencies]\nserde.workspace = true\n",
            "// serde_json\n",
            list,
        );
        assert!(
            found[0].contains("none of its sources mentions"),
            "{found:?}"
        );
        let kept = "[dependencies]\nserde.workspace = true # kept: for its feature\n";
        assert_eq!(messages(kept, "\n", list), Vec::<String>::new());
    }

    #[test]
    fn version_of_its_own_and_unused_version_are_faults() {
        let found = messages(
            "[dependencies]\ntoml = \"1\"\n",
            "use toml::Table;\n",
            "| `toml` | files | usual |\n",
        );
        assert!(
            found[0].contains("gives `toml` a version of its own"),
            "{found:?}"
        );
        assert!(
            found[1].contains("holds a version of `serde`, which no crate uses"),
            "{found:?}"
        );
    }
}
