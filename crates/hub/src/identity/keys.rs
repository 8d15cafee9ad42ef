//! Operations on API keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::{
    CallError, Caller, Issue, Mode, Operation, OperationType, RecordPolicy, operation,
};
use alkhub_storage::entity::api_keys;
use alkhub_storage::identity::{self as queries, KeyFilter, NewApiKey};
use alkhub_storage::ids::{AccountId, ApiKeyId};
use alkhub_storage::json::ResourceMap;
use alkhub_storage::time::format as to_wire;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::{self, Action, Entry};
use crate::auth::{Narrowing, Principal};
use crate::authorize;
use crate::error::{HubError, NOT_FOUND};
use crate::keys::{self, Kind};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::scopes::{self, Preset};
use crate::state::{Call, handle};

/// Live keys an account may have.
const MAX_LIVE_KEYS: u64 = 100;

/// Scopes a key may carry.
const MAX_SCOPES: usize = 32;

/// Ids a key may be narrowed to, over all types.
const MAX_RESOURCES: usize = 500;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<KeyCreate, KeyCreated>("key.create", OperationType::Mutation)
            .description("Makes an API key. The key itself is in this answer only.")
            .scopes(&["key:write"])
            // The answer carries a secret: neither side of the call is kept.
            .record(RecordPolicy::Metadata)
            .error(
                "UNPROCESSABLE",
                "scope_exceeds_caller, too_many_keys, account_inactive",
            )
            .handler(handle(create)),
        operation::<KeyList, PageView<KeyView>>("key.list", OperationType::Query)
            .description("The caller's keys, or with account:admin those of another account.")
            .handler(handle(list)),
        operation::<KeyGet, KeyView>("key.get", OperationType::Query)
            .description("One key, without the key itself.")
            .handler(handle(get)),
        operation::<KeyRevoke, KeyRevoked>("key.revoke", OperationType::Mutation)
            .description("Revokes a key for good, and by default its successors.")
            .scopes(&["key:write"])
            .error(
                "CONFLICT",
                "last_admin_key: nobody could administer the hub any more",
            )
            .handler(handle(revoke)),
        operation::<KeyCheck, KeyChecked>("key.check", OperationType::Query)
            .description(
                "Whether this key may call an operation with an input, without calling it.",
            )
            .handler(handle(check)),
    ]
}

/// An API key, without its hash and without the key itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyView {
    /// Id of the key.
    id: ApiKeyId,
    /// Its first 12 characters.
    key_prefix: String,
    /// Label given by the owner.
    name: Option<String>,
    /// Longer note of the owner.
    description: Option<String>,
    /// Whose key it is.
    owner_id: AccountId,
    /// Its scopes as written.
    scopes: Vec<String>,
    /// Ids it is narrowed to, by type.
    resources: BTreeMap<String, Vec<String>>,
    /// False while it is switched off.
    enabled: bool,
    /// End of its life.
    expires_at: Option<String>,
    /// When it was revoked.
    revoked_at: Option<String>,
    /// Its successor.
    rotated_to_id: Option<ApiKeyId>,
    /// Last use, to the minute.
    last_used_at: Option<String>,
    /// Notes of the hub and of extensions.
    metadata: Map<String, Value>,
    /// When it was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl From<&api_keys::Model> for KeyView {
    fn from(row: &api_keys::Model) -> Self {
        Self {
            id: row.id.clone(),
            key_prefix: row.key_prefix.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            owner_id: row.owner_id.clone(),
            scopes: row.scopes.to_vec(),
            resources: row.resources.0.clone(),
            enabled: row.enabled,
            expires_at: row.expires_at.map(to_wire),
            revoked_at: row.revoked_at.map(to_wire),
            rotated_to_id: row.rotated_to_id.clone(),
            last_used_at: row.last_used_at.map(to_wire),
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyCreate {
    /// Label, 1 to 200 characters.
    name: String,
    /// Account the key is for; the caller's own when absent.
    owner_id: Option<String>,
    /// Scopes as `task:write`, `task:*` or `*`; or give a preset.
    scopes: Option<Vec<String>>,
    /// A ready-made list of scopes in the place of `scopes`.
    preset: Option<Preset>,
    /// Narrows the key: `{"project": ["<id>"]}`; an empty list is nothing of that type.
    resources: Option<BTreeMap<String, Vec<String>>>,
    /// End of its life, RFC 3339.
    expires_at: Option<String>,
    /// Calls a second, when lower than the hub's own limit.
    #[schemars(range(min = 1))]
    rate_limit: Option<u32>,
    /// Longer note, at most 2,000 characters.
    description: Option<String>,
    /// Notes, at most 16 KiB.
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyCreated {
    /// The key: shown now and never again.
    #[schemars(extend("x-secret" = true))]
    key: String,
    /// What is kept of it.
    api_key: KeyView,
}

/// The checked form of a [`KeyCreate`].
struct CheckedKey {
    name: String,
    scopes: Vec<String>,
    resources: BTreeMap<String, Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
    description: Option<String>,
    metadata: Map<String, Value>,
}

async fn create(call: Call, input: Arc<KeyCreate>) -> Result<KeyCreated, HubError> {
    let principal = call.principal()?;
    let checked = check_new_key(&input, call.config().auth.max_key_days)?;
    let owner_id = match &input.owner_id {
        Some(id) if *id != principal.account.id.to_string() => {
            require_account_admin(principal)?;
            AccountId::from(id.clone())
        }
        _ => principal.account.id.clone(),
    };
    refuse_more_than_caller_has(principal, &checked)?;

    let key = keys::generate(Kind::Account)?;
    let transaction = call.begin().await?;
    // The owner's row is locked, so that two requests cannot both take the last place.
    let owner = queries::lock_account(&transaction, &owner_id).await?;
    if owner.status != alkhub_storage::enums::AccountStatus::Active {
        let message = "the account is not active, its keys could not be used";
        return Err(CallError::unprocessable("account_inactive", message).into());
    }
    if queries::count_live_keys(&transaction, &owner_id, Utc::now()).await? >= MAX_LIVE_KEYS {
        let message = format!("the account has {MAX_LIVE_KEYS} live keys already; revoke one");
        return Err(CallError::unprocessable("too_many_keys", message).into());
    }
    let new = NewApiKey {
        owner_id,
        name: Some(checked.name.clone()),
        description: checked.description,
        key_hash: keys::hash(&key),
        key_prefix: keys::shown_prefix(&key),
        scopes: checked.scopes.into(),
        resources: ResourceMap(checked.resources),
        expires_at: checked.expires_at,
        metadata: checked.metadata.into(),
    };
    let stored = queries::create_api_key(&transaction, new).await?;
    let entry = Entry::about("key", &stored.id, &checked.name).changed(
        json!({}),
        json!({ "ownerId": stored.owner_id, "scopes": stored.scopes, "resources": stored.resources }),
    );
    audit::write(&transaction, &call.actor()?, Action::KeyCreated, entry).await?;
    transaction.commit().await?;
    // A guess of this very key may be remembered as a miss.
    call.state().authenticator.forget();
    Ok(KeyCreated {
        key: key.expose_secret().to_owned(),
        api_key: KeyView::from(&stored),
    })
}

fn check_new_key(input: &KeyCreate, max_key_days: u32) -> Result<CheckedKey, HubError> {
    let mut issues = Issues::default();
    let name = issues
        .take(rules::name("/name", &input.name))
        .unwrap_or_default();
    let description = input
        .description
        .as_deref()
        .and_then(|text| issues.take(rules::text("/description", text, 2_000)));
    let scopes = match (&input.scopes, input.preset) {
        (Some(scopes), None) => scopes.clone(),
        (None, Some(preset)) => preset.scopes(),
        _ => {
            issues.add(Issue::new(
                "/scopes",
                "one_of",
                "give either scopes or a preset",
            ));
            Vec::new()
        }
    };
    if scopes.len() > MAX_SCOPES {
        issues.add(Issue::new(
            "/scopes",
            "maxItems",
            format!("at most {MAX_SCOPES} scopes a key"),
        ));
    }
    for (index, scope) in scopes.iter().enumerate() {
        if let Err(unknown) = scopes::check(scope) {
            issues.add(Issue::new(
                format!("/scopes/{index}"),
                "scope",
                unknown.to_string(),
            ));
        }
    }
    let resources = input.resources.clone().unwrap_or_default();
    check_resources(&resources, &mut issues);
    let expires_at = issues.moment("/expiresAt", input.expires_at.as_deref());
    check_expiry(expires_at, max_key_days, &mut issues);
    let none = Map::new();
    let given = input.metadata.as_ref().unwrap_or(&none);
    let mut metadata = issues
        .take_all(rules::metadata_patch("api_keys", &none, given))
        .unwrap_or_default();
    if let Some(rate) = input.rate_limit {
        metadata.insert("rateLimit".to_owned(), json!(rate));
    }
    issues.finish()?;
    Ok(CheckedKey {
        name,
        scopes,
        resources,
        expires_at,
        description,
        metadata,
    })
}

fn check_resources(resources: &BTreeMap<String, Vec<String>>, issues: &mut Issues) {
    for (kind, ids) in resources {
        if !Narrowing::TYPES.contains(&kind.as_str()) {
            let known = Narrowing::TYPES.join(", ");
            let message = format!("unknown type; the types are {known}");
            issues.add(Issue::new(
                format!("/resources/{kind}"),
                "resource",
                message,
            ));
        }
        for (index, id) in ids.iter().enumerate() {
            issues.take(rules::id(&format!("/resources/{kind}/{index}"), id));
        }
    }
    if resources.values().map(Vec::len).sum::<usize>() > MAX_RESOURCES {
        let message = format!("at most {MAX_RESOURCES} ids a key");
        issues.add(Issue::new("/resources", "maxItems", message));
    }
}

fn check_expiry(expires_at: Option<DateTime<Utc>>, max_key_days: u32, issues: &mut Issues) {
    let now = Utc::now();
    if expires_at.is_some_and(|at| at <= now) {
        issues.add(Issue::new("/expiresAt", "future", "lies in the past"));
    }
    if max_key_days > 0 {
        let latest = now + TimeDelta::days(i64::from(max_key_days));
        if expires_at.is_none_or(|at| at > latest) {
            let message = format!("this hub's keys live at most {max_key_days} days");
            issues.add(Issue::new("/expiresAt", "maxKeyDays", message));
        }
    }
}

/// A key never carries more than the one that made it, neither in scopes nor in reach.
fn refuse_more_than_caller_has(principal: &Principal, wanted: &CheckedKey) -> Result<(), HubError> {
    let granted = scopes::expand(wanted.scopes.iter().map(String::as_str));
    let excess: Vec<&String> = granted
        .iter()
        .filter(|scope| !principal.scopes.contains(*scope))
        .collect();
    if !excess.is_empty() {
        let message = "a key cannot have scopes that the caller does not have";
        return Err(CallError::unprocessable("scope_exceeds_caller", message)
            .with_detail("scopes", json!(excess))
            .into());
    }
    for kind in Narrowing::TYPES {
        let Some(held) = principal.narrowing.ids(kind) else {
            continue;
        };
        let within = wanted.resources.get(kind).is_some_and(|ids| {
            ids.iter()
                .all(|id| held.contains(id) || principal.narrowing.allows(kind, id))
        });
        if !within {
            let message =
                format!("the caller's key is narrowed by {kind}, so the new one must be too");
            return Err(CallError::unprocessable("scope_exceeds_caller", message)
                .with_detail("resource", kind)
                .into());
        }
    }
    Ok(())
}

fn require_account_admin(principal: &Principal) -> Result<(), HubError> {
    if principal.has("account:admin") {
        return Ok(());
    }
    Err(
        CallError::access_denied("keys of other accounts need the scope account:admin")
            .with_details(json!({ "missing": ["account:admin"] }))
            .into(),
    )
}

list_input! {
    struct KeyList {
        /// Account whose keys are listed; the caller's own when absent.
        owner_id: Option<String>,
        /// Only keys that are switched on, or off.
        enabled: Option<bool>,
        /// Also revoked keys.
        #[serde(default)]
        include_revoked: bool,
        /// Only keys that expire within this many seconds.
        expiring_within: Option<u32>,
    }
}

async fn list(call: Call, input: Arc<KeyList>) -> Result<PageView<KeyView>, HubError> {
    let principal = call.principal()?;
    let owner = match &input.owner_id {
        Some(id) if *id != principal.account.id.to_string() => {
            require_account_admin(principal)?;
            AccountId::from(id.clone())
        }
        _ => principal.account.id.clone(),
    };
    let expiring_within = input
        .expiring_within
        .map(|seconds| Duration::from_secs(seconds.into()));
    let filter = KeyFilter {
        owner,
        enabled: input.enabled,
        include_revoked: input.include_revoked,
        expires_before: expiring_within.map(|within| Utc::now() + within),
    };
    let reader = call.database().reader();
    let page = queries::list_api_keys(reader, &filter, &input.page()).await?;
    Ok(PageView::of(page, |row| KeyView::from(&row)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyGet {
    /// Id of the key.
    id: String,
}

async fn get(call: Call, input: Arc<KeyGet>) -> Result<KeyView, HubError> {
    let id = ApiKeyId::from(input.id.clone());
    let found = queries::api_key_by_id(call.database().reader(), &id).await?;
    own_or_any(call.principal()?, found).map(|row| KeyView::from(&row))
}

/// Keys of others are found by account administrators only.
fn own_or_any(
    principal: &Principal,
    found: Option<api_keys::Model>,
) -> Result<api_keys::Model, HubError> {
    found
        .filter(|key| key.owner_id == principal.account.id || principal.has("account:admin"))
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyRevoke {
    /// Id of the key.
    id: String,
    /// Why, at most 500 characters.
    reason: Option<String>,
    /// Also its successors by rotation.
    #[serde(default = "yes")]
    cascade: bool,
    /// Even when it is the last key of an administrator.
    #[serde(default)]
    force: bool,
    /// Only if the key was not changed since.
    if_updated_at: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyRevoked {
    /// The keys that this call revoked; one that was revoked before is not among them.
    revoked: Vec<ApiKeyId>,
}

async fn revoke(call: Call, input: Arc<KeyRevoke>) -> Result<KeyRevoked, HubError> {
    let mut issues = Issues::default();
    let reason = input
        .reason
        .as_deref()
        .and_then(|text| issues.take(rules::text("/reason", text, 500)));
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let id = ApiKeyId::from(input.id.clone());
    let transaction = call.begin().await?;
    let key = own_or_any(
        call.principal()?,
        queries::api_key_by_id(&transaction, &id).await?,
    )?;
    rules::unchanged(unchanged_since, key.updated_at)?;
    let mut ids = vec![id];
    if input.cascade {
        let chain = queries::key_chain(&transaction, &key.id).await?;
        ids.extend(
            chain
                .into_iter()
                .map(|next| next.id)
                .filter(|next| *next != key.id),
        );
    }
    // The administrators' rows are locked by the count, so that two cannot revoke each other's last.
    let revoked = queries::revoke_keys(&transaction, &ids).await?;
    if !input.force && queries::count_live_admins(&transaction).await? == 0 {
        let message =
            "this is the last live key of an administrator; give force to revoke it anyway";
        return Err(CallError::conflict("last_admin_key", message).into());
    }
    for id in &revoked {
        let entry = Entry::about("key", id, &key.key_prefix).because(reason.clone());
        audit::write(&transaction, &call.actor()?, Action::KeyRevoked, entry).await?;
    }
    transaction.commit().await?;
    call.state().authenticator.forget();
    Ok(KeyRevoked { revoked })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyCheck {
    /// Full name of the operation.
    operation: String,
    /// The input it would be called with.
    input: Option<Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyChecked {
    /// True when the call would pass scopes, patterns and narrowing.
    allowed: bool,
    /// The scopes that are missing.
    missing: Vec<String>,
    /// Why not, when it is not a scope.
    reason: Option<String>,
}

async fn check(call: Call, input: Arc<KeyCheck>) -> Result<KeyChecked, HubError> {
    let principal = call.principal()?;
    let entry = call
        .state()
        .registry
        .get(&input.operation)
        .filter(|entry| authorize::may_see(call.state(), principal, entry))
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let missing = authorize::missing_scopes(call.state(), principal, &entry);
    let reason = match &input.input {
        Some(value) if missing.is_empty() => {
            let caller = Caller::Identity(principal.identity());
            let decision = entry.authorize(&caller, value, Mode::Narrowing);
            (!decision.is_allow())
                .then(|| "the key is narrowed and does not reach this row".to_owned())
        }
        _ => None,
    };
    Ok(KeyChecked {
        allowed: missing.is_empty() && reason.is_none(),
        missing,
        reason,
    })
}
