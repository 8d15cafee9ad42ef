//! Table `hub_budgets`: limits of spending.

use sea_orm::entity::prelude::*;

use crate::ids::BudgetId;

/// A limit of one subject in one period.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "hub_budgets")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: BudgetId,
    /// Kind of subject.
    #[sea_orm(column_type = "Text")]
    pub subject_type: String,
    /// Its id.
    #[sea_orm(column_type = "Text")]
    pub subject_id: String,
    /// Length of the period.
    #[sea_orm(column_type = "Text")]
    pub period: String,
    /// What happens at the limit.
    #[sea_orm(column_type = "Text")]
    pub action: String,
    /// Millionths of a US dollar.
    pub limit_cost_micros: Option<i64>,
    /// Tokens.
    pub limit_tokens: Option<i64>,
    /// Part of the limit at which to warn, 0 to 1.
    #[sea_orm(column_type = "Double")]
    pub warn_at: f64,
    /// Creation.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
