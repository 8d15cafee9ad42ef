//! Operations about the hub itself: `hub.*` and `config.*`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, RecordPolicy, operation};
use alkhub_storage::enums::MembershipLevel;
use alkhub_storage::meta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::{self, Action, Entry};
use crate::config::{Config, SetError, SettingValue};
use crate::error::HubError;
use crate::identity::{AccountView, KeyView};
use crate::mcp;
use crate::readiness;
use crate::state::{Call, handle};

/// Prefix of the live settings among the facts in `hub_meta`.
pub(crate) const SETTING_PREFIX: &str = "setting:";

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation::<Empty, Health>("hub.health", OperationType::Query)
            .description("Whether the hub can serve, check by check. Needs no key.")
            .open()
            .record(RecordPolicy::None)
            .handler(handle(health)),
        operation::<Empty, Info>("hub.info", OperationType::Query)
            .description("Version, engine, limits and addresses of this hub.")
            .handler(handle(info)),
        operation::<Empty, WhoAmI>("hub.whoami", OperationType::Query)
            .description("The account and key that make this call, and every scope they have.")
            .handler(handle(who_am_i)),
        operation::<ConfigGet, BTreeMap<String, SettingView>>("config.get", OperationType::Query)
            .description(
                "The settings in force, with where each comes from. Secrets are not shown.",
            )
            .scopes(&["hub:admin"])
            .handler(handle(config_get)),
        operation::<ConfigSet, SettingView>("config.set", OperationType::Mutation)
            .description("Changes a live setting; it is kept and acts at once.")
            .scopes(&["hub:admin"])
            .handler(handle(config_set)),
        operation::<Empty, Value>("config.schema", OperationType::Query)
            .description("JSON Schema of the configuration file.")
            .handler(handle(config_schema)),
    ]
}

/// No input.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Empty {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Health {
    /// `ok`, `degraded` while the hub is stopping, `down` when a check fails.
    status: HealthStatus,
    /// What was looked at, and whether it was good.
    checks: BTreeMap<String, bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
    Degraded,
    Down,
}

async fn health(call: Call, _input: Arc<Empty>) -> Result<Health, HubError> {
    let found = readiness::of(call.state()).await;
    let status = match (found.checks.values().all(|good| *good), found.draining) {
        (true, false) => HealthStatus::Ok,
        (true, true) => HealthStatus::Degraded,
        (false, _) => HealthStatus::Down,
    };
    let checks = found
        .checks
        .into_iter()
        .map(|(name, good)| (name.to_owned(), good))
        .collect();
    Ok(Health { status, checks })
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Info {
    /// Version of the hub.
    version: String,
    /// Commit it was built from, when the build knew it.
    commit: Option<String>,
    /// This process, and which start of it.
    instance_id: String,
    /// When it started.
    started_at: String,
    /// Its clock.
    now: String,
    /// `sqlite` or `postgres`.
    engine: String,
    /// Number of the newest migration applied.
    schema_version: i32,
    /// Versions of the protocols it speaks.
    protocol: Protocol,
    /// The limits a caller meets.
    limits: LimitsView,
    /// What this hub can do beyond the basics.
    features: Vec<String>,
    /// Where it is reached.
    urls: Urls,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Protocol {
    /// Version of the calls over HTTP.
    call: String,
    /// Revisions of MCP served.
    mcp: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LimitsView {
    /// Largest body of a call, in bytes.
    body_bytes: usize,
    /// Largest body of an import, in bytes.
    import_bytes: usize,
    /// Calls a second a key; 0 = no limit.
    rate: u32,
    /// Calls a key may make at once; 0 = no limit.
    concurrency: u32,
    /// Default deadline of a call, in ms.
    deadline_ms: u64,
    /// Longest deadline a caller may ask for, in ms.
    max_deadline_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Urls {
    /// Address under which users reach the hub, when one is configured.
    public: Option<String>,
    /// Path of the OpenAPI document.
    openapi: String,
    /// Path of the reference page.
    docs: String,
}

async fn info(call: Call, _input: Arc<Empty>) -> Result<Info, HubError> {
    let state = call.state();
    let config = call.config();
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("ALKHUB_COMMIT").map(ToOwned::to_owned),
        instance_id: state.instance.id.to_string(),
        started_at: alkhub_storage::time::format(state.started_at),
        now: alkhub_storage::time::format(alkhub_storage::time::now()),
        engine: state.database.engine().to_string(),
        schema_version: state.database.schema_version().await?,
        protocol: Protocol {
            call: "alkhub.v1".to_owned(),
            mcp: served_revisions(&config),
        },
        limits: LimitsView {
            body_bytes: config.server.body_limit,
            import_bytes: config.server.import_limit,
            rate: config.limits.rate,
            concurrency: config.limits.concurrency,
            deadline_ms: millis(config.calls.deadline),
            max_deadline_ms: millis(config.calls.max_deadline),
        },
        features: features(&config),
        urls: Urls {
            public: config.server.public_url.clone(),
            openapi: "/v1/openapi.json".to_owned(),
            docs: "/v1/docs".to_owned(),
        },
    })
}

fn served_revisions(config: &Config) -> Vec<String> {
    let revisions: &[&str] = if config.mcp.enabled {
        &mcp::REVISIONS
    } else {
        &[]
    };
    revisions.iter().map(ToString::to_string).collect()
}

fn features(config: &Config) -> Vec<String> {
    let mut features = vec!["http".to_owned(), "openapi".to_owned()];
    if config.mcp.enabled {
        features.push("mcp".to_owned());
    }
    features
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WhoAmI {
    /// Whose key it is.
    account: AccountView,
    /// The key, without the key itself.
    key: KeyView,
    /// The organizations of the account.
    orgs: Vec<OrgMembership>,
    /// Every scope the call has: those of the key, expanded, under the ceiling of the access level.
    effective_scopes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OrgMembership {
    /// Id of the organization.
    id: String,
    /// Its slug.
    slug: String,
    /// The account's level in it.
    membership_level: MembershipLevel,
}

async fn who_am_i(call: Call, _input: Arc<Empty>) -> Result<WhoAmI, HubError> {
    let principal = call.principal()?;
    Ok(WhoAmI {
        account: AccountView::from(&principal.account),
        key: KeyView::from(&principal.key),
        orgs: principal
            .organizations
            .iter()
            .map(|membership| OrgMembership {
                id: membership.organization.id.to_string(),
                slug: membership.organization.slug.clone(),
                membership_level: membership.level,
            })
            .collect(),
        effective_scopes: principal.scopes.iter().cloned().collect(),
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigGet {
    /// One setting, as `limits.rate`; all when absent.
    key: Option<String>,
}

/// A setting as it is in force.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SettingView {
    /// The value in force; `"***"` for a secret.
    value: Value,
    /// Where it comes from: `flag`, `environment`, `live`, `file` or `default`.
    source: String,
    /// The value when nothing is set.
    default: Value,
    /// True when the value is never shown.
    secret: bool,
    /// True when a change acts only after a restart.
    restart: bool,
}

impl From<SettingValue> for SettingView {
    fn from(setting: SettingValue) -> Self {
        Self {
            value: if setting.secret {
                json!("***")
            } else {
                setting.value
            },
            source: setting.source.to_string(),
            default: setting.default,
            secret: setting.secret,
            restart: setting.restart,
        }
    }
}

async fn config_get(
    call: Call,
    input: Arc<ConfigGet>,
) -> Result<BTreeMap<String, SettingView>, HubError> {
    let settings = call.state().config.get(input.key.as_deref());
    if let (Some(key), true) = (&input.key, settings.is_empty()) {
        return Err(unknown_setting(key).into());
    }
    Ok(settings
        .into_iter()
        .map(|(key, setting)| (key, setting.into()))
        .collect())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigSet {
    /// The setting, as `limits.rate`.
    key: String,
    /// Its new value, in the form the file takes.
    value: Value,
}

async fn config_set(call: Call, input: Arc<ConfigSet>) -> Result<SettingView, HubError> {
    let live = &call.state().config;
    let refuse = |error| set_error(&input.key, error);
    let value = live.check_live(&input.key, &input.value).map_err(refuse)?;
    let before = live
        .get(Some(&input.key))
        .remove(&input.key)
        .map(|setting| setting.value);

    let transaction = call.begin().await?;
    meta::put(
        &transaction,
        &format!("{SETTING_PREFIX}{}", input.key),
        &value,
    )
    .await?;
    let entry = Entry::about("setting", &input.key, &input.key)
        .changed(json!({ "value": before }), json!({ "value": value }));
    audit::write(&transaction, &call.actor()?, Action::ConfigChanged, entry).await?;
    transaction.commit().await?;

    live.set_live(&input.key, input.value.clone())
        .map_err(refuse)?;
    live.get(Some(&input.key))
        .remove(&input.key)
        .map(SettingView::from)
        .ok_or_else(|| unknown_setting(&input.key).into())
}

fn set_error(key: &str, error: SetError) -> CallError {
    match error {
        SetError::UnknownKey { .. } => unknown_setting(key),
        SetError::NeedsRestart => CallError::unprocessable(
            "needs_restart",
            format!("{key} acts only at a start: set it in the file and restart"),
        ),
        SetError::Invalid { message } => CallError::validation_field("/value", "setting", message),
    }
}

fn unknown_setting(key: &str) -> CallError {
    let hint = crate::config::nearest(key)
        .map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
    CallError::validation_field("/key", "setting", format!("there is no such setting{hint}"))
}

async fn config_schema(call: Call, _input: Arc<Empty>) -> Result<Value, HubError> {
    Ok(call.state().config.schema())
}
