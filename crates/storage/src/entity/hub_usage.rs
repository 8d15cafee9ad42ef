//! Table `hub_usage`: tokens and cost by day and subject; `''` stands for "none".

use sea_orm::entity::prelude::*;

/// Usage of one day by one combination of subjects.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hub_usage")]
pub struct Model {
    /// Day in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Date,
    /// Account.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub account_id: String,
    /// Key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key_id: String,
    /// Organization.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub org_id: String,
    /// Project.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub project_id: String,
    /// Session.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub session_id: String,
    /// Task.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub task_id: String,
    /// Client.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub client_id: String,
    /// Model.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub model: String,
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

impl ActiveModelBehavior for ActiveModel {}
