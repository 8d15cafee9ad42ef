//! A whole task file: the task, the keys nobody here knows, and the body.

use super::unknown::UnknownKeys;
use super::write::assemble;
use super::{Options, Source, checked_parts, read};
use crate::{InvalidInput, TaskInput};

/// A task file taken apart so that it can be put together again.
///
/// Reading a file and writing it back keeps the unknown keys and the body byte for byte; the
/// known keys come out in their fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The keys that are known.
    pub task: TaskInput,
    /// The text of all other keys.
    pub unknown: UnknownKeys,
    /// What follows the front matter.
    pub body: String,
}

impl Document {
    /// Reads a task file.
    ///
    /// # Errors
    ///
    /// As [`super::parse`]; also unknown keys that cannot stand without the known ones, which
    /// only aliases to oneself or bombs of them achieve.
    pub fn parse(text: &str, options: &Options) -> Result<Self, InvalidInput> {
        let parts = checked_parts(text, options)?;
        let source = Source::new(parts.data, parts.data_line);
        let tree = source.compose()?;
        Ok(Self {
            task: read::task(&tree, &source, options.missing_depends_on)?,
            unknown: UnknownKeys::extract(&tree, &source, parts.data_break, options)?,
            body: parts.body.to_owned(),
        })
    }

    /// Writes the file: known keys, unknown keys, body.
    pub fn to_text(&self) -> String {
        assemble(&self.task, self.unknown.as_str(), &self.body)
    }
}
