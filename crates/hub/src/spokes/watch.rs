//! `spoke.watch`: who comes, who goes, and what they offer.

use alkhub_operations::{CallError, Context, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::ids::{ProjectId, SpokeId};
use alkhub_storage::spokes as queries;
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::manage::SpokeView;
use super::{SpokeChange, SpokeEvent};
use crate::error::HubError;
use crate::state::{Call, call_of};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<SpokeWatch, SpokeChanged>("spoke.watch", OperationType::Subscription)
            .description("Tells when spokes connect, go, or change what they offer, from now on.")
            .scopes(&["spoke:read"])
            .stream(watch),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokeWatch {
    /// Only spokes of this project.
    project_id: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SpokeChanged {
    /// Which spoke.
    spoke_id: SpokeId,
    /// Its name at the time.
    name: String,
    /// What happened.
    change: SpokeChange,
    /// The spoke as it is now; null when it is gone.
    spoke: Option<SpokeView>,
}

struct Running {
    call: Call,
    project: Option<ProjectId>,
    events: Receiver<SpokeEvent>,
}

fn watch(
    context: Context,
    input: SpokeWatch,
) -> impl Stream<Item = Result<SpokeChanged, CallError>> + Send + 'static {
    let begun = call_of(context).map(|call| Running {
        events: call.state().events.spokes(),
        project: input.project_id.map(ProjectId::from),
        call,
    });
    stream::unfold(Some(begun), |running| async {
        let mut running = match running? {
            Ok(running) => running,
            Err(error) => return Some((Err(error), None)),
        };
        match running.next().await? {
            Ok(changed) => Some((Ok(changed), Some(Ok(running)))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

impl Running {
    async fn next(&mut self) -> Option<Result<SpokeChanged, HubError>> {
        loop {
            let event = match self.events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => return Some(Err(too_slow(missed).into())),
                Err(RecvError::Closed) => return None,
            };
            let wanted = self
                .project
                .as_ref()
                .is_none_or(|project| event.owner.project.as_ref() == Some(project));
            if !wanted {
                continue;
            }
            match self.read(event).await {
                Ok(Some(changed)) => return Some(Ok(changed)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads the row with the watcher's own rights, as they are now. None when it may not be seen.
    async fn read(&self, event: SpokeEvent) -> Result<Option<SpokeChanged>, HubError> {
        let call = &self.call;
        let row =
            queries::spoke_by_id(call.database().reader(), &call.scope()?, &event.spoke).await?;
        let gone = event.change == SpokeChange::Deleted;
        // Of a row that is gone only the owner's words are left to decide by.
        let seen_before = || -> Result<bool, HubError> {
            let principal = call.principal()?;
            Ok(event
                .owner
                .reachable_by(principal, call.config().auth.admin_sees_all))
        };
        if row.is_none() && !(gone && seen_before()?) {
            return Ok(None);
        }
        Ok(Some(SpokeChanged {
            spoke: row.as_ref().map(|row| SpokeView::of(call.state(), row)),
            spoke_id: event.spoke,
            name: event.name,
            change: event.change,
        }))
    }
}

fn too_slow(missed: u64) -> CallError {
    CallError::new(
        ErrorCode::ABORTED,
        "the watcher read too slowly; read the list and watch again",
    )
    .with_details(json!({ "by": "hub", "reason": "slow_consumer", "missed": missed }))
}
