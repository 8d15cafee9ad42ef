//! One call.

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::calls as queries;
use alkhub_storage::ids::CallGraphNodeId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::view::{CallDetails, Names};
use super::{Viewer, find, not_found};
use crate::error::HubError;
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<CallGet, CallDetails>("call.get", OperationType::Query)
            .description(
                "One recorded call by its request id or the id of its row: your own, or with call:read one of a project you may see. Input and output are shown of your own calls, and to administrators of the organization.",
            )
            .handler(handle(get)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallGet {
    /// Id of the row.
    id: Option<String>,
    /// Id of the call, in the place of the other.
    request_id: Option<String>,
    /// Whether input and output are wanted.
    #[serde(default = "yes")]
    io: bool,
}

fn yes() -> bool {
    true
}

async fn get(call: Call, input: Arc<CallGet>) -> Result<CallDetails, HubError> {
    let viewer = Viewer::of(&call)?;
    let node = match (&input.id, &input.request_id) {
        (Some(id), None) => {
            let id = CallGraphNodeId::from(id.as_str());
            queries::call_by_id(call.database().reader(), &viewer.scope, &id)
                .await?
                .ok_or_else(not_found)?
        }
        (None, Some(request_id)) => find(&call, &viewer, request_id).await?,
        _ => {
            let message = "give the id of the row or the request id, one of them";
            return Err(CallError::validation_rule("one_of", message).into());
        }
    };
    let names = Names::load(&call, [&node]).await?;
    let allowed = viewer.sees_payload(&call, &node).await?;
    Ok(if input.io && allowed {
        CallDetails::whole(node, &names)
    } else {
        CallDetails::outside(&node, &names, input.io)
    })
}
