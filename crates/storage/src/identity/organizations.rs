//! Organizations and who belongs to them.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::organizations::{ActiveModel, Column, Entity, Model};
use crate::entity::{accounts, organization_members as members, projects};
use crate::enums::{AccountStatus, MembershipLevel};
use crate::error::StorageError;
use crate::ids::{AccountId, OrganizationId, OrganizationMemberId};
use crate::json::{Metadata, OrganizationSettings};
use crate::page::{self, Key, Keyset, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};

/// An organization to be made.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Unique shown name.
    pub name: String,
    /// Unique name in addresses.
    pub slug: String,
    /// Its first owner.
    pub owner_id: AccountId,
    /// Linked Gitea organization.
    pub gitea_org_name: Option<String>,
    /// Settings.
    pub data: Option<OrganizationSettings>,
    /// Notes.
    pub metadata: Metadata,
}

/// What to change of an organization; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct OrganizationChanges {
    /// Unique shown name.
    pub name: Option<String>,
    /// Unique name in addresses.
    pub slug: Option<String>,
    /// Linked Gitea organization.
    pub gitea_org_name: Option<Option<String>>,
    /// Settings.
    pub data: Option<Option<OrganizationSettings>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which organizations are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OrganizationFilter {
    /// Part of the name or slug, without regard to case.
    pub search: Option<String>,
    /// With this member.
    pub member: Option<AccountId>,
}

/// An organization and what the asked account may do there.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// The organization.
    pub organization: Model,
    /// The level.
    pub level: MembershipLevel,
}

/// A membership and its account.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The membership.
    pub membership: members::Model,
    /// The account.
    pub account: accounts::Model,
}

/// What stays when an organization goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detached {
    /// Projects that are personal now.
    pub projects: u64,
    /// Clients that are personal now.
    pub clients: u64,
}

/// Makes an organization and its owner's membership. T
///
/// Errors: `Unique` of `unq_organizations_name`, `unq_organizations_slug`; `ForeignKey`.
pub async fn create_organization(
    db: &impl ConnectionTrait,
    new: NewOrganization,
) -> Result<Model, StorageError> {
    let now = time::now();
    let row = ActiveModel {
        id: Set(OrganizationId::random()),
        name: Set(new.name),
        slug: Set(new.slug),
        owner_id: Set(new.owner_id.clone()),
        gitea_org_name: Set(new.gitea_org_name),
        data: Set(new.data),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let organization = Entity::insert(row).exec_with_returning(db).await?;
    add_member(db, &organization.id, &new.owner_id, MembershipLevel::Owner).await?;
    Ok(organization)
}

/// The organization with this id.
pub async fn organization_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &OrganizationId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone())
        .filter(scope.organizations(Engine::of(db)))
        .one(db)
        .await?)
}

/// The organization with this slug.
pub async fn organization_by_slug(
    db: &impl ConnectionTrait,
    scope: &Scope,
    slug: &str,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Slug.eq(slug))
        .filter(scope.organizations(Engine::of(db)))
        .one(db)
        .await?)
}

/// The organizations linked to a Gitea organization, oldest first.
pub async fn organizations_by_gitea_name(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::GiteaOrgName.eq(name))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// The organizations an account owns, by name.
pub async fn organizations_owned_by(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::OwnerId.eq(account.clone()))
        .order_by_asc(Engine::of(db).bytewise("organizations", "name"))
        .all(db)
        .await?)
}

/// Organizations the asker may see.
pub async fn list_organizations(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &OrganizationFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let mut select = Entity::find().filter(scope.organizations(engine));
    if let Some(text) = &filter.search {
        select = select.filter(
            engine
                .contains(column("organizations", "name"), text)
                .or(engine.contains(column("organizations", "slug"), text)),
        );
    }
    if let Some(member) = &filter.member {
        let of_member = members::Entity::find()
            .select_only()
            .column(members::Column::OrgId)
            .filter(members::Column::AccountId.eq(member.clone()));
        select = select.filter(
            column("organizations", "id").in_subquery(sea_orm::QueryTrait::into_query(of_member)),
        );
    }
    page::by_creation(db, select, "organizations", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Changes an organization.
///
/// Errors: `NotFound`, `Stale`, `Unique`.
pub async fn update_organization(
    db: &impl ConnectionTrait,
    id: &OrganizationId,
    changes: OrganizationChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        name: set_if(changes.name),
        slug: set_if(changes.slug),
        gitea_org_name: set_if(changes.gitea_org_name),
        data: set_if(changes.data),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Gives an organization another administrative owner; the old one keeps the level `keep_as`. T
///
/// Errors: `NotFound`; `Rule` of `not_a_member`, `account_inactive`.
pub async fn transfer_ownership(
    db: &impl ConnectionTrait,
    id: &OrganizationId,
    to: &AccountId,
    keep_as: MembershipLevel,
) -> Result<Model, StorageError> {
    let organization = lock(db, id).await?;
    if organization.owner_id == *to {
        return Ok(organization);
    }
    let refused = |name: &str| {
        Err(StorageError::Rule {
            name: name.to_owned(),
        })
    };
    if membership(db, id, to).await?.is_none() {
        return refused("not_a_member");
    }
    let account = super::lock_account(db, to).await?;
    if account.status != AccountStatus::Active {
        return refused("account_inactive");
    }
    // In this order: an owner must be an owner-level member before, and may be lowered only after.
    set_member_level(db, id, to, MembershipLevel::Owner).await?;
    let changes = ActiveModel {
        owner_id: Set(to.clone()),
        ..ActiveModel::default()
    };
    let changed = row::update::<Entity, _>(db, id.clone(), changes, None).await?;
    set_member_level(db, id, &organization.owner_id, keep_as).await?;
    Ok(changed)
}

/// Deletes an organization; its projects become personal to its owner, its clients to theirs. T
///
/// Errors: `NotFound`.
pub async fn delete_organization(
    db: &impl ConnectionTrait,
    id: &OrganizationId,
) -> Result<Detached, StorageError> {
    let organization = lock(db, id).await?;
    let mut patch = serde_json::Map::new();
    patch.insert("ownerId".to_owned(), organization.owner_id.as_str().into());
    let engine = Engine::of(db);
    let projects = projects::Entity::update_many()
        .col_expr(
            projects::Column::Metadata,
            engine.merged_metadata("projects", &patch),
        )
        .col_expr(
            projects::Column::UpdatedAt,
            engine.touched("projects", time::now()),
        )
        .filter(projects::Column::OrgId.eq(id.clone()))
        .exec(db)
        .await?
        .rows_affected;
    let clients = crate::entity::clients::Entity::find()
        .filter(crate::entity::clients::Column::OrgId.eq(id.clone()))
        .count(db)
        .await?;
    Entity::delete_by_id(id.clone()).exec(db).await?;
    Ok(Detached { projects, clients })
}

/// Adds a member.
///
/// Errors: `Unique` of `unq_org_members_org_account`; `ForeignKey`.
pub async fn add_member(
    db: &impl ConnectionTrait,
    organization: &OrganizationId,
    account: &AccountId,
    level: MembershipLevel,
) -> Result<members::Model, StorageError> {
    let now = time::now();
    let row = members::ActiveModel {
        id: Set(OrganizationMemberId::random()),
        org_id: Set(organization.clone()),
        account_id: Set(account.clone()),
        membership_level: Set(level),
        metadata: Set(Metadata::new()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(members::Entity::insert(row).exec_with_returning(db).await?)
}

/// Sets the level of a member.
///
/// Errors: `NotFound`; `Rule` when the administrative owner would be lowered.
pub async fn set_member_level(
    db: &impl ConnectionTrait,
    organization: &OrganizationId,
    account: &AccountId,
    level: MembershipLevel,
) -> Result<members::Model, StorageError> {
    let found = membership(db, organization, account)
        .await?
        .ok_or(StorageError::NotFound)?;
    let changes = members::ActiveModel {
        membership_level: Set(level),
        ..<members::ActiveModel as Default>::default()
    };
    row::update::<members::Entity, _>(db, found.id, changes, None).await
}

/// Removes a member; the answer says whether it was one.
///
/// Errors: `Rule` when it is the administrative owner.
pub async fn remove_member(
    db: &impl ConnectionTrait,
    organization: &OrganizationId,
    account: &AccountId,
) -> Result<bool, StorageError> {
    let deleted = members::Entity::delete_many()
        .filter(members::Column::OrgId.eq(organization.clone()))
        .filter(members::Column::AccountId.eq(account.clone()))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// The membership of an account.
pub async fn membership(
    db: &impl ConnectionTrait,
    organization: &OrganizationId,
    account: &AccountId,
) -> Result<Option<members::Model>, StorageError> {
    Ok(members::Entity::find()
        .filter(members::Column::OrgId.eq(organization.clone()))
        .filter(members::Column::AccountId.eq(account.clone()))
        .one(db)
        .await?)
}

/// Members of an organization with their accounts.
pub async fn members_of(
    db: &impl ConnectionTrait,
    organization: &OrganizationId,
    level: Option<MembershipLevel>,
    request: &PageRequest,
) -> Result<Page<Member>, StorageError> {
    let mut select =
        members::Entity::find().filter(members::Column::OrgId.eq(organization.clone()));
    if let Some(level) = level {
        select = select.filter(members::Column::MembershipLevel.eq(level));
    }
    let keyset = Keyset::by_creation(
        "organization_members",
        request.order,
        &(organization, level),
    )?;
    let rows = keyset
        .apply(select, request)?
        .find_also_related(accounts::Entity)
        .all(db)
        .await?
        .into_iter()
        .filter_map(|(membership, account)| {
            account.map(|account| Member {
                membership,
                account,
            })
        })
        .collect();
    Ok(keyset.page(rows, request, |member: &Member| {
        vec![
            Key::Time(member.membership.created_at),
            Key::Text(member.membership.id.to_string()),
        ]
    }))
}

/// The organizations of an account with its level in each, by name.
pub async fn organizations_of(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Vec<Membership>, StorageError> {
    let rows = members::Entity::find()
        .filter(members::Column::AccountId.eq(account.clone()))
        .find_also_related(Entity)
        .all(db)
        .await?;
    let mut memberships: Vec<Membership> = rows
        .into_iter()
        .filter_map(|(member, organization)| {
            organization.map(|organization| Membership {
                organization,
                level: member.membership_level,
            })
        })
        .collect();
    memberships.sort_by(|a, b| a.organization.name.cmp(&b.organization.name));
    Ok(memberships)
}

/// Memberships of many organizations, by organization.
pub async fn load_members(
    db: &impl ConnectionTrait,
    organizations: &[OrganizationId],
) -> Result<BTreeMap<OrganizationId, Vec<members::Model>>, StorageError> {
    let mine = Engine::of(db).one_of(column("organization_members", "org_id"), organizations);
    let mut found: BTreeMap<OrganizationId, Vec<members::Model>> = BTreeMap::new();
    for row in members::Entity::find()
        .filter(mine)
        .order_by_asc(members::Column::CreatedAt)
        .order_by_asc(members::Column::Id)
        .all(db)
        .await?
    {
        found.entry(row.org_id.clone()).or_default().push(row);
    }
    Ok(found)
}

/// How many organizations there are.
pub async fn count_organizations(db: &impl ConnectionTrait) -> Result<u64, StorageError> {
    Ok(Entity::find().count(db).await?)
}

async fn lock(db: &impl ConnectionTrait, id: &OrganizationId) -> Result<Model, StorageError> {
    Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)
}
