//! Pages of a list: a position in its order, not a number of rows to skip.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use sea_orm::{EntityTrait, Select};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::StorageError;
use crate::time::DateTimeUtc;

/// Most rows of a page.
pub const MAX_LIMIT: u16 = 500;
/// Rows of a page unless told otherwise.
pub const DEFAULT_LIMIT: u16 = 50;

/// Direction of a list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Order {
    /// Oldest or smallest first.
    Asc,
    /// Newest or greatest first.
    #[default]
    Desc,
}

/// Which page is wanted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// `next_cursor` of the page before; none = the first page.
    pub cursor: Option<String>,
    /// Rows wanted, 1 to 500; other numbers are brought into that range.
    pub limit: u16,
    /// Direction.
    pub order: Order,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            cursor: None,
            limit: DEFAULT_LIMIT,
            order: Order::Desc,
        }
    }
}

impl PageRequest {
    /// The first `limit` rows, newest or greatest first.
    pub fn first(limit: u16) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The page after, with the same limit and order.
    #[must_use]
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }

    /// The same page in another direction.
    #[must_use]
    pub fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Rows of the page.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.limit.clamp(1, MAX_LIMIT))
    }

    /// Rows to read: one more tells whether another page follows.
    pub(crate) fn rows_to_read(&self) -> u64 {
        u64::from(self.limit.clamp(1, MAX_LIMIT)) + 1
    }
}

/// Some rows of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page of other things.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// A value rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Text(String),
    Time(DateTimeUtc),
    Number(i64),
}

/// What a list is sorted by: expressions that together are unique, and how each reads from a cursor.
pub(crate) struct Keyset {
    keys: Vec<(SimpleExpr, KeyKind)>,
    order: Order,
    filters: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Time,
    Number,
}

impl Keyset {
    /// A keyset; `filters` are whatever tells one list from another, so that a cursor of one is
    /// refused by the other.
    pub(crate) fn new(
        keys: Vec<(SimpleExpr, KeyKind)>,
        order: Order,
        filters: &impl Serialize,
    ) -> Result<Self, StorageError> {
        let text = serde_json::to_vec(filters)
            .map_err(|_| StorageError::unexpected("filters that are no JSON"))?;
        let digest = Sha256::digest(&text);
        Ok(Self {
            keys,
            order,
            filters: URL_SAFE_NO_PAD.encode(&digest[..9]),
        })
    }

    /// The order most lists have: by creation.
    pub(crate) fn by_creation(
        table: &str,
        order: Order,
        filters: &impl Serialize,
    ) -> Result<Self, StorageError> {
        let column = |name: &str| Expr::cust(format!("\"{table}\".\"{name}\""));
        Self::new(
            vec![
                (column("created_at"), KeyKind::Time),
                (column("id"), KeyKind::Text),
            ],
            order,
            &(table, filters),
        )
    }

    /// Adds order, position and limit to a query.
    pub(crate) fn apply<S>(&self, select: S, request: &PageRequest) -> Result<S, StorageError>
    where
        S: QueryFilter + QueryOrder + QuerySelect,
    {
        let mut select = select;
        if let Some(position) = self.position(request)? {
            select = select.filter(position);
        }
        let direction = match self.order {
            Order::Asc => sea_orm::Order::Asc,
            Order::Desc => sea_orm::Order::Desc,
        };
        for (key, _) in &self.keys {
            select = select.order_by(key.clone(), direction.clone());
        }
        Ok(select.limit(request.rows_to_read()))
    }

    /// The condition for rows behind the cursor.
    pub(crate) fn position(
        &self,
        request: &PageRequest,
    ) -> Result<Option<SimpleExpr>, StorageError> {
        let Some(cursor) = &request.cursor else {
            return Ok(None);
        };
        let values = self.decode(cursor)?;
        let left = Expr::tuple(self.keys.iter().map(|(key, _)| key.clone()));
        let right = Expr::tuple(values.into_iter().map(|key| match key {
            Key::Text(text) => Expr::val(text),
            Key::Time(moment) => Expr::val(moment),
            Key::Number(number) => Expr::val(number),
        }));
        Ok(Some(match self.order {
            Order::Asc => left.gt(right),
            Order::Desc => left.lt(right),
        }))
    }

    /// Cuts the extra row off and makes the cursor of the next page.
    pub(crate) fn page<T>(
        &self,
        mut rows: Vec<T>,
        request: &PageRequest,
        keys: impl Fn(&T) -> Vec<Key>,
    ) -> Page<T> {
        let more = rows.len() > request.rows();
        rows.truncate(request.rows());
        let next_cursor = if more {
            rows.last().map(|last| self.encode(&keys(last)))
        } else {
            None
        };
        Page {
            items: rows,
            next_cursor,
        }
    }

    /// `[key…, direction, filters]` as base64url.
    fn encode(&self, keys: &[Key]) -> String {
        let mut parts: Vec<serde_json::Value> = keys
            .iter()
            .map(|key| match key {
                Key::Text(text) => text.as_str().into(),
                Key::Time(moment) => moment.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
                Key::Number(number) => (*number).into(),
            })
            .collect();
        parts.push(self.order.to_string().into());
        parts.push(self.filters.as_str().into());
        URL_SAFE_NO_PAD.encode(serde_json::Value::Array(parts).to_string())
    }

    fn decode(&self, cursor: &str) -> Result<Vec<Key>, StorageError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| StorageError::Cursor)?;
        let parts: Vec<serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|_| StorageError::Cursor)?;
        let [keys @ .., order, filters] = parts.as_slice() else {
            return Err(StorageError::Cursor);
        };
        if keys.len() != self.keys.len()
            || order.as_str() != Some(self.order.to_string().as_str())
            || filters.as_str() != Some(self.filters.as_str())
        {
            return Err(StorageError::Cursor);
        }
        keys.iter()
            .zip(&self.keys)
            .map(|(value, (_, kind))| read_key(value, *kind).ok_or(StorageError::Cursor))
            .collect()
    }
}

/// Reads one page of rows of a table in the order of creation.
pub(crate) async fn by_creation<E, C>(
    db: &C,
    select: Select<E>,
    table: &str,
    filters: &impl Serialize,
    request: &PageRequest,
    keys: impl Fn(&E::Model) -> (DateTimeUtc, String),
) -> Result<Page<E::Model>, StorageError>
where
    E: EntityTrait,
    E::Model: FromQueryResult,
    C: ConnectionTrait,
{
    let keyset = Keyset::by_creation(table, request.order, filters)?;
    let rows = keyset.apply(select, request)?.all(db).await?;
    Ok(keyset.page(rows, request, |row| {
        let (created_at, id) = keys(row);
        vec![Key::Time(created_at), Key::Text(id)]
    }))
}

fn read_key(value: &serde_json::Value, kind: KeyKind) -> Option<Key> {
    match kind {
        KeyKind::Text => value.as_str().map(|text| Key::Text(text.to_owned())),
        KeyKind::Number => value.as_i64().map(Key::Number),
        KeyKind::Time => DateTime::parse_from_rfc3339(value.as_str()?)
            .ok()
            .map(|moment| Key::Time(moment.with_timezone(&Utc))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyset(order: Order, filters: &str) -> Keyset {
        Keyset::by_creation("tasks", order, &filters).unwrap()
    }

    #[test]
    fn a_cursor_carries_the_moment_as_it_is_stored() {
        let moment = DateTime::parse_from_rfc3339("2026-11-24T08:10:53.120456Z")
            .unwrap()
            .to_utc();
        let keys = vec![Key::Time(moment), Key::Text("id".to_owned())];
        let list = keyset(Order::Desc, "a");
        assert_eq!(list.decode(&list.encode(&keys)).unwrap(), keys);
    }

    #[test]
    fn a_cursor_of_another_list_or_direction_is_refused() {
        let list = keyset(Order::Desc, "a");
        let cursor = list.encode(&[Key::Time(Utc::now()), Key::Text("id".to_owned())]);
        for other in [keyset(Order::Desc, "b"), keyset(Order::Asc, "a")] {
            assert!(matches!(other.decode(&cursor), Err(StorageError::Cursor)));
        }
        for broken in ["", "!", "AAAA", "e30", "W10"] {
            assert!(
                matches!(list.decode(broken), Err(StorageError::Cursor)),
                "{broken}"
            );
        }
    }
}
