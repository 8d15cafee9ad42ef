//! Table `operation_registrations`.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Condition, DynIden, ExprTrait, IntoCondition};

use crate::enums::{ProviderType, RegistrationStatus};
use crate::ids::{OperationId, OperationRegistrationId};
use crate::json::Metadata;

/// Who offers an operation.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "operation_registrations")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: OperationRegistrationId,
    /// The operation.
    #[sea_orm(column_type = "Text")]
    pub operation_id: OperationId,
    /// In which table the provider is.
    pub provider_type: ProviderType,
    /// Id of the spoke or client; no foreign key.
    #[sea_orm(column_type = "Text")]
    pub provider_id: String,
    /// Whether it is offered now.
    pub status: RegistrationStatus,
    /// The provider's own namespace for it; none = the same.
    #[sea_orm(column_type = "Text", nullable)]
    pub pre_remap_namespace: Option<String>,
    /// The provider's own name for it; none = the same.
    #[sea_orm(column_type = "Text", nullable)]
    pub pre_remap_name: Option<String>,
    /// Last activation.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub registered_at: DateTimeUtc,
    /// The hub's own notes; a missing object reads as an empty one.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Metadata,
    /// Creation of the row; never changes.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub created_at: DateTimeUtc,
    /// Last change.
    #[sea_orm(column_type = "TimestampWithTimeZone")]
    pub updated_at: DateTimeUtc,
    /// Relation by `operation_id`.
    #[sea_orm(
        belongs_to,
        relation_enum = "Operation",
        from = "operation_id",
        to = "id"
    )]
    pub operation: BelongsTo<super::operations::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The registrations of a spoke.
#[derive(Debug, Clone, Copy)]
pub struct OfSpoke;

impl Linked for OfSpoke {
    type FromEntity = super::spokes::Entity;
    type ToEntity = Entity;

    fn link(&self) -> Vec<RelationDef> {
        vec![provided(
            super::spokes::Entity,
            super::spokes::Column::Id,
            ProviderType::Spoke,
        )]
    }
}

/// The registrations of a client.
#[derive(Debug, Clone, Copy)]
pub struct OfClient;

impl Linked for OfClient {
    type FromEntity = super::clients::Entity;
    type ToEntity = Entity;

    fn link(&self) -> Vec<RelationDef> {
        vec![provided(
            super::clients::Entity,
            super::clients::Column::Id,
            ProviderType::Client,
        )]
    }
}

/// The spoke behind a registration; none when a client provides it.
#[derive(Debug, Clone, Copy)]
pub struct BySpoke;

impl Linked for BySpoke {
    type FromEntity = Entity;
    type ToEntity = super::spokes::Entity;

    fn link(&self) -> Vec<RelationDef> {
        vec![provider(
            super::spokes::Entity,
            super::spokes::Column::Id,
            ProviderType::Spoke,
        )]
    }
}

/// The client behind a registration; none when a spoke provides it.
#[derive(Debug, Clone, Copy)]
pub struct ByClient;

impl Linked for ByClient {
    type FromEntity = Entity;
    type ToEntity = super::clients::Entity;

    fn link(&self) -> Vec<RelationDef> {
        vec![provider(
            super::clients::Entity,
            super::clients::Column::Id,
            ProviderType::Client,
        )]
    }
}

/// `provider_id` names a row of the table `provider_type` says, so no foreign key fits.
fn provider<E, C>(table: E, id: C, kind: ProviderType) -> RelationDef
where
    E: EntityTrait,
    C: sea_orm::IdentityOf<E>,
{
    Entity::belongs_to(table)
        .from(Column::ProviderId)
        .to(id)
        .on_condition(move |registrations, _| of_kind(registrations, kind))
        .into()
}

/// Like [`provider`], seen from the other table: the registrations stand on the right.
fn provided<E, C>(table: E, id: C, kind: ProviderType) -> RelationDef
where
    E: EntityTrait,
    C: sea_orm::IdentityOf<E>,
{
    let mut relation = provider(table, id, kind).rev();
    relation.on_condition = Some(std::sync::Arc::new(move |_, registrations| {
        of_kind(registrations, kind)
    }));
    relation
}

fn of_kind(registrations: DynIden, kind: ProviderType) -> Condition {
    Expr::col((registrations, Column::ProviderType))
        .eq(kind)
        .into_condition()
}
