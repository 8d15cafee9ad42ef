//! `spoke.invite` and `spoke.enroll`: a token that a freshly started machine turns into a key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::{CallError, Operation, OperationType, RecordPolicy, operation};
use alkhub_storage::identity::{self as identities, NewApiKey};
use alkhub_storage::ids::{AccountId, ProjectId};
use alkhub_storage::json::{Metadata, ResourceMap};
use alkhub_storage::{meta, projects};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::audit::{self, Action, Actor, Entry};
use crate::auth::{self, Refusal};
use crate::error::{HubError, NOT_FOUND};
use crate::keys::{self, Kind, hex};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Where invitations are kept, by the hash of their token.
const PREFIX: &str = "spokeInvite:";
/// Beginning of every token.
const TOKEN: &str = "alke_";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<SpokeInvite, Invited>("spoke.invite", OperationType::Mutation)
            .description("Makes a token with which a machine gets a key to connect as a spoke.")
            .scopes(&["spoke:admin"])
            .record(RecordPolicy::Metadata)
            .handler(handle(invite)),
        operation::<SpokeEnroll, Enrolled>("spoke.enroll", OperationType::Mutation)
            .description("Turns a token of spoke.invite into a key.")
            .open()
            .record(RecordPolicy::Metadata)
            .handler(handle(enroll)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeInvite {
    /// The project its spokes work for; none = any the inviting account sees.
    project_id: Option<String>,
    /// Labels every spoke with such a key has.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How long the token can be used, in seconds.
    #[serde(default = "fifteen_minutes")]
    #[schemars(range(min = 1, max = 604_800))]
    ttl_seconds: u64,
    /// How many machines may use it.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 10_000))]
    uses: u32,
}

fn fifteen_minutes() -> u64 {
    900
}

fn once() -> u32 {
    1
}

/// Output of `spoke.invite`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Invited {
    /// The token: shown now and never again.
    #[schemars(extend("x-secret" = true))]
    token: String,
    /// When it can be used no more.
    expires_at: String,
}

/// What is kept of an invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    account: AccountId,
    project: Option<ProjectId>,
    labels: BTreeMap<String, String>,
    uses: u32,
    expires_at: String,
}

async fn invite(call: Call, input: Arc<SpokeInvite>) -> Result<Invited, HubError> {
    let mut issues = Issues::default();
    if let Some(id) = &input.project_id {
        issues.take(rules::id("/projectId", id));
    }
    super::register::check_labels(&mut issues, &input.labels);
    issues.finish()?;
    let project = match &input.project_id {
        None => None,
        Some(id) => {
            let (reader, scope) = (call.database().reader(), call.scope()?);
            let project = projects::project_by_id(reader, &scope, &ProjectId::from(id.as_str()))
                .await?
                .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
            Some(project.id)
        }
    };
    let token = token()?;
    let expires_at = Utc::now() + Duration::from_secs(input.ttl_seconds);
    let expires_at = alkhub_storage::time::format(expires_at);
    let invitation = Invitation {
        account: call.principal()?.account.id.clone(),
        project,
        labels: input.labels.clone(),
        uses: input.uses,
        expires_at: expires_at.clone(),
    };
    let transaction = call.begin().await?;
    meta::put(&transaction, &row_of(&token), &json!(invitation)).await?;
    transaction.commit().await?;
    Ok(Invited { token, expires_at })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeEnroll {
    /// The token of an invitation.
    #[schemars(extend("x-secret" = true))]
    token: String,
    /// Name of the machine; its key gets it.
    name: String,
}

/// Output of `spoke.enroll`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    /// The key: shown now and never again.
    #[schemars(extend("x-secret" = true))]
    key: String,
    /// The project its spoke works for.
    project_id: Option<ProjectId>,
}

async fn enroll(call: Call, input: Arc<SpokeEnroll>) -> Result<Enrolled, HubError> {
    let state = call.state();
    let ip = call.origin().ip;
    state.limits.admit_address(ip)?;
    let mut issues = Issues::default();
    let name = issues.take(rules::name("/name", &input.name));
    issues.finish()?;
    let refused = || {
        state.limits.count_failed_attempt(ip);
        auth::unauthenticated(Refusal::Unknown)
    };
    let row = row_of(&input.token);
    let transaction = call.begin().await?;
    let Some(stored) = meta::get(&transaction, &row).await? else {
        return Err(refused().into());
    };
    let invitation: Invitation =
        serde_json::from_value(stored.clone()).map_err(|error| CallError::internal(&error))?;
    let over = rules::time("/expiresAt", &invitation.expires_at)
        .map_or(true, |expires_at| expires_at <= Utc::now());
    if over {
        return Err(refused().into());
    }
    let left = invitation.uses.saturating_sub(1);
    let used = if left == 0 {
        meta::delete(&transaction, &row).await?
    } else {
        let next = Invitation {
            uses: left,
            ..invitation.clone()
        };
        meta::put_if(&transaction, &row, Some(&stored), &json!(next)).await?
    };
    if !used {
        // Somebody else had the last use at the same moment.
        return Err(refused().into());
    }
    let key = keys::generate(Kind::Account)?;
    let name = name.unwrap_or_default();
    let mut resources = BTreeMap::new();
    if let Some(project) = &invitation.project {
        resources.insert("project".to_owned(), vec![project.to_string()]);
    }
    let new = NewApiKey {
        owner_id: invitation.account.clone(),
        name: Some(name.clone()),
        description: Some("made by spoke.enroll".to_owned()),
        key_hash: keys::hash(&key),
        key_prefix: keys::shown_prefix(&key),
        scopes: vec!["spoke:register".to_owned()].into(),
        resources: ResourceMap(resources.into_iter().collect()),
        expires_at: None,
        metadata: Metadata::new().with("labels", json!(invitation.labels)),
    };
    let stored = identities::create_api_key(&transaction, new).await?;
    let actor = Actor {
        account: invitation.account,
        key: None,
        key_prefix: None,
        operation: Some("spoke.enroll".to_owned()),
        request_id: Some(call.context.request_id().to_string()),
        origin: call.origin().clone(),
    };
    let entry = Entry::about("key", &stored.id, &name);
    audit::write(&transaction, &actor, Action::SpokeEnrolled, entry).await?;
    transaction.commit().await?;
    state.authenticator.forget();
    Ok(Enrolled {
        key: key.expose_secret().to_owned(),
        project_id: invitation.project,
    })
}

fn token() -> Result<String, HubError> {
    let mut random = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(keys::NoRandomness::from)?;
    Ok(format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(random)))
}

fn row_of(token: &str) -> String {
    format!("{PREFIX}{}", hex(&Sha256::digest(token)))
}
