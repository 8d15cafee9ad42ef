//! Writing one row: what every update shares.

use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable,
    PrimaryKeyToColumn, QueryFilter, Select, TryGetable, Value,
};

use crate::engine::Engine;
use crate::error::StorageError;
use crate::time::{self, DateTimeUtc};

/// Sets the columns that `changes` sets, and `updated_at` to now, at least 1 ms after the old value.
///
/// With `unchanged_since` the row must still have that `updated_at`.
/// Errors: `NotFound`, `Stale`.
pub(crate) async fn update<E, A>(
    db: &impl ConnectionTrait,
    id: impl Into<Value> + Clone,
    changes: A,
    unchanged_since: Option<DateTimeUtc>,
) -> Result<E::Model, StorageError>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    update_with::<E, A>(db, id, changes, Vec::new(), unchanged_since).await
}

/// Like [`update`], with further columns set to expressions.
pub(crate) async fn update_with<E, A>(
    db: &impl ConnectionTrait,
    id: impl Into<Value> + Clone,
    changes: A,
    expressions: Vec<(E::Column, SimpleExpr)>,
    unchanged_since: Option<DateTimeUtc>,
) -> Result<E::Model, StorageError>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let engine = Engine::of(db);
    let id: Value = id.into();
    let key = key_column::<E>()?;
    let touched = named_column::<E>("updated_at")?;
    let table = E::default().table_name().to_owned();
    let mut update = E::update_many()
        .set(changes)
        .col_expr(touched, engine.touched(&table, time::now()))
        .filter(key.eq(id.clone()));
    for (column, expression) in expressions {
        update = update.col_expr(column, expression);
    }
    if let Some(moment) = unchanged_since {
        update = update.filter(engine.same_moment(&table, "updated_at", moment));
    }
    let mut rows = update.exec_with_returning(db).await?;
    match rows.pop() {
        Some(row) => Ok(row),
        None if unchanged_since.is_some() => {
            let exists = E::find().filter(key.eq(id)).one(db).await?.is_some();
            Err(if exists {
                StorageError::Stale
            } else {
                StorageError::NotFound
            })
        }
        None => Err(StorageError::NotFound),
    }
}

fn key_column<E: EntityTrait>() -> Result<E::Column, StorageError> {
    E::PrimaryKey::iter()
        .next()
        .map(PrimaryKeyToColumn::into_column)
        .ok_or_else(|| StorageError::unexpected("a table without a key"))
}

fn named_column<E: EntityTrait>(name: &str) -> Result<E::Column, StorageError> {
    E::Column::iter()
        .find(|column| column.as_str() == name)
        .ok_or_else(|| StorageError::unexpected("a table without a column"))
}

/// `Set` when there is a value, untouched otherwise.
pub(crate) fn set_if<T: Into<Value>>(value: Option<T>) -> sea_orm::ActiveValue<T> {
    value.map_or(sea_orm::ActiveValue::NotSet, sea_orm::ActiveValue::Set)
}

/// How many rows have each value of an enum column, by value.
pub(crate) async fn count_by<T>(
    db: &impl ConnectionTrait,
    table: &str,
    column: &str,
    condition: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<(T, u64)>, StorageError>
where
    T: std::str::FromStr,
{
    let text = format!(
        "select {column}, count(*) from {table} where {condition} group by {column} order by {column}"
    );
    crate::sql::rows(db, &text, values)
        .await?
        .iter()
        .map(|row| {
            let word: String = row.try_get_by_index(0)?;
            let number: i64 = row.try_get_by_index(1)?;
            let word = word
                .parse()
                .map_err(|_| StorageError::unexpected("a word outside its set"))?;
            let number =
                u64::try_from(number).map_err(|_| StorageError::unexpected("a negative count"))?;
            Ok((word, number))
        })
        .collect()
}

/// The groups of a query that selects a column and `count(*)`.
pub(crate) async fn counted<E, T>(
    db: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Vec<(T, u64)>, StorageError>
where
    E: EntityTrait,
    T: TryGetable + Send,
{
    let rows: Vec<(T, i64)> = select.into_tuple().all(db).await?;
    Ok(rows
        .into_iter()
        .map(|(group, number)| (group, number.unsigned_abs()))
        .collect())
}

/// Writes a moment into a time column of many rows, as one statement; never sets it back.
pub(crate) async fn write_moments<I: AsRef<str>>(
    db: &impl ConnectionTrait,
    table: &str,
    column: &str,
    moments: &[(I, DateTimeUtc)],
) -> Result<u64, StorageError> {
    if moments.is_empty() {
        return Ok(0);
    }
    let engine = Engine::of(db);
    let next = engine.next_moment_sql(&format!("{table}.updated_at"));
    let greatest = engine.greatest();
    let now = time::now();
    let (source, values): (String, Vec<Value>) = match engine {
        Engine::Sqlite => {
            let listed: Vec<serde_json::Value> = moments
                .iter()
                .map(|(id, at)| serde_json::json!([id.as_ref(), engine.moment_text(*at)]))
                .collect();
            (
                "(select value ->> 0 as id, value ->> 1 as at from json_each($2))".to_owned(),
                vec![
                    now.into(),
                    serde_json::Value::from(listed).to_string().into(),
                ],
            )
        }
        Engine::Postgres => {
            let ids: Vec<&str> = moments.iter().map(|(id, _)| id.as_ref()).collect();
            let at: Vec<DateTimeUtc> = moments.iter().map(|(_, at)| *at).collect();
            (
                "(select * from unnest($2::text[], $3::timestamptz[]) as u(id, at))".to_owned(),
                vec![now.into(), crate::engine::text_array(&ids), at.into()],
            )
        }
    };
    let text = format!(
        "update {table} set {column} = given.at, updated_at = {greatest}($1, {next})
         from {source} as given
         where {table}.id = given.id and ({table}.{column} is null or {table}.{column} < given.at)"
    );
    crate::sql::execute(db, &text, values).await
}
