//! Accounts of people and machines.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Condition, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;

use crate::engine::Engine;
use crate::entity::accounts::{ActiveModel, Column, Entity, Model};
use crate::entity::{call_graph_nodes, organization_members};
use crate::enums::{AccessLevel, AccountStatus};
use crate::error::StorageError;
use crate::ids::{AccountId, OrganizationId};
use crate::json::{AccountProfile, Metadata};
use crate::page::{self, Page, PageRequest};
use crate::row::{self, set_if};
use crate::scope::{Scope, column};
use crate::time::{self, DateTimeUtc};
use crate::{enums, sql};

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Trimmed and in lower case.
    pub email: String,
    /// Shown name.
    pub display_name: Option<String>,
    /// What it may administer.
    pub access_level: AccessLevel,
    /// Whether it may act.
    pub status: AccountStatus,
    /// In lower case.
    pub gitea_username: Option<String>,
    /// Preferences.
    pub data: Option<AccountProfile>,
    /// Notes.
    pub metadata: Metadata,
}

impl Default for NewAccount {
    fn default() -> Self {
        Self {
            email: String::new(),
            display_name: None,
            access_level: AccessLevel::User,
            status: AccountStatus::Active,
            gitea_username: None,
            data: None,
            metadata: Metadata::new(),
        }
    }
}

/// What to change of an account; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct AccountChanges {
    /// Trimmed and in lower case.
    pub email: Option<String>,
    /// Shown name.
    pub display_name: Option<Option<String>>,
    /// What it may administer.
    pub access_level: Option<AccessLevel>,
    /// In lower case.
    pub gitea_username: Option<Option<String>>,
    /// Preferences.
    pub data: Option<Option<AccountProfile>>,
    /// Notes, as a whole.
    pub metadata: Option<Metadata>,
    /// `updated_at` the row must still have.
    pub if_updated_at: Option<DateTimeUtc>,
}

/// Which accounts are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AccountFilter {
    /// With this level.
    pub access_level: Option<AccessLevel>,
    /// With this status.
    pub status: Option<AccountStatus>,
    /// Members of this organization.
    pub organization: Option<OrganizationId>,
    /// Prefix of the email or the shown name, without regard to case.
    pub search: Option<String>,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountDeletion {
    /// The account is gone, with its keys and memberships.
    Deleted,
    /// Rows keep it: deactivate it instead.
    Restricted {
        /// Audit entries it made.
        audit: u64,
        /// Organizations it owns.
        organizations: u64,
        /// Clients it configured.
        clients: u64,
    },
}

/// Makes an account.
///
/// Errors: `Unique` of `unq_accounts_email`.
pub async fn create_account(
    db: &impl ConnectionTrait,
    new: NewAccount,
) -> Result<Model, StorageError> {
    let now = time::now();
    let row = ActiveModel {
        id: Set(AccountId::random()),
        email: Set(new.email),
        display_name: Set(new.display_name),
        access_level: Set(new.access_level),
        status: Set(new.status),
        gitea_username: Set(new.gitea_username),
        data: Set(new.data),
        metadata: Set(new.metadata),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(Entity::insert(row).exec_with_returning(db).await?)
}

/// The account with this id.
pub async fn account_by_id(
    db: &impl ConnectionTrait,
    id: &AccountId,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find_by_id(id.clone()).one(db).await?)
}

/// The accounts with these ids, in no order.
pub async fn accounts_by_ids(
    db: &impl ConnectionTrait,
    ids: &[AccountId],
) -> Result<Vec<Model>, StorageError> {
    let mine = Engine::of(db).one_of(column("accounts", "id"), ids);
    Ok(Entity::find().filter(mine).all(db).await?)
}

/// The account with this email, which is compared as it is stored: trimmed and in lower case.
pub async fn account_by_email(
    db: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::Email.eq(email))
        .one(db)
        .await?)
}

/// The accounts linked to a Gitea user, oldest first.
pub async fn accounts_by_gitea_username(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<Vec<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::GiteaUsername.eq(name))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

/// Accounts the asker may see.
pub async fn search_accounts(
    db: &impl ConnectionTrait,
    scope: &Scope,
    filter: &AccountFilter,
    request: &PageRequest,
) -> Result<Page<Model>, StorageError> {
    let engine = Engine::of(db);
    let mut select = Entity::find().filter(scope.accounts(engine));
    if let Some(level) = filter.access_level {
        select = select.filter(Column::AccessLevel.eq(level));
    }
    if let Some(status) = filter.status {
        select = select.filter(Column::Status.eq(status));
    }
    if let Some(organization) = &filter.organization {
        let members = organization_members::Entity::find()
            .select_only()
            .column(organization_members::Column::AccountId)
            .filter(organization_members::Column::OrgId.eq(organization.clone()));
        select = select
            .filter(column("accounts", "id").in_subquery(sea_orm::QueryTrait::into_query(members)));
    }
    if let Some(text) = &filter.search {
        select = select.filter(
            Condition::any()
                .add(engine.starts_with(column("accounts", "email"), text))
                .add(engine.starts_with(column("accounts", "display_name"), text)),
        );
    }
    page::by_creation(db, select, "accounts", filter, request, |row| {
        (row.created_at, row.id.to_string())
    })
    .await
}

/// Whether the asker may see an account.
pub async fn account_visible(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &AccountId,
) -> Result<bool, StorageError> {
    let found = Entity::find()
        .filter(Column::Id.eq(id.clone()))
        .filter(scope.accounts(Engine::of(db)))
        .count(db)
        .await?;
    Ok(found > 0)
}

/// Changes an account.
///
/// Errors: `NotFound`, `Stale`, `Unique` of `unq_accounts_email`.
pub async fn update_account(
    db: &impl ConnectionTrait,
    id: &AccountId,
    changes: AccountChanges,
) -> Result<Model, StorageError> {
    let unchanged_since = changes.if_updated_at;
    let changes = ActiveModel {
        email: set_if(changes.email),
        display_name: set_if(changes.display_name),
        access_level: set_if(changes.access_level),
        gitea_username: set_if(changes.gitea_username),
        data: set_if(changes.data),
        metadata: set_if(changes.metadata),
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, unchanged_since).await
}

/// Sets the status if it is still `from`; the answer says whether it was. Deactivating revokes the
/// account's keys. T
pub async fn set_account_status(
    db: &impl ConnectionTrait,
    id: &AccountId,
    from: AccountStatus,
    to: AccountStatus,
) -> Result<bool, StorageError> {
    use enums::AccountStatus::{Active, Deactivated, Suspended};
    if from != to
        && !matches!(
            (from, to),
            (Active, Suspended | Deactivated)
                | (Suspended, Active | Deactivated)
                | (Deactivated, Active)
        )
    {
        return Err(StorageError::IllegalTransition {
            table: "accounts",
            from: from.as_str(),
            to: to.as_str(),
        });
    }
    let engine = Engine::of(db);
    let updated = Entity::update_many()
        .set(ActiveModel {
            status: Set(to),
            ..ActiveModel::default()
        })
        .col_expr(Column::UpdatedAt, engine.touched("accounts", time::now()))
        .filter(Column::Id.eq(id.clone()))
        .filter(Column::Status.eq(from))
        .exec(db)
        .await?;
    if updated.rows_affected == 0 {
        return Ok(false);
    }
    if to == Deactivated {
        super::keys::revoke_all(db, id).await?;
    }
    Ok(true)
}

/// The account, locked to the end of the transaction. T
///
/// Errors: `NotFound`.
pub async fn lock_account(
    db: &impl ConnectionTrait,
    id: &AccountId,
) -> Result<Model, StorageError> {
    Entity::find_by_id(id.clone())
        .lock_exclusive()
        .one(db)
        .await?
        .ok_or(StorageError::NotFound)
}

/// How many active administrators have a live key; their rows are locked, so that two askers cannot
/// end the last two of them at once. T
pub async fn count_live_admins(db: &impl ConnectionTrait) -> Result<u64, StorageError> {
    let text = format!(
        "select a.id from accounts a
         where a.access_level = 'admin' and a.status = 'active' and exists (
             select 1 from api_keys k where k.owner_id = a.id
             and k.revoked_at is null and k.enabled = true
             and (k.expires_at is null or k.expires_at > $1)){}",
        Engine::of(db).for_update()
    );
    let admins = sql::rows(db, &text, [time::now().into()]).await?;
    Ok(u64::try_from(admins.len()).unwrap_or(u64::MAX))
}

/// The oldest active administrator.
pub async fn first_active_admin(db: &impl ConnectionTrait) -> Result<Option<Model>, StorageError> {
    Ok(Entity::find()
        .filter(Column::AccessLevel.eq(AccessLevel::Admin))
        .filter(Column::Status.eq(AccountStatus::Active))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .one(db)
        .await?)
}

/// Deletes an account that nothing keeps. T
///
/// Errors: `NotFound`.
pub async fn delete_account(
    db: &impl ConnectionTrait,
    id: &AccountId,
) -> Result<AccountDeletion, StorageError> {
    lock_account(db, id).await?;
    let counted = async |table: &str| {
        let text = format!("select count(*) from {table} where owner_id = $1");
        sql::count(db, &text, [id.as_str().into()]).await
    };
    let (audit, organizations, clients) = (
        counted("audit_logs").await?,
        counted("organizations").await?,
        counted("clients").await?,
    );
    if audit + organizations + clients > 0 {
        return Ok(AccountDeletion::Restricted {
            audit,
            organizations,
            clients,
        });
    }
    // No foreign key here: the hot path saves a look-up for each call.
    call_graph_nodes::Entity::update_many()
        .set(call_graph_nodes::ActiveModel {
            caller_account_id: Set(None),
            ..<call_graph_nodes::ActiveModel as Default>::default()
        })
        .filter(call_graph_nodes::Column::CallerAccountId.eq(id.clone()))
        .exec(db)
        .await?;
    Entity::delete_by_id(id.clone()).exec(db).await?;
    Ok(AccountDeletion::Deleted)
}

/// Replaces what tells who a deactivated account was. T
///
/// Errors: `NotFound`; `IllegalTransition` when it is not deactivated.
pub async fn anonymise_account(
    db: &impl ConnectionTrait,
    id: &AccountId,
) -> Result<Model, StorageError> {
    let account = lock_account(db, id).await?;
    if account.status != AccountStatus::Deactivated {
        return Err(StorageError::IllegalTransition {
            table: "accounts",
            from: account.status.as_str(),
            to: "anonymised",
        });
    }
    let metadata = account
        .metadata
        .with("anonymisedAt", time::format(time::now()));
    let changes = ActiveModel {
        email: Set(format!("deleted+{id}@invalid")),
        display_name: Set(None),
        gitea_username: Set(None),
        data: Set(None),
        metadata: Set(metadata),
        id: NotSet,
        ..ActiveModel::default()
    };
    row::update::<Entity, _>(db, id.clone(), changes, None).await
}

/// Numbers of accounts by status.
pub async fn count_accounts_by_status(
    db: &impl ConnectionTrait,
) -> Result<Vec<(AccountStatus, u64)>, StorageError> {
    crate::row::count_by(db, "accounts", "status", "1 = 1", []).await
}
