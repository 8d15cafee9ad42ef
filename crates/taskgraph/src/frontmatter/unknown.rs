//! The keys of a front matter that nobody here knows, kept as text.

mod lines;
mod rewrite;

use super::split::is_delimiter;
use super::yaml::Tree;
use super::{Options, Source, check_size, read};
use crate::InvalidInput;
use lines::Lines;

/// The text of the front-matter keys that are no task fields: whole lines, each with its line
/// break, that can stand after the known keys. Comments right above such a key belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownKeys(String);

impl UnknownKeys {
    /// The text, empty or ending in a line break.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a text that was kept elsewhere, such as in a database.
    ///
    /// # Errors
    ///
    /// When the text is over the limit for front matter, is not the inside of a block mapping,
    /// names a known key, or would close the front matter.
    pub fn parse(text: &str, options: &Options) -> Result<Self, InvalidInput> {
        check_size(
            "the text of the unknown keys",
            text.len(),
            options.max_frontmatter_bytes,
        )?;
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let (tree, entries) = compose_after_known(&text)?;
        for (key, _) in &entries {
            if let Some(key) = tree.text(*key).filter(|key| read::is_known(key)) {
                return Err(InvalidInput::shape(key, "is a field of the task itself"));
            }
        }
        Ok(Self(text))
    }

    /// Cuts the unknown keys out of a front matter.
    pub(super) fn extract(
        tree: &Tree,
        source: &Source<'_>,
        last_break: &str,
        options: &Options,
    ) -> Result<Self, InvalidInput> {
        let entries = read::entries(tree, source)?;
        let unknown = |key: usize| !tree.text(key).is_some_and(read::is_known);
        let kept: Vec<(usize, usize)> = entries
            .iter()
            .copied()
            .filter(|(key, _)| unknown(*key))
            .collect();
        if kept.is_empty() {
            return Ok(Self::default());
        }
        let same = |text: &str| match compose_after_known(text) {
            Ok((other, entries)) => {
                entries.len() == kept.len()
                    && kept.iter().zip(&entries).all(|(ours, theirs)| {
                        rewrite::equal(tree, ours.0, &other, theirs.0)
                            && rewrite::equal(tree, ours.1, &other, theirs.1)
                    })
            }
            Err(_) => false,
        };
        let lines = Lines {
            tree,
            text: &source.text,
            entries,
            last_break,
        };
        if let Some(text) = lines.cut(&unknown).map(|text| source.original(&text)) {
            // What is compared is what a reader of the written file will see.
            if same(&text) {
                return Ok(Self(text));
            }
        }
        // The lines cannot stand alone: a flow mapping at the top, an alias to a known key.
        match rewrite::rewrite(tree, &kept, options.max_frontmatter_bytes) {
            Some(text) if same(&text) => Ok(Self(text)),
            _ => Err(InvalidInput::shape(
                "",
                "the unknown keys cannot stand without the known ones",
            )),
        }
    }
}

/// Reads `text` as it will stand in a file, after a known key; gives its own entries.
fn compose_after_known(text: &str) -> Result<(Tree, Vec<(usize, usize)>), InvalidInput> {
    if let Some(line) = text.split('\n').position(is_delimiter) {
        return Err(InvalidInput::shape("", "a line closes the front matter").at_line(line + 1));
    }
    let whole = format!("id: x\n{text}");
    let data = whole.strip_suffix('\n').unwrap_or(&whole);
    let data = data.strip_suffix('\r').unwrap_or(data);
    // The known key takes the line before the text, so that lines are those of the text.
    let source = Source::new(data, 0);
    let tree = source.compose()?;
    match read::entries(&tree, &source)?.split_first() {
        Some(((key, value), entries))
            if tree.text(*key) == Some("id") && tree.text(*value) == Some("x") =>
        {
            let entries = entries.to_vec();
            Ok((tree, entries))
        }
        _ => Err(InvalidInput::shape(
            "",
            "the text is no list of keys that can follow others",
        )),
    }
}
