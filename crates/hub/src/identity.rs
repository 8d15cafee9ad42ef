//! Operations on accounts and API keys.

mod keys;

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::StorageResultExt as _;
use alkhub_storage::entity::accounts;
use alkhub_storage::enums::{AccessLevel, AccountStatus};
use alkhub_storage::identity::{self as queries, AccountFilter, NewAccount};
use alkhub_storage::ids::{AccountId, OrganizationId};
use alkhub_storage::time::format as to_wire;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::{self, Action, Entry};
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(crate) use keys::KeyView;

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        operation::<AccountCreate, AccountView>("account.create", OperationType::Mutation)
            .description("Makes an account for a person or a machine.")
            .scopes(&["account:admin"])
            .error(
                "CONFLICT",
                "email_taken: another account has this e-mail address",
            )
            .handler(handle(create)),
        operation::<AccountGet, AccountView>("account.get", OperationType::Query)
            .description(
                "One account: the caller's own, or with account:read another by id or e-mail.",
            )
            .handler(handle(get)),
        operation::<AccountList, PageView<AccountView>>("account.list", OperationType::Query)
            .description("The accounts, newest first.")
            .scopes(&["account:read"])
            .handler(handle(list)),
    ];
    operations.extend(keys::operations());
    operations
}

/// An account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    /// Id of the account.
    id: AccountId,
    /// Unique address, in lower case.
    email: String,
    /// Shown name.
    display_name: Option<String>,
    /// `admin`, `user` or `service`.
    access_level: AccessLevel,
    /// `active`, `suspended` or `deactivated`.
    status: AccountStatus,
    /// Linked Gitea user.
    gitea_username: Option<String>,
    /// Preferences and avatar.
    data: Option<Value>,
    /// Notes of the hub and of extensions.
    metadata: Map<String, Value>,
    /// When the row was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl From<&accounts::Model> for AccountView {
    fn from(row: &accounts::Model) -> Self {
        Self {
            id: row.id.clone(),
            email: row.email.clone(),
            display_name: row.display_name.clone(),
            access_level: row.access_level,
            status: row.status,
            gitea_username: row.gitea_username.clone(),
            data: row.data.as_ref().map(|data| json!(data)),
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountCreate {
    /// Unique address; stored in lower case.
    email: String,
    /// Shown name, 1 to 200 characters.
    display_name: String,
    /// `admin`, `user` or `service`.
    #[serde(default = "user")]
    access_level: AccessLevel,
    /// Gitea user to link.
    gitea_username: Option<String>,
    /// Notes, at most 16 KiB.
    metadata: Option<Map<String, Value>>,
}

fn user() -> AccessLevel {
    AccessLevel::User
}

async fn create(call: Call, input: Arc<AccountCreate>) -> Result<AccountView, HubError> {
    let mut issues = Issues::default();
    let email = issues.take(rules::email("/email", &input.email));
    let display_name = issues.take(rules::name("/displayName", &input.display_name));
    let gitea_username = input
        .gitea_username
        .as_deref()
        .and_then(|name| issues.take(rules::name("/giteaUsername", name)))
        .map(|name| name.to_lowercase());
    let metadata = issues.take_all(rules::metadata_patch(
        "accounts",
        &Map::new(),
        input.metadata.as_ref().unwrap_or(&Map::new()),
    ));
    issues.finish()?;
    let (Some(email), Some(display_name), Some(metadata)) = (email, display_name, metadata) else {
        // `finish` has refused whatever left a hole.
        return Err(CallError::validation(Vec::new(), "the input is invalid").into());
    };

    let transaction = call.begin().await?;
    let new = NewAccount {
        email,
        display_name: Some(display_name),
        access_level: input.access_level,
        status: AccountStatus::Active,
        gitea_username,
        data: None,
        metadata: metadata.into(),
    };
    let account = queries::create_account(&transaction, new).await.on_unique(
        "unq_accounts_email",
        HubError::from(CallError::conflict(
            "email_taken",
            "another account has this e-mail address",
        )),
    )?;
    let entry = Entry::about("account", &account.id, &account.email)
        .changed(json!({}), json!({ "accessLevel": account.access_level }));
    audit::write(&transaction, &call.actor()?, Action::AccountCreated, entry).await?;
    transaction.commit().await?;
    Ok(AccountView::from(&account))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountGet {
    /// Id of the account; the caller's own when neither is given.
    id: Option<String>,
    /// Its e-mail address.
    email: Option<String>,
}

async fn get(call: Call, input: Arc<AccountGet>) -> Result<AccountView, HubError> {
    let principal = call.principal()?;
    let reader = call.database().reader();
    let found = match (&input.id, &input.email) {
        (Some(_), Some(_)) => {
            return Err(CallError::validation_field("/email", "one_of", "give id or email").into());
        }
        (Some(id), None) => queries::account_by_id(reader, &AccountId::from(id.clone())).await?,
        (None, Some(email)) => {
            queries::account_by_email(reader, &email.trim().to_lowercase()).await?
        }
        (None, None) => Some(principal.account.clone()),
    };
    let Some(account) = found else {
        return Err(CallError::not_found(NOT_FOUND).into());
    };
    if account.id == principal.account.id || may_read(&call, &account.id).await? {
        return Ok(AccountView::from(&account));
    }
    Err(CallError::not_found(NOT_FOUND).into())
}

/// Admins read every account, others with `account:read` those they share an organization with.
async fn may_read(call: &Call, account: &AccountId) -> Result<bool, HubError> {
    let principal = call.principal()?;
    if !principal.has("account:read") {
        return Ok(false);
    }
    let scope = call.scope()?;
    Ok(queries::account_visible(call.database().reader(), &scope, account).await?)
}

list_input! {
    struct AccountList {
        /// Only accounts of this access level.
        access_level: Option<AccessLevel>,
        /// Only accounts of this status.
        status: Option<AccountStatus>,
        /// Only members of this organization.
        org_id: Option<String>,
        /// Beginning of the display name or e-mail address, in any case.
        search: Option<String>,
    }
}

async fn list(call: Call, input: Arc<AccountList>) -> Result<PageView<AccountView>, HubError> {
    let filter = AccountFilter {
        access_level: input.access_level,
        status: input.status,
        organization: input.org_id.clone().map(OrganizationId::from),
        search: input.search.clone(),
    };
    let scope = call.scope()?;
    let reader = call.database().reader();
    let page = queries::search_accounts(reader, &scope, &filter, &input.page()).await?;
    Ok(PageView::of(page, |row| AccountView::from(&row)))
}
