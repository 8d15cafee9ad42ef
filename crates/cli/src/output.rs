//! Where results, hints and questions go.

use std::io::{self, BufRead, IsTerminal, Write};

use anstream::ColorChoice;
use serde_json::Value;

use crate::args::Global;
use crate::failure::{Failure, visible};

/// How this run prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document instead of text.
    pub(crate) json: bool,
    /// Results only.
    pub(crate) quiet: bool,
}

impl Output {
    /// Reads the global options and sets the use of colours for the whole process.
    pub(crate) fn new(global: &Global) -> Output {
        match global.color {
            // `Auto` obeys NO_COLOR and asks whether the stream is a terminal.
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        }
        .write_global();
        Output {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// Prints a result as it is.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Prints one JSON document.
    pub(crate) fn document(&self, value: &Value) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() {
            format!("{value:#}")
        } else {
            value.to_string()
        };
        self.json_text(text)
    }

    /// Prints a document that is JSON text already.
    pub(crate) fn json_text(&self, mut text: String) -> Result<(), Failure> {
        const LEFT_IN: std::ops::RangeInclusive<char> = '\u{7f}'..='\u{9f}';
        // JSON lets these stand inside strings, but a terminal might obey them, and the filter of
        // the stream would drop some.
        if text.contains(|letter| LEFT_IN.contains(&letter)) {
            text = text
                .chars()
                .map(|letter| match letter {
                    control if LEFT_IN.contains(&control) => {
                        format!("\\u{:04x}", u32::from(control))
                    }
                    other => other.to_string(),
                })
                .collect();
        }
        text.push('\n');
        self.text(&text)
    }

    /// Prints a JSON document in one line, as one of several.
    pub(crate) fn line(&self, value: &Value) -> Result<(), Failure> {
        self.json_text(value.to_string())
    }

    /// Tells something beside the result, on stderr.
    pub(crate) fn hint(&self, sentence: &str) -> Result<(), Failure> {
        if !self.quiet && !self.json {
            anstream::stderr().write_all(format!("{}\n", visible(sentence)).as_bytes())?;
        }
        Ok(())
    }

    /// Tells what the user must know even when quiet, on stderr.
    pub(crate) fn warning(&self, sentence: &str) -> Result<(), Failure> {
        let text = format!("\u{1b}[33mwarning:\u{1b}[0m {}\n", visible(sentence));
        anstream::stderr().write_all(text.as_bytes())?;
        Ok(())
    }

    /// Whether progress may be shown.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Asks the user to type a word; `None` when nobody is there to ask.
    pub(crate) fn ask(&self, question: &str) -> Result<Option<String>, Failure> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        let mut stderr = anstream::stderr();
        stderr.write_all(format!("{} ", visible(question)).as_bytes())?;
        stderr.flush()?;
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|problem| Failure::Local(format!("cannot read the answer: {problem}")))?;
        Ok(Some(line.trim().to_owned()))
    }
}
