//! Front matter: the YAML block at the head of a Markdown file, read as a task and written back.
//!
//! [`parse`] gives the task alone, as strictly as the format wants it. [`Document`] keeps all
//! that is in the file: the task, the text of keys this crate does not know, and the body, so
//! that a file can be read, changed and written without losing anything.
//!
//! ```
//! use alkhub_taskgraph::frontmatter::{Document, Options};
//!
//! let text = "---\nid: a\nname: First\ndepends_on: []\nowner: me\n---\nBody\n";
//! let mut document = Document::parse(text, &Options::default())?;
//! assert_eq!(document.unknown.as_str(), "owner: me\n");
//! document.task.name = "Very first".to_owned();
//! assert_eq!(
//!     document.to_text(),
//!     "---\nid: a\nname: Very first\ndepends_on: []\nowner: me\n---\nBody\n"
//! );
//! # Ok::<(), alkhub_taskgraph::InvalidInput>(())
//! ```
//!
//! # Limits
//!
//! A text of 1 MiB, of which 64 KiB front matter, is the most that is read ([`Options`]).
//! Collections nest at most 255 deep, aliases are counted against expansion bombs, and duplicate
//! keys are refused. No input makes the functions of this module panic.

mod document;
mod read;
mod scalar;
mod split;
mod unknown;
mod write;
mod yaml;

pub use document::Document;
pub use split::{Parts, split};
pub use unknown::UnknownKeys;
pub use write::write;

use std::borrow::Cow;

use crate::{InvalidInput, InvalidReason, TaskInput};

/// How much is read, and how strictly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Largest text in bytes; 1 MiB unless told.
    pub max_text_bytes: usize,
    /// Largest front matter in bytes, without its delimiters; 64 KiB unless told.
    pub max_frontmatter_bytes: usize,
    /// What a missing `depends_on` means.
    pub missing_depends_on: MissingDependsOn,
}

/// What a task without the key `depends_on` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingDependsOn {
    /// An error, as the format has it.
    Refuse,
    /// A task without dependencies, as command lines and imports want it. Null stays an error.
    Empty,
}

impl Default for Options {
    /// The limits of the format, and a missing `depends_on` refused.
    fn default() -> Self {
        Self {
            max_text_bytes: 1024 * 1024,
            max_frontmatter_bytes: 64 * 1024,
            missing_depends_on: MissingDependsOn::Refuse,
        }
    }
}

impl Options {
    /// The same limits, a missing `depends_on` read as an empty list.
    pub fn lenient() -> Self {
        Self {
            missing_depends_on: MissingDependsOn::Empty,
            ..Self::default()
        }
    }
}

/// Reads the task out of the front matter of `text`, by the rules of the format.
///
/// Keys that are no task field are dropped; `dependsOn` is read where `depends_on` is, and wins
/// when both are there.
///
/// # Errors
///
/// The first problem only: no front matter, a limit, a YAML error, something other than a
/// mapping at the top, a missing key (`id`, `name`, `dependsOn`), a value of the wrong type.
pub fn parse(text: &str) -> Result<TaskInput, InvalidInput> {
    parse_with(text, &Options::default())
}

/// Like [`parse`], with other limits or with a missing `depends_on` accepted.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_with(text: &str, options: &Options) -> Result<TaskInput, InvalidInput> {
    let parts = checked_parts(text, options)?;
    let source = Source::new(parts.data, parts.data_line);
    let tree = source.compose()?;
    read::task(&tree, &source, options.missing_depends_on)
}

/// Like [`parse_with`], from the bytes of a file: what is no UTF-8 becomes U+FFFD.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_bytes(bytes: &[u8], options: &Options) -> Result<TaskInput, InvalidInput> {
    check_size("the text", bytes.len(), options.max_text_bytes)?;
    parse_with(&String::from_utf8_lossy(bytes), options)
}

/// The parts of `text`, when it has front matter and is within the limits.
fn checked_parts<'a>(text: &'a str, options: &Options) -> Result<Parts<'a>, InvalidInput> {
    check_size("the text", text.len(), options.max_text_bytes)?;
    let parts = split(text).ok_or_else(|| {
        InvalidInput::new(
            InvalidReason::NoFrontmatter,
            "",
            "No valid frontmatter found",
        )
    })?;
    check_size(
        "the front matter",
        parts.data.len(),
        options.max_frontmatter_bytes,
    )?;
    Ok(parts)
}

fn check_size(what: &str, bytes: usize, limit: usize) -> Result<(), InvalidInput> {
    if bytes <= limit {
        return Ok(());
    }
    let message = format!("{what} has {bytes} bytes, more than the {limit} allowed");
    Err(InvalidInput::new(InvalidReason::TooLarge, "", message))
}

/// Front matter as the YAML parser is to see it, and the way back to the original.
struct Source<'a> {
    text: Cow<'a, str>,
    /// Line of the file on which the data begins, counted from 1.
    first_line: usize,
    /// Stands for a carriage return that is not part of a CRLF. To the format that is no line
    /// break, to YAML it is, so it is hidden while parsing.
    lone_return: Option<char>,
}

impl<'a> Source<'a> {
    fn new(data: &'a str, first_line: usize) -> Self {
        let bytes = data.as_bytes();
        let lone = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
        if !(0..bytes.len()).any(lone) {
            return Self {
                text: Cow::Borrowed(data),
                first_line,
                lone_return: None,
            };
        }
        // 6,400 private-use characters; a text that uses all of them keeps its lone returns.
        let stand_in = ('\u{E000}'..='\u{F8FF}').find(|c| !data.contains(*c));
        let text = data
            .char_indices()
            .map(|(at, c)| if lone(at) { stand_in.unwrap_or(c) } else { c })
            .collect();
        Self {
            text: Cow::Owned(text),
            first_line,
            lone_return: stand_in,
        }
    }

    /// A piece of the text as it is in the original.
    fn original(&self, piece: &str) -> String {
        match self.lone_return {
            Some(stand_in) => piece.replace(stand_in, "\r"),
            None => piece.to_owned(),
        }
    }

    /// Line of the file for a line of the data, both counted from 1.
    fn line(&self, line_of_data: usize) -> usize {
        self.first_line + line_of_data.saturating_sub(1)
    }

    /// The tree of the text, its scalars as in the original.
    fn compose(&self) -> Result<yaml::Tree, InvalidInput> {
        let mut tree = yaml::compose(&self.text).map_err(|error| {
            let message = format!("YAML parse error: {}", error.message);
            InvalidInput::new(InvalidReason::Syntax, "", message).at_line(self.line(error.line))
        })?;
        if self.lone_return.is_some() {
            for node in &mut tree.nodes {
                if let yaml::Content::Scalar(scalar) = &mut node.content {
                    scalar.text = self.original(&scalar.text);
                }
            }
        }
        Ok(tree)
    }
}
