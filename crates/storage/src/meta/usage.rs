//! Tokens and cost by day and subject, and the limits on them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Value,
};

use crate::engine::Engine;
use crate::entity::{hub_budgets, hub_usage};
use crate::error::StorageError;
use crate::ids::BudgetId;
use crate::{sql, time};

/// Usage of one day by one combination of subjects; `''` = none.
pub type UsageEntry = hub_usage::Model;

/// A limit of a subject.
pub type Budget = hub_budgets::Model;

/// Sums over usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct Usage {
    /// Requests made.
    pub requests: i64,
    /// Requests that failed.
    pub errors: i64,
    /// Tokens read.
    pub tokens_input: i64,
    /// Tokens written.
    pub tokens_output: i64,
    /// Tokens taken from a cache.
    pub tokens_cached: i64,
    /// Tokens thought.
    pub tokens_reasoning: i64,
    /// Millionths of a US dollar.
    pub cost_micros: i64,
}

/// Which usage is meant: days from `from` to `to`, both included, of the subjects named.
#[derive(Debug, Clone, Default)]
pub struct UsageFilter {
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day.
    pub to: Option<NaiveDate>,
    /// Subjects and the value each must have.
    pub subjects: Vec<(UsageDimension, String)>,
}

/// What usage is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageDimension {
    /// The day in UTC.
    Day,
    /// The account.
    Account,
    /// The key.
    Key,
    /// The organization.
    Organization,
    /// The project.
    Project,
    /// The session.
    Session,
    /// The task.
    Task,
    /// The client.
    Client,
    /// The model.
    Model,
}

impl UsageDimension {
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Account => "account_id",
            Self::Key => "key_id",
            Self::Organization => "org_id",
            Self::Project => "project_id",
            Self::Session => "session_id",
            Self::Task => "task_id",
            Self::Client => "client_id",
            Self::Model => "model",
        }
    }
}

/// A limit to be set.
#[derive(Debug, Clone)]
pub struct NewBudget {
    /// Kind of subject.
    pub subject_type: String,
    /// Its id.
    pub subject_id: String,
    /// Length of the period.
    pub period: String,
    /// What happens at the limit.
    pub action: String,
    /// Millionths of a US dollar.
    pub limit_cost_micros: Option<i64>,
    /// Tokens.
    pub limit_tokens: Option<i64>,
    /// Part of the limit at which to warn, 0 to 1.
    pub warn_at: f64,
}

const NUMBERS: [hub_usage::Column; 7] = [
    hub_usage::Column::Requests,
    hub_usage::Column::Errors,
    hub_usage::Column::TokensInput,
    hub_usage::Column::TokensOutput,
    hub_usage::Column::TokensCached,
    hub_usage::Column::TokensReasoning,
    hub_usage::Column::CostMicros,
];

const KEY: [hub_usage::Column; 9] = [
    hub_usage::Column::Day,
    hub_usage::Column::AccountId,
    hub_usage::Column::KeyId,
    hub_usage::Column::OrgId,
    hub_usage::Column::ProjectId,
    hub_usage::Column::SessionId,
    hub_usage::Column::TaskId,
    hub_usage::Column::ClientId,
    hub_usage::Column::Model,
];

const SUMS: &str = "\
    cast(coalesce(sum(requests), 0) as bigint) as requests,
    cast(coalesce(sum(errors), 0) as bigint) as errors,
    cast(coalesce(sum(tokens_input), 0) as bigint) as tokens_input,
    cast(coalesce(sum(tokens_output), 0) as bigint) as tokens_output,
    cast(coalesce(sum(tokens_cached), 0) as bigint) as tokens_cached,
    cast(coalesce(sum(tokens_reasoning), 0) as bigint) as tokens_reasoning,
    cast(coalesce(sum(cost_micros), 0) as bigint) as cost_micros";

/// Adds to the usage of each day and combination.
pub async fn add_usage(
    db: &impl ConnectionTrait,
    entries: Vec<UsageEntry>,
) -> Result<(), StorageError> {
    let rows = folded(entries);
    let engine = Engine::of(db);
    let mut conflict = OnConflict::columns(KEY);
    for column in NUMBERS {
        use sea_orm::IdenStatic;
        let name = column.as_str();
        conflict.value(
            column,
            sea_orm::sea_query::Expr::cust(format!("hub_usage.{name} + excluded.{name}")),
        );
    }
    for chunk in rows.chunks(engine.max_parameters() / 16) {
        let rows = chunk.iter().cloned().map(active);
        hub_usage::Entity::insert_many(rows)
            .on_conflict(conflict.clone())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

/// Everything that matches, in one sum.
pub async fn sum_usage(
    db: &impl ConnectionTrait,
    filter: &UsageFilter,
) -> Result<Usage, StorageError> {
    let (condition, values) = condition(filter);
    let text = format!("select {SUMS} from hub_usage where {condition}");
    sql::one(db, &text, values)
        .await?
        .ok_or_else(|| StorageError::unexpected("a sum without an answer"))
}

/// What matches, summed by the value of one dimension, in its order; at most `limit` values.
pub async fn list_usage(
    db: &impl ConnectionTrait,
    filter: &UsageFilter,
    by: UsageDimension,
    limit: u16,
) -> Result<Vec<(String, Usage)>, StorageError> {
    let (condition, mut values) = condition(filter);
    values.push(i64::from(limit).into());
    let column = by.column();
    let ordered = match Engine::of(db) {
        Engine::Sqlite => format!("cast({column} as text)"),
        Engine::Postgres => format!("cast({column} as text) collate \"C\""),
    };
    let text = format!(
        "select cast({column} as text) as subject, {SUMS} from hub_usage where {condition}
         group by {column} order by {ordered} limit ${}",
        values.len()
    );
    sql::rows(db, &text, values)
        .await?
        .iter()
        .map(|row| {
            Ok((
                row.try_get("", "subject")?,
                Usage::from_query_result(row, "")?,
            ))
        })
        .collect()
}

/// Sets the limit of a subject in a period, in place of an earlier one.
pub async fn set_budget(db: &impl ConnectionTrait, new: NewBudget) -> Result<Budget, StorageError> {
    use hub_budgets::Column;
    let now = time::now();
    let row = hub_budgets::ActiveModel {
        id: Set(BudgetId::random()),
        subject_type: Set(new.subject_type),
        subject_id: Set(new.subject_id),
        period: Set(new.period),
        action: Set(new.action),
        limit_cost_micros: Set(new.limit_cost_micros),
        limit_tokens: Set(new.limit_tokens),
        warn_at: Set(new.warn_at),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(hub_budgets::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([Column::SubjectType, Column::SubjectId, Column::Period])
                .update_columns([
                    Column::Action,
                    Column::LimitCostMicros,
                    Column::LimitTokens,
                    Column::WarnAt,
                    Column::UpdatedAt,
                ])
                .to_owned(),
        )
        .exec_with_returning(db)
        .await?)
}

/// The limits of a subject, or all of them.
pub async fn list_budgets(
    db: &impl ConnectionTrait,
    subject: Option<(&str, &str)>,
) -> Result<Vec<Budget>, StorageError> {
    use hub_budgets::Column;
    let mut select = hub_budgets::Entity::find().order_by_asc(Column::CreatedAt);
    if let Some((kind, id)) = subject {
        select = select
            .filter(Column::SubjectType.eq(kind))
            .filter(Column::SubjectId.eq(id));
    }
    Ok(select.order_by_asc(Column::Id).all(db).await?)
}

/// Removes a limit; the answer says whether it was there.
pub async fn delete_budget(db: &impl ConnectionTrait, id: &BudgetId) -> Result<bool, StorageError> {
    let deleted = hub_budgets::Entity::delete_by_id(id.clone())
        .exec(db)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// One row a key: a statement may not touch a row twice.
fn folded(entries: Vec<UsageEntry>) -> Vec<UsageEntry> {
    let mut by_key: BTreeMap<[String; 9], UsageEntry> = BTreeMap::new();
    for entry in entries {
        let key = [
            entry.day.to_string(),
            entry.account_id.clone(),
            entry.key_id.clone(),
            entry.org_id.clone(),
            entry.project_id.clone(),
            entry.session_id.clone(),
            entry.task_id.clone(),
            entry.client_id.clone(),
            entry.model.clone(),
        ];
        match by_key.get_mut(&key) {
            None => {
                by_key.insert(key, entry);
            }
            Some(sum) => {
                sum.requests += entry.requests;
                sum.errors += entry.errors;
                sum.tokens_input += entry.tokens_input;
                sum.tokens_output += entry.tokens_output;
                sum.tokens_cached += entry.tokens_cached;
                sum.tokens_reasoning += entry.tokens_reasoning;
                sum.cost_micros += entry.cost_micros;
            }
        }
    }
    by_key.into_values().collect()
}

/// Every column is set; a model converted as a whole would leave its key out.
fn active(row: UsageEntry) -> hub_usage::ActiveModel {
    hub_usage::ActiveModel {
        day: Set(row.day),
        account_id: Set(row.account_id),
        key_id: Set(row.key_id),
        org_id: Set(row.org_id),
        project_id: Set(row.project_id),
        session_id: Set(row.session_id),
        task_id: Set(row.task_id),
        client_id: Set(row.client_id),
        model: Set(row.model),
        requests: Set(row.requests),
        errors: Set(row.errors),
        tokens_input: Set(row.tokens_input),
        tokens_output: Set(row.tokens_output),
        tokens_cached: Set(row.tokens_cached),
        tokens_reasoning: Set(row.tokens_reasoning),
        cost_micros: Set(row.cost_micros),
    }
}

fn condition(filter: &UsageFilter) -> (String, Vec<Value>) {
    let mut parts = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    if let Some(from) = filter.from {
        values.push(from.into());
        parts.push(format!("day >= ${}", values.len()));
    }
    if let Some(to) = filter.to {
        values.push(to.into());
        parts.push(format!("day <= ${}", values.len()));
    }
    for (dimension, value) in &filter.subjects {
        values.push(value.as_str().into());
        parts.push(format!(
            "cast({} as text) = ${}",
            dimension.column(),
            values.len()
        ));
    }
    (parts.join(" and "), values)
}
