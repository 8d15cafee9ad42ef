//! `fs.search`

use std::fs::File;
use std::io::Read;
use std::path::Path;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use regex::bytes::{Regex, RegexBuilder};
use rustix::fs::{CWD, Mode, OFlags, openat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::walk::{Sight, walk};
use crate::devenv::environment::Environment;
use crate::devenv::errors::{Declare, DevError, PATHS};
use crate::devenv::paths::filter_glob;
use crate::devenv::work::{Work, blocking};

/// Larger files are not searched, bytes.
const MOST_SEARCHED: u64 = 16 * 1024 * 1024;
/// Longest piece of a line that is shown, characters.
const MOST_LINE: usize = 1_000;
/// What is shown of a long line before the match, characters.
const BEFORE_MATCH: usize = 200;
/// Most text of one answer, bytes.
const MOST_TEXT: usize = 4 * 1024 * 1024;
/// A NUL among the first bytes makes a file binary.
const PROBE: usize = 8 * 1024;
/// Largest compiled pattern, bytes.
const MOST_PATTERN: usize = 4 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// A regular expression, matched against single lines; `(?i)` at its begin ignores case.
    #[schemars(length(min = 1, max = 10_000))]
    pattern: Option<String>,
    /// A text to find as it is; instead of `pattern`.
    #[schemars(length(min = 1, max = 10_000))]
    literal: Option<String>,
    /// The directory or file to search.
    #[schemars(length(min = 1, max = 4096))]
    path: Option<String>,
    /// Only files that match; without a slash it is matched against names at any depth.
    #[schemars(length(min = 1, max = 1000))]
    glob: Option<String>,
    /// Lines to show before and after each match.
    #[serde(default)]
    #[schemars(range(max = 20))]
    context: usize,
    /// Most matching lines.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 5_000))]
    limit: usize,
}

fn default_limit() -> usize {
    200
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The matching lines, in the order of paths and lines.
    matches: Vec<Match>,
    /// True when there are more.
    truncated: bool,
    /// How many text files were searched.
    files_searched: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Match {
    /// The file, as other operations take it.
    path: String,
    /// The line, from 1.
    line: u64,
    /// The character of the line where its first match begins, from 1.
    column: u64,
    /// The line; of a long one the piece around the match.
    text: String,
    /// Lines before it.
    before: Vec<String>,
    /// Lines after it.
    after: Vec<String>,
}

pub(super) fn define(environment: &Environment) -> Operation {
    let builder = operation::<Input, Output>("fs.search", OperationType::Query)
        .title("Search files")
        .description(
            "Finds lines in text files. Hidden files, what git ignores, binary files and files over \
             16 MiB are left out.",
        )
        .tags(&["files"])
        .fails_with(&[PATHS]);
    blocking(builder, environment, run)
}

fn run(work: &Work, input: Input) -> Result<Output, CallError> {
    let pattern = compile(&input)?;
    let located = work.locate(input.path.as_deref().unwrap_or("."))?;
    let start = located.absolute();
    let kind =
        std::fs::metadata(&start).map_err(|error| DevError::of_io(work.shown(&start), error))?;
    let wanted = filter_glob(input.glob.as_deref())?;
    let sight = Sight {
        depth: None,
        hidden: false,
        gitignore: true,
    };
    let mut search = Search {
        pattern,
        context: input.context,
        limit: input.limit,
        text_bytes: 0,
        output: Output {
            matches: Vec::new(),
            truncated: false,
            files_searched: 0,
        },
    };
    for entry in walk(work, &start, sight) {
        work.still_wanted()?;
        // What cannot be read, or is gone already, is not searched.
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let below = if kind.is_dir() {
            entry.path().strip_prefix(&start).unwrap_or(entry.path())
        } else {
            Path::new(entry.file_name())
        };
        if wanted.as_ref().is_some_and(|glob| !glob.is_match(below)) {
            continue;
        }
        let Some(content) = text_of(entry.path()) else {
            continue;
        };
        search.output.files_searched += 1;
        search.file(&work.shown(entry.path()), &content);
        if search.output.truncated {
            break;
        }
    }
    Ok(search.output)
}

fn compile(input: &Input) -> Result<Regex, DevError> {
    let escaped;
    let (pattern, field) = match (&input.pattern, &input.literal) {
        (Some(pattern), None) => (pattern, "/pattern"),
        (None, Some(literal)) => {
            escaped = regex::escape(literal);
            (&escaped, "/literal")
        }
        _ => {
            let message = "give either pattern or literal";
            return Err(DevError::invalid("", "pattern_or_literal", message));
        }
    };
    RegexBuilder::new(pattern)
        .multi_line(true)
        .crlf(true)
        .size_limit(MOST_PATTERN)
        .dfa_size_limit(MOST_PATTERN)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or("does not compile");
            DevError::invalid(field, "regex", line.trim().trim_start_matches("error: "))
        })
}

/// The content of a text file; `None` for what is binary, too large or cannot be read.
fn text_of(path: &Path) -> Option<Vec<u8>> {
    // A file that became a link or a pipe since it was listed is not followed or waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).ok()?);
    let size = file.metadata().ok()?.len();
    if size > MOST_SEARCHED {
        return None;
    }
    let mut content = Vec::with_capacity(usize::try_from(size).ok()?);
    file.take(MOST_SEARCHED).read_to_end(&mut content).ok()?;
    let probe = &content[..content.len().min(PROBE)];
    (!probe.contains(&0)).then_some(content)
}

struct Search {
    pattern: Regex,
    context: usize,
    limit: usize,
    text_bytes: usize,
    output: Output,
}

impl Search {
    fn file(&mut self, path: &str, content: &[u8]) {
        // Most files hold nothing: one run over the whole costs less than one a line.
        if !self.pattern.is_match(content) {
            return;
        }
        let lines: Vec<&[u8]> = content
            .split_inclusive(|byte| *byte == b'\n')
            .map(without_end)
            .collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(found) = self.pattern.find(line) else {
                continue;
            };
            if self.output.matches.len() == self.limit || self.text_bytes > MOST_TEXT {
                self.output.truncated = true;
                return;
            }
            let column = String::from_utf8_lossy(&line[..found.start()])
                .chars()
                .count();
            let around = |range: &[&[u8]]| -> Vec<String> {
                range.iter().map(|line| piece(line, 0)).collect()
            };
            let hit = Match {
                path: path.to_owned(),
                line: index as u64 + 1,
                column: column as u64 + 1,
                text: piece(line, column),
                before: around(&lines[index.saturating_sub(self.context)..index]),
                after: around(&lines[index + 1..lines.len().min(index + 1 + self.context)]),
            };
            let shown = hit.before.iter().chain(&hit.after).map(String::len);
            self.text_bytes += hit.text.len() + shown.sum::<usize>();
            self.output.matches.push(hit);
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line as text; of a long one the piece around this column.
fn piece(line: &[u8], column: usize) -> String {
    let text = String::from_utf8_lossy(line);
    if text.chars().nth(MOST_LINE).is_none() {
        return text.into_owned();
    }
    let from = column.saturating_sub(BEFORE_MATCH);
    let mut shown = String::new();
    if from > 0 {
        shown.push('…');
    }
    shown.extend(text.chars().skip(from).take(MOST_LINE));
    if text.chars().nth(from + MOST_LINE).is_some() {
        shown.push('…');
    }
    shown
}
