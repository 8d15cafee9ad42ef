//! `client.test`: is the service there?

use std::sync::Arc;
use std::time::Instant;

use alkhub_operations::adapters::http::{HttpRequest, Method};
use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::entity::clients;
use alkhub_storage::ids::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::HttpService;
use super::secrets::{Credential, secret_missing, secret_of};
use super::services::Target;
use super::types::{self, ClientConfig, service_url};
use super::{about, writable};
use crate::audit::{self, Action};
use crate::error::HubError;
use crate::state::{Call, State, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<ClientTest, ClientTested>("client.test", OperationType::Mutation)
            .description("Reaches an external service once, without changing anything there.")
            .scopes(&["client:write"])
            .resource("client", "write")
            .error(
                "CONFLICT",
                "secret_missing: a credential it needs is not stored",
            )
            .handler(handle(test)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientTest {
    /// Id of the client.
    id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClientTested {
    /// True when the service answered and did not refuse the hub.
    ok: bool,
    /// How long it took, in ms.
    latency_ms: u64,
    /// What it answered, or what went wrong.
    detail: String,
}

async fn test(call: Call, input: Arc<ClientTest>) -> Result<ClientTested, HubError> {
    let id = ClientId::from(input.id.clone());
    let row = writable(&call, call.database().reader(), &id).await?;
    let begun = Instant::now();
    let outcome = reach(call.state(), &row).await;
    let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (ok, detail) = match outcome {
        Ok(answered) => answered,
        Err(error) if error.code == alkhub_operations::ErrorCode::CONFLICT => {
            return Err(error.into());
        }
        Err(error) => (false, error.message),
    };
    let transaction = call.begin().await?;
    let entry = about(&row).counted(json!({ "ok": ok, "latencyMs": latency_ms }));
    audit::write(&transaction, &call.actor()?, Action::ClientTested, entry).await?;
    transaction.commit().await?;
    Ok(ClientTested {
        ok,
        latency_ms,
        detail,
    })
}

/// Whether the service accepts the hub, and what it says.
async fn reach(state: &Arc<State>, row: &clients::Model) -> Result<(bool, String), CallError> {
    let config = types::of_row(row.kind, &row.config).ok_or_else(|| {
        CallError::conflict(
            "config",
            "the stored configuration does not fit its type any more",
        )
    })?;
    match config {
        ClientConfig::Mcp(config) => {
            let server = super::server_of(state, row, config).await;
            let (info, tools) = server.tools().await?;
            let name = if info.name.is_empty() {
                "the server"
            } else {
                &info.name
            };
            Ok((
                true,
                format!("{name} {} offers {} tools", info.version, tools.len()),
            ))
        }
        ClientConfig::Custom(config) => {
            let services = Arc::clone(&state.services);
            let service = HttpService::new(row.id.clone(), &config, services)
                .map_err(|why| CallError::conflict("config", why))?;
            Ok(judged(service.probe().await?.status))
        }
        ClientConfig::Llm(config) => {
            needs(&row.id, "apiKey").await?;
            address(state, &config.base_url).await
        }
        ClientConfig::Compute(config) => {
            needs(&row.id, "apiKey").await?;
            address(state, &config.base_url).await
        }
        ClientConfig::Vcs(config) => address(state, &config.base_url).await,
    }
}

async fn needs(client: &ClientId, key: &str) -> Result<(), CallError> {
    match secret_of(client, key).await {
        Some(_stored) => Ok(()),
        None => Err(secret_missing(key)),
    }
}

/// Asks an address without a credential.
async fn address(state: &State, base: &str) -> Result<(bool, String), CallError> {
    let url = service_url(base).map_err(|why| CallError::conflict("config", why))?;
    let request = HttpRequest {
        method: Method::Head,
        path: String::new(),
        query: None,
        headers: Vec::new(),
        body: None,
    };
    let target = Target {
        base: &url,
        headers: &[],
        credential: &Credential::default(),
    };
    let response = state.services.open(&target, request).await?;
    Ok(judged(response.status().as_u16()))
}

/// Any answer shows that the service is there; a refusal shows that it does not want the hub.
fn judged(status: u16) -> (bool, String) {
    let ok = status < 500 && !matches!(status, 401 | 403 | 407);
    (ok, format!("HTTP {status}"))
}
