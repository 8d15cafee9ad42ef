//! Operations about operations: what there is to call, and how.

mod graph;
mod overrides;
mod removal;

use std::sync::Arc;

use alkhub_operations::{CallError, Entry, Issue, Operation, OperationType, operation};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::auth::Principal;
use crate::authorize;
use crate::error::{HubError, NOT_FOUND};
use crate::page::{Order, PageView, list_input};
use crate::providers::ProviderId;
use crate::rules::{self, Issues};
use crate::search;
use crate::state::{Call, State, handle};

pub(crate) use graph::KnownGraph;
pub(crate) use overrides::{Overrides, apply as apply_override};

/// Names `operation.schema` takes at once.
const MAX_NAMES: usize = 20;

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        operation::<OperationList, PageView<OperationSummary>>(
            "operation.list",
            OperationType::Query,
        )
        .description("The operations this key may call, by name.")
        .handler(handle(list)),
        operation::<OperationSearch, Vec<Found>>("operation.search", OperationType::Query)
            .description("The operations this key may call that fit some words, best first.")
            .handler(handle(find)),
        operation::<OperationSchema, Vec<Value>>("operation.schema", OperationType::Query)
            .description("Input, output, errors and access of operations this key may call.")
            .handler(handle(schema)),
    ];
    operations.extend(graph::operations());
    operations.extend(overrides::operations());
    operations.extend(removal::operations());
    operations
}

/// What is done to an operation is done to all who offer it: the caller must reach every one of them.
fn require_all_in_reach(state: &State, principal: &Principal, name: &str) -> Result<(), CallError> {
    let admin_sees_all = state.config().auth.admin_sees_all;
    let offers = state.providers.of(name);
    let reached = offers
        .iter()
        .filter(|offer| offer.reachable_by(principal, admin_sees_all))
        .count();
    if reached == offers.len() {
        Ok(())
    } else if reached == 0 {
        Err(CallError::not_found(NOT_FOUND))
    } else {
        let message = format!("{name} is offered by other tenants as well; an administrator may");
        Err(CallError::access_denied(message))
    }
}

/// An operation in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OperationSummary {
    /// Full name, `task.create`.
    name: String,
    /// Shown title.
    title: Option<String>,
    /// What it does.
    description: String,
    /// `query`, `mutation` or `subscription`.
    #[serde(rename = "type")]
    kind: String,
    /// Semantic version.
    version: String,
    /// How many providers can take a call now.
    providers: u32,
}

impl OperationSummary {
    fn of(state: &State, entry: &Entry) -> Self {
        let spec = entry.spec();
        Self {
            name: spec.id().to_string(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            kind: spec.kind.to_string(),
            version: spec.version.to_string(),
            providers: live_providers(state, entry),
        }
    }
}

/// How many can take a call of the operation now.
fn live_providers(state: &State, entry: &Entry) -> u32 {
    if state.providers.is_own(entry) {
        return u32::from(entry.handler().is_some());
    }
    let offers = state.providers.of(entry.id().as_str());
    let live = offers.iter().filter(|offer| offer.live()).count();
    u32::try_from(live).unwrap_or(u32::MAX)
}

/// True when somebody of this sort offers it.
fn provided_by(state: &State, entry: &Entry, wanted: Provider) -> bool {
    if state.providers.is_own(entry) {
        return wanted == Provider::Hub;
    }
    let offers = state.providers.of(entry.id().as_str());
    offers.iter().any(|offer| match offer.provider {
        ProviderId::Spoke(_) => wanted == Provider::Spoke,
        ProviderId::Client(_) => wanted == Provider::Client,
    })
}

/// Who provides an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Provider {
    /// The hub itself.
    Hub,
    /// A connected spoke.
    Spoke,
    /// An external service.
    Client,
}

list_input! {
    struct OperationList {
        /// Only operations of this namespace.
        namespace: Option<String>,
        /// Only queries, mutations or subscriptions.
        #[serde(rename = "type")]
        kind: Option<OperationType>,
        /// Only operations of this kind of provider.
        provider: Option<Provider>,
        /// Only operations with all of these tags.
        tags: Option<Vec<String>>,
        /// Only operations somebody can take a call of now.
        #[serde(default = "yes")]
        live: bool,
    }
}

fn yes() -> bool {
    true
}

async fn list(
    call: Call,
    input: Arc<OperationList>,
) -> Result<PageView<OperationSummary>, HubError> {
    let order = input.order.unwrap_or(Order::Asc);
    let filters = json!([
        input.namespace,
        input.kind,
        input.provider,
        input.tags,
        input.live,
        order
    ]);
    let filter_hash = crate::keys::hex(&Sha256::digest(filters.to_string())[..8]);
    let after = input
        .cursor
        .as_deref()
        .map(|cursor| read_cursor(cursor, &filter_hash))
        .transpose()?;
    let mut entries = callable(&call)?;
    entries.retain(|entry| {
        let spec = entry.spec();
        input
            .namespace
            .as_ref()
            .is_none_or(|wanted| spec.namespace.as_str() == wanted)
            && input.kind.is_none_or(|wanted| spec.kind == wanted)
            && input
                .provider
                .is_none_or(|wanted| provided_by(call.state(), entry, wanted))
            && input
                .tags
                .iter()
                .flatten()
                .all(|tag| spec.tags.contains(tag))
            && (!input.live || live_providers(call.state(), entry) > 0)
    });
    if order == Order::Desc {
        entries.reverse();
    }
    if let Some(after) = after {
        let start = entries
            .iter()
            .position(|entry| {
                let name = entry.id().to_string();
                if order == Order::Asc {
                    name > after
                } else {
                    name < after
                }
            })
            .unwrap_or(entries.len());
        entries.drain(..start);
    }
    let limit = usize::from(input.page().limit);
    let more = entries.len() > limit;
    entries.truncate(limit);
    let items: Vec<OperationSummary> = entries
        .iter()
        .map(|entry| OperationSummary::of(call.state(), entry))
        .collect();
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| URL_SAFE_NO_PAD.encode(json!([last.name, filter_hash]).to_string()));
    Ok(PageView { items, next_cursor })
}

fn read_cursor(cursor: &str, filter_hash: &str) -> Result<String, CallError> {
    let refused = || {
        let message = "is not a cursor of this list with these filters";
        CallError::validation_field("/cursor", "cursor", message)
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_garbled| refused())?;
    let (name, hash): (String, String) =
        serde_json::from_slice(&bytes).map_err(|_garbled| refused())?;
    if hash == filter_hash {
        Ok(name)
    } else {
        Err(refused())
    }
}

/// The operations the caller may call, by name.
fn callable(call: &Call) -> Result<Vec<Arc<Entry>>, HubError> {
    let principal = call.principal()?;
    let mut entries = call.state().registry.list();
    entries.retain(|entry| authorize::may_call(call.state(), principal, entry));
    Ok(entries)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OperationSearch {
    /// Words, 1 to 200 characters.
    query: String,
    /// Only operations of this namespace.
    namespace: Option<String>,
    /// Operations found at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 50))]
    limit: usize,
}

fn ten() -> usize {
    10
}

/// An operation that fits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// Full name.
    name: String,
    /// Shown title.
    title: Option<String>,
    /// What it does.
    description: String,
    /// `query`, `mutation` or `subscription`.
    #[serde(rename = "type")]
    kind: String,
    /// Semantic version.
    version: String,
    /// How many providers can take a call now.
    providers: u32,
    /// How well it fits: the more, the better.
    score: f64,
}

async fn find(call: Call, input: Arc<OperationSearch>) -> Result<Vec<Found>, HubError> {
    let mut issues = Issues::default();
    let query = issues
        .take(rules::text("/query", input.query.trim(), 200))
        .unwrap_or_default();
    if query.is_empty() {
        issues.add(Issue::new("/query", "minLength", "give at least one word"));
    }
    issues.finish()?;
    let words = search::tokens(&query);
    let mut found: Vec<Found> = callable(&call)?
        .iter()
        .filter_map(|entry| {
            let spec = entry.spec();
            let wanted = input.namespace.as_deref();
            if wanted.is_some_and(|wanted| spec.namespace.as_str() != wanted) {
                return None;
            }
            let score = search::score(spec, &words);
            let summary = OperationSummary::of(call.state(), entry);
            (score > 0.0).then_some(Found {
                name: summary.name,
                title: summary.title,
                description: summary.description,
                kind: summary.kind,
                version: summary.version,
                providers: summary.providers,
                score,
            })
        })
        .collect();
    found.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| a.name.cmp(&b.name))
    });
    found.truncate(input.limit);
    Ok(found)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OperationSchema {
    /// Full name of one operation.
    name: Option<String>,
    /// Full names of up to 20, in the place of `name`.
    names: Option<Vec<String>>,
}

async fn schema(call: Call, input: Arc<OperationSchema>) -> Result<Vec<Value>, HubError> {
    let names = match (&input.name, &input.names) {
        (Some(name), None) => vec![name.clone()],
        (None, Some(names)) if (1..=MAX_NAMES).contains(&names.len()) => names.clone(),
        _ => {
            let message = format!("give either name or 1 to {MAX_NAMES} names");
            return Err(CallError::validation_field("/name", "one_of", message).into());
        }
    };
    let principal = call.principal()?;
    let entry_of = |name: &String| {
        call.state()
            .registry
            .get(name)
            .filter(|entry| authorize::may_call(call.state(), principal, entry))
            .ok_or_else(|| {
                CallError::not_found(format!("there is no operation {name} for this key"))
            })
    };
    names
        .iter()
        .map(|name| Ok(json!(entry_of(name)?.spec())))
        .collect()
}
