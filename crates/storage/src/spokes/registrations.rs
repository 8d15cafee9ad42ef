//! Who offers an operation.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::engine::Engine;
use crate::entity::operation_registrations::{ActiveModel, Column, Entity, Model};
use crate::enums::{ProviderType, RegistrationStatus};
use crate::error::StorageError;
use crate::ids::{ClientId, OperationId, OperationRegistrationId, SpokeId};
use crate::json::Metadata;
use crate::row;
use crate::scope::column;
use crate::sql;
use crate::time::{self, DateTimeUtc};

/// Predicate of `unq_operation_registrations_active`; as text, because neither planner proves it for
/// parameters.
const ACTIVE: &str = "\"operation_registrations\".\"status\" = 'active'";

/// Rows of an insert.
const ROWS: usize = 500;

/// Who offers operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A spoke.
    Spoke(SpokeId),
    /// A client.
    Client(ClientId),
}

impl Provider {
    /// In which table it is.
    pub fn kind(&self) -> ProviderType {
        match self {
            Self::Spoke(_) => ProviderType::Spoke,
            Self::Client(_) => ProviderType::Client,
        }
    }

    /// Its id there.
    pub fn id(&self) -> &str {
        match self {
            Self::Spoke(id) => id.as_str(),
            Self::Client(id) => id.as_str(),
        }
    }
}

/// An operation somebody offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistration {
    /// The operation.
    pub operation_id: OperationId,
    /// The provider's own namespace for it; none = the same.
    pub pre_remap_namespace: Option<String>,
    /// The provider's own name for it; none = the same.
    pub pre_remap_name: Option<String>,
}

/// Offers operations: the newest earlier registration of each becomes active again. Answers the
/// registrations in the order given; one that is active already stays as it is. T
///
/// Errors: `ForeignKey` when an operation is gone; `Rule` of `unknown_provider`.
pub async fn register(
    db: &impl ConnectionTrait,
    provider: &Provider,
    offered: &[NewRegistration],
) -> Result<Vec<Model>, StorageError> {
    let ids: Vec<&OperationId> = offered.iter().map(|new| &new.operation_id).collect();
    let mut newest: HashMap<OperationId, Model> = HashMap::new();
    let earlier = Entity::find()
        .filter(Column::ProviderId.eq(provider.id()))
        .filter(Column::ProviderType.eq(provider.kind()))
        .filter(Engine::of(db).one_of(column("operation_registrations", "operation_id"), &ids))
        .order_by_asc(Column::RegisteredAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    for row in earlier {
        let active = row.status == RegistrationStatus::Active;
        let replaces = newest
            .get(&row.operation_id)
            .is_none_or(|kept| kept.status != RegistrationStatus::Active);
        if active || replaces {
            newest.insert(row.operation_id.clone(), row);
        }
    }
    let now = time::now();
    let mut made = Vec::new();
    for new in offered {
        match newest.get(&new.operation_id) {
            None => made.push(row(provider, new, now)),
            Some(kept) => {
                let same = kept.status == RegistrationStatus::Active
                    && kept.pre_remap_namespace == new.pre_remap_namespace
                    && kept.pre_remap_name == new.pre_remap_name;
                if !same {
                    let kept = activate(db, kept, new, now).await?;
                    newest.insert(kept.operation_id.clone(), kept);
                }
            }
        }
    }
    for chunk in made.chunks(ROWS) {
        let rows = Entity::insert_many(chunk.to_vec())
            .exec_with_returning(db)
            .await?;
        newest.extend(rows.into_iter().map(|row| (row.operation_id.clone(), row)));
    }
    offered
        .iter()
        .map(|new| {
            newest
                .get(&new.operation_id)
                .cloned()
                .ok_or_else(|| StorageError::unexpected("a registration that was just written"))
        })
        .collect()
}

/// Takes operations back, or all of them; answers how many were offered. T
pub async fn unregister(
    db: &impl ConnectionTrait,
    provider: &Provider,
    operations: Option<&[OperationId]>,
) -> Result<u64, StorageError> {
    let engine = Engine::of(db);
    let mut update = Entity::update_many()
        .set(ActiveModel {
            status: Set(RegistrationStatus::Inactive),
            ..ActiveModel::default()
        })
        .col_expr(
            Column::UpdatedAt,
            engine.touched("operation_registrations", time::now()),
        )
        .filter(Column::ProviderId.eq(provider.id()))
        .filter(Column::ProviderType.eq(provider.kind()))
        .filter(Column::Status.eq(RegistrationStatus::Active));
    if let Some(ids) = operations {
        update =
            update.filter(engine.one_of(column("operation_registrations", "operation_id"), ids));
    }
    Ok(update.exec(db).await?.rows_affected)
}

/// Who offers, or has offered, an operation; the earliest activation first.
pub async fn registrations_of_operation(
    db: &impl ConnectionTrait,
    operation: &OperationId,
    active_only: bool,
) -> Result<Vec<Model>, StorageError> {
    let mut select = Entity::find().filter(Column::OperationId.eq(operation.clone()));
    if active_only {
        select = select.filter(Expr::cust(ACTIVE));
    }
    Ok(select
        .order_by_asc(Column::RegisteredAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// What somebody offers, or has offered.
pub async fn registrations_of_provider(
    db: &impl ConnectionTrait,
    provider: &Provider,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::ProviderId.eq(provider.id()))
        .filter(Column::ProviderType.eq(provider.kind()))
        .order_by_asc(Column::OperationId)
        .order_by_asc(Column::RegisteredAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// Everything that is offered now, by operation and provider.
pub async fn active_registrations(db: &impl ConnectionTrait) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Expr::cust(ACTIVE))
        .order_by_asc(Column::OperationId)
        .order_by_asc(Column::ProviderId)
        .all(db)
        .await?)
}

/// Who offers each of many operations now.
pub async fn load_registrations(
    db: &impl ConnectionTrait,
    operations: &[OperationId],
) -> Result<BTreeMap<OperationId, Vec<Model>>, StorageError> {
    let mine = Engine::of(db).one_of(
        column("operation_registrations", "operation_id"),
        operations,
    );
    let mut by_operation: BTreeMap<OperationId, Vec<Model>> = BTreeMap::new();
    for row in Entity::find()
        .filter(mine)
        .filter(Expr::cust(ACTIVE))
        .order_by_asc(Column::RegisteredAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?
    {
        by_operation
            .entry(row.operation_id.clone())
            .or_default()
            .push(row);
    }
    Ok(by_operation)
}

/// Deletes inactive registrations activated before a moment, but the newest of each operation and
/// provider; answers how many. T
pub async fn prune_registrations(
    db: &impl ConnectionTrait,
    older_than: DateTimeUtc,
) -> Result<u64, StorageError> {
    sql::execute(
        db,
        "delete from operation_registrations where status = 'inactive' and registered_at < $1
         and exists (
             select 1 from operation_registrations newer
             where newer.operation_id = operation_registrations.operation_id
               and newer.provider_type = operation_registrations.provider_type
               and newer.provider_id = operation_registrations.provider_id
               and (newer.registered_at, newer.id)
                   > (operation_registrations.registered_at, operation_registrations.id))",
        [older_than.into()],
    )
    .await
}

async fn activate(
    db: &impl ConnectionTrait,
    kept: &Model,
    new: &NewRegistration,
    now: DateTimeUtc,
) -> Result<Model, StorageError> {
    let mut changes = ActiveModel {
        pre_remap_namespace: Set(new.pre_remap_namespace.clone()),
        pre_remap_name: Set(new.pre_remap_name.clone()),
        ..ActiveModel::default()
    };
    if kept.status != RegistrationStatus::Active {
        changes.status = Set(RegistrationStatus::Active);
        changes.registered_at = Set(now);
    }
    row::update::<Entity, _>(db, kept.id.clone(), changes, None).await
}

fn row(provider: &Provider, new: &NewRegistration, now: DateTimeUtc) -> ActiveModel {
    ActiveModel {
        id: Set(OperationRegistrationId::random()),
        operation_id: Set(new.operation_id.clone()),
        provider_type: Set(provider.kind()),
        provider_id: Set(provider.id().to_owned()),
        status: Set(RegistrationStatus::Active),
        pre_remap_namespace: Set(new.pre_remap_namespace.clone()),
        pre_remap_name: Set(new.pre_remap_name.clone()),
        registered_at: Set(now),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    }
}
