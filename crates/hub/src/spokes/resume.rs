//! A spoke's link over its connections: taken over, made or taken up again, with the calls that wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use alkhub_operations::protocol::{CallMap, ClosingReason, MapLimits, RequestState};
use alkhub_operations::{AbortBy, CallError, CallEvent, Frame, RequestId};
use alkhub_storage::entity::spokes::Model as Spoke;
use alkhub_storage::ids::SpokeId;
use serde_json::Value;

use super::register::Register;
use crate::connections::{Close, Connection};
use crate::error::HubError;
use crate::links::SpokeLink;
use crate::state::State;

/// A live connection of the row keeps it, unless it is to be replaced; then its calls are treated as
/// those of a lost one.
pub(super) async fn take_over(
    state: &Arc<State>,
    id: &SpokeId,
    replace: bool,
) -> Result<(), HubError> {
    let Some(link) = state.links.get(id) else {
        return Ok(());
    };
    let Some(former) = link.connection() else {
        return Ok(());
    };
    if !replace {
        let message = "this spoke is connected; give replace to take its place";
        return Err(CallError::conflict("already_connected", message).into());
    }
    if let Some(connection) = state.sockets.get(former) {
        let close = Close::new(4001, "another connection took this one's place");
        connection.close(ClosingReason::Replaced, close, None);
    }
    link.disconnect(former);
    Ok(())
}

/// The link of the spoke: that of its last connection while its calls wait, with these, else a new one.
pub(super) fn link(
    state: &Arc<State>,
    row: &Spoke,
    connection: &Arc<Connection>,
    input: &Register,
    labels: BTreeMap<String, String>,
) -> (Arc<SpokeLink>, Option<Vec<RequestId>>) {
    let limit = input
        .limits
        .max_in_flight
        .min(state.config().spokes.max_in_flight);
    let sink: Arc<crate::connections::Outbox> = Arc::clone(&connection.outbox);
    let (link, waiting) = match state.links.get(&row.id) {
        Some(link) => {
            // Asked before it is connected: what is sent to it from then on is none of these.
            let waiting = link.map.pending_ids();
            link.reconnect(connection.id, sink, limit);
            (link, Some(waiting))
        }
        None => {
            let limits = MapLimits {
                entries: usize::MAX,
                unanswered_is_failure: true,
                ..MapLimits::default()
            };
            let map = CallMap::new(sink, limits);
            let link = Arc::new(SpokeLink::new(row.id.clone(), map, connection.id, limit));
            state.links.enter(&link);
            (link, None)
        }
    };
    link.set_labels(labels);
    link.set_draining(row.metadata.get("drain") == Some(&Value::Bool(true)));
    link.seen.note(crate::connections::now_ms(), None);
    (link, waiting)
}

/// Brings the calls of the last connection together with what the spoke says of them.
pub(super) async fn resume(
    state: &Arc<State>,
    link: &Arc<SpokeLink>,
    input: &Register,
    waiting: &[RequestId],
) {
    for frame in &input.undelivered {
        let read = serde_json::from_value::<Frame>(Value::Object(frame.clone()));
        match read.map(CallEvent::from_frame) {
            Ok(Ok(event)) => {
                if !state.recovery.answered(state, &link.id, &event).await {
                    link.map.deliver(event);
                }
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(spoke = %link.id, "an undelivered answer cannot be read");
            }
        }
    }
    let running: Vec<RequestId> = input
        .running
        .iter()
        .filter_map(|id| RequestId::new(id.as_str()).ok())
        .collect();
    for id in waiting.iter().filter(|id| !running.contains(id)) {
        link.map.fail(id, CallError::provider_lost(true));
    }
    state.recovery.returned(state, link, &input.running).await;
    for id in running {
        let known = link.map.state(&id) == RequestState::Open
            || state.recovery.expects(&link.id, id.as_str());
        if !known {
            // Aborted while it was away, or never ours: it is to stop.
            link.map.tell_aborted(&id, AbortBy::Hub, None);
        }
    }
}
