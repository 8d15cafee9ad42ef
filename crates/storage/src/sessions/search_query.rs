//! The language of a search over session parts, and how words are cut in it.
//!
//! Words all must match; `"a phrase"` must stand as it is; `-word` must not occur; `word*` matches
//! every word that begins so. `type:`, `role:`, `tool:`, `before:` and `after:` narrow the parts. Text
//! is cut as the full-text indexes cut it: letters and digits are words, everything else is space.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use thiserror::Error;

use crate::enums::{MessageRole, PartType};

/// A search that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SearchQuery {
    /// At least one of them is not an exclusion.
    pub(crate) terms: Vec<SearchTerm>,
    /// Types of parts named by `type:`; empty = all.
    pub types: Vec<PartType>,
    /// Roles of messages named by `role:`; empty = all.
    pub roles: Vec<MessageRole>,
    /// Tool names named by `tool:`; empty = all parts.
    pub tools: Vec<String>,
    /// Only parts made before this moment.
    pub before: Option<DateTime<Utc>>,
    /// Only parts made at this moment or later.
    pub after: Option<DateTime<Utc>>,
}

/// One word or phrase.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SearchTerm {
    /// In lower case, without blanks; more than one is a phrase.
    pub(crate) words: Vec<String>,
    /// The last word may go on.
    pub(crate) prefix: bool,
    /// The term must not occur.
    pub(crate) excluded: bool,
}

/// Why a search cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchQueryError {
    /// A quotation mark has no partner.
    #[error("a quotation mark is not closed")]
    UnbalancedQuotes,
    /// There is nothing to look for: no word at all, or exclusions only.
    #[error("the search needs at least one word that must occur")]
    NothingToFind,
    /// `type:` is followed by no type of part, or `role:` by no role.
    #[error("{0} is not known")]
    UnknownWord(String),
    /// `before:` or `after:` is followed by neither a date nor an RFC 3339 time.
    #[error("{0} is neither a date like 2026-01-31 nor a time with offset")]
    BadTime(String),
}

impl SearchQuery {
    /// Reads a search as somebody typed it.
    pub fn parse(text: &str) -> Result<Self, SearchQueryError> {
        let mut query = Self::default();
        for token in tokens(text)? {
            query.take(token)?;
        }
        if query.terms.iter().all(|term| term.excluded) {
            return Err(SearchQueryError::NothingToFind);
        }
        Ok(query)
    }

    fn take(&mut self, token: Token) -> Result<(), SearchQueryError> {
        if !token.quoted
            && !token.excluded
            && let Some((field, value)) = token.text.split_once(':')
            && !value.is_empty()
        {
            match field {
                "type" => {
                    // The name of the same part elsewhere.
                    let stored = if value == "tool" { "tool-call" } else { value };
                    self.types.push(word(stored)?);
                    return Ok(());
                }
                "role" => {
                    self.roles.push(word(value)?);
                    return Ok(());
                }
                "tool" => {
                    self.tools.push(value.to_owned());
                    return Ok(());
                }
                "before" => {
                    self.before = Some(moment(value)?);
                    return Ok(());
                }
                "after" => {
                    self.after = Some(moment(value)?);
                    return Ok(());
                }
                _ => {}
            }
        }
        let words = words(&token.text);
        if !words.is_empty() {
            self.terms.push(SearchTerm {
                prefix: !token.quoted && token.text.ends_with('*'),
                excluded: token.excluded,
                words,
            });
        }
        Ok(())
    }
}

/// The words of a text as the full-text indexes cut them, in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

struct Token {
    text: String,
    quoted: bool,
    excluded: bool,
}

fn tokens(text: &str) -> Result<Vec<Token>, SearchQueryError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        // Two hyphens begin an option of some command, which is looked for.
        let excluded = rest.starts_with('-') && rest.len() > 1 && !rest.starts_with("--");
        if excluded {
            rest = &rest[1..];
        }
        if let Some(inside) = rest.strip_prefix('"') {
            let end = inside.find('"').ok_or(SearchQueryError::UnbalancedQuotes)?;
            found.push(Token {
                text: inside[..end].to_owned(),
                quoted: true,
                excluded,
            });
            rest = inside[end + 1..].trim_start();
        } else {
            let end = rest
                .find(|letter: char| letter.is_whitespace() || letter == '"')
                .unwrap_or(rest.len());
            found.push(Token {
                text: rest[..end].to_owned(),
                quoted: false,
                excluded,
            });
            rest = rest[end..].trim_start();
        }
    }
    Ok(found)
}

fn word<W: std::str::FromStr>(value: &str) -> Result<W, SearchQueryError> {
    value
        .parse()
        .map_err(|_| SearchQueryError::UnknownWord(value.to_owned()))
}

fn moment(value: &str) -> Result<DateTime<Utc>, SearchQueryError> {
    if let Ok(day) = value.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(value)
        .map(|time| time.to_utc())
        .map_err(|_| SearchQueryError::BadTime(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(words: &[&str], prefix: bool, excluded: bool) -> SearchTerm {
        SearchTerm {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            prefix,
            excluded,
        }
    }

    #[test]
    fn words_phrases_exclusions_and_prefixes_are_told_apart() {
        let query =
            SearchQuery::parse("Foo \"two Words\" -bar -\"not this\" pre*").expect("parses");
        assert_eq!(
            query.terms,
            [
                term(&["foo"], false, false),
                term(&["two", "words"], false, false),
                term(&["bar"], false, true),
                term(&["not", "this"], false, true),
                term(&["pre"], true, false),
            ]
        );
    }

    #[test]
    fn paths_and_hyphened_words_become_phrases() {
        let query = SearchQuery::parse("src/lib.rs well-known foo_bar").expect("parses");
        assert_eq!(
            query.terms,
            [
                term(&["src", "lib", "rs"], false, false),
                term(&["well", "known"], false, false),
                term(&["foo", "bar"], false, false),
            ]
        );
    }

    #[test]
    fn fields_narrow_and_unknown_fields_are_words() {
        let query = SearchQuery::parse(
            "x type:tool role:user tool:bash before:2026-01-01 after:2025-12-01T10:00:00+01:00 http://y",
        )
        .expect("parses");
        assert_eq!(query.types, [PartType::ToolCall]);
        assert_eq!(query.roles, [MessageRole::User]);
        assert_eq!(query.tools, ["bash"]);
        assert_eq!(
            query.before.map(|time| time.to_rfc3339()).as_deref(),
            Some("2026-01-01T00:00:00+00:00")
        );
        assert_eq!(
            query.after.map(|time| time.to_rfc3339()).as_deref(),
            Some("2025-12-01T09:00:00+00:00")
        );
        assert_eq!(
            query.terms,
            [
                term(&["x"], false, false),
                term(&["http", "y"], false, false)
            ]
        );
    }

    #[test]
    fn a_search_that_finds_everything_or_nothing_is_refused() {
        for text in ["", "  ", "-a", "type:text", "...", "-\"a b\" -c"] {
            assert_eq!(
                SearchQuery::parse(text),
                Err(SearchQueryError::NothingToFind),
                "{text:?}"
            );
        }
        for text in ["\"", "a \"b", "-\"x"] {
            assert_eq!(
                SearchQuery::parse(text),
                Err(SearchQueryError::UnbalancedQuotes),
                "{text:?}"
            );
        }
        assert!(matches!(
            SearchQuery::parse("x type:song"),
            Err(SearchQueryError::UnknownWord(_))
        ));
        assert!(matches!(
            SearchQuery::parse("x before:soon"),
            Err(SearchQueryError::BadTime(_))
        ));
    }
}
