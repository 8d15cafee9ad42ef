//! Full-text search over parts: one question, the same set of answers on both engines.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    QueryTrait, RelationTrait,
};
use serde_json::Value;

use crate::engine::Engine;
use crate::entity::{messages, parts};
use crate::enums::{MessageRole, PartType};
use crate::error::StorageError;
use crate::ids::{ProjectId, SessionId};
use crate::page::{Key, KeyKind, Keyset, Order, Page, PageRequest};
use crate::scope::{Scope, column};
use crate::time::DateTimeUtc;

use super::search_query::{SearchQuery, SearchTerm};

/// Where to search, beside what the query itself says; none and empty = everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SearchFilter {
    /// In one project.
    pub project_id: Option<ProjectId>,
    /// In one session.
    pub session_id: Option<SessionId>,
    /// In parts of these types.
    pub types: Vec<PartType>,
    /// In messages of these roles.
    pub roles: Vec<MessageRole>,
    /// In parts made at this moment or later.
    pub from: Option<DateTimeUtc>,
    /// In parts made before this moment.
    pub to: Option<DateTimeUtc>,
}

/// A part that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The part.
    pub part: parts::Model,
    /// How well it fits, greater is better; each engine has its own measure.
    pub score: f64,
    /// The text around the first word that was found.
    pub snippet: String,
    /// Words of the snippet that were asked for: first character and the one behind the last.
    pub ranges: Vec<(usize, usize)>,
}

/// Characters of a snippet before the first word found, and all of them.
const BEFORE: usize = 60;
const SNIPPET: usize = 240;

/// Parts that match a query and lie in sessions the asker may see, the best first, then the newest.
///
/// Errors: `Cursor`.
pub async fn search_parts(
    db: &impl ConnectionTrait,
    scope: &Scope,
    query: &SearchQuery,
    filter: &SearchFilter,
    request: &PageRequest,
) -> Result<Page<Found>, StorageError> {
    let engine = Engine::of(db);
    let (select, score) = engine.matching_parts(parts::Entity::find(), &query.terms);
    let mut select = select
        .filter(scope.within_sessions(engine, column("parts", "session_id")))
        .expr_as(score.clone(), "score");
    if let Some(project) = &filter.project_id {
        select =
            select.filter(parts::Column::SessionId.in_subquery(super::ids_of_project(project)));
    }
    if let Some(session) = &filter.session_id {
        select = select.filter(parts::Column::SessionId.eq(session.clone()));
    }
    for types in [&filter.types, &query.types] {
        if !types.is_empty() {
            select = select.filter(parts::Column::Kind.is_in(types.iter().copied()));
        }
    }
    if !filter.roles.is_empty() || !query.roles.is_empty() {
        select = select.join(JoinType::InnerJoin, parts::Relation::Message.def());
    }
    for roles in [&filter.roles, &query.roles] {
        if !roles.is_empty() {
            select = select.filter(messages::Column::Role.is_in(roles.iter().copied()));
        }
    }
    if !query.tools.is_empty() {
        let tool = engine.json_text("parts", "data", "tool");
        select = select.filter(engine.one_of(tool, &query.tools));
    }
    for from in [filter.from, query.after].into_iter().flatten() {
        select = select.filter(parts::Column::CreatedAt.gte(from));
    }
    for to in [filter.to, query.before].into_iter().flatten() {
        select = select.filter(parts::Column::CreatedAt.lt(to));
    }

    let keyset = Keyset::new(
        vec![
            (score, KeyKind::Number),
            (column("parts", "created_at"), KeyKind::Time),
            (column("parts", "id"), KeyKind::Text),
        ],
        Order::Desc,
        &("search", query, filter),
    )?;
    let mut rows = Vec::new();
    for row in db
        .query_all(&keyset.apply(select, request)?.into_query())
        .await?
    {
        let score: i64 = row.try_get("", "score")?;
        rows.push((parts::Model::from_query_result(&row, "")?, score));
    }
    let page = keyset.page(rows, request, |(part, score)| {
        vec![
            Key::Number(*score),
            Key::Time(part.created_at),
            Key::Text(part.id.as_str().to_owned()),
        ]
    });
    Ok(page.map(|(part, score)| {
        let (snippet, ranges) = snippet(&searchable(&part), &query.terms);
        Found {
            part,
            score: score as f64 / 1_000_000.0,
            snippet,
            ranges,
        }
    }))
}

/// The text of a part that the indexes hold.
fn searchable(part: &parts::Model) -> String {
    match part.kind {
        PartType::ToolCall => {
            let state = part.data.get("state");
            let text = |key: &str| {
                state
                    .and_then(|state| state.get(key))
                    .and_then(Value::as_str)
            };
            let mut found = Vec::new();
            found.extend(text("title"));
            if let Some(input) = state.and_then(|state| state.get("input")) {
                collect_strings(input, &mut found);
            }
            found.extend(text("output"));
            found.join(" ")
        }
        _ => part
            .data
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    }
}

fn collect_strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_strings(item, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|item| collect_strings(item, found)),
        _ => {}
    }
}

/// A piece of the text from shortly before the first word that was asked for, and where such words
/// stand in it.
fn snippet(text: &str, terms: &[SearchTerm]) -> (String, Vec<(usize, usize)>) {
    let letters: Vec<char> = text.chars().collect();
    let hits = hits(&letters, terms);
    let first = hits.first().map_or(0, |hit| hit.0);
    let start = first.saturating_sub(BEFORE);
    let end = letters.len().min(start + SNIPPET);
    let ranges = hits
        .into_iter()
        .filter(|hit| hit.0 >= start && hit.1 <= end)
        .map(|hit| (hit.0 - start, hit.1 - start))
        .collect();
    (letters[start..end].iter().collect(), ranges)
}

/// Words of the text that were asked for, by their first character and the one behind the last.
fn hits(letters: &[char], terms: &[SearchTerm]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if !letters[at].is_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        while at < letters.len() && letters[at].is_alphanumeric() {
            at += 1;
        }
        let word: String = letters[start..at].iter().collect::<String>().to_lowercase();
        if terms
            .iter()
            .any(|term| !term.excluded && names(term, &word))
        {
            found.push((start, at));
        }
    }
    found
}

fn names(term: &SearchTerm, word: &str) -> bool {
    let last = term.words.len().saturating_sub(1);
    term.words.iter().enumerate().any(|(place, wanted)| {
        if term.prefix && place == last {
            word.starts_with(wanted)
        } else {
            word == wanted
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_begins_shortly_before_the_first_word_found() {
        let text = format!(
            "{} The Needle and the needle-point {}",
            "x ".repeat(200),
            "y".repeat(900)
        );
        let query = SearchQuery::parse("needle poi* -the").expect("parses");
        let (snippet, ranges) = snippet(&text, &query.terms);
        assert_eq!(snippet.chars().count(), SNIPPET);
        let words: Vec<String> = ranges
            .iter()
            .map(|(start, end)| snippet.chars().skip(*start).take(end - start).collect())
            .collect();
        assert_eq!(words, ["Needle", "needle", "point"]);
    }

    #[test]
    fn a_snippet_counts_characters_and_not_bytes() {
        let query = SearchQuery::parse("straße").expect("parses");
        let (snippet, ranges) = snippet("Älter als die STRASSE: die Straße.", &query.terms);
        assert_eq!(snippet, "Älter als die STRASSE: die Straße.");
        assert_eq!(ranges, [(27, 33)]);
    }
}
