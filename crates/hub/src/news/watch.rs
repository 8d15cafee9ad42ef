//! The subscription.

use std::collections::VecDeque;
use std::sync::Arc;

use alkhub_operations::{CallError, Context, ErrorCode, Operation, OperationType, operation};
use alkhub_storage::time::format as to_wire;
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Event;
use crate::auth::operation_matches;
use crate::error::HubError;
use crate::state::{Call, call_of};

/// Patterns one watcher may give.
const MOST_TOPICS: usize = 50;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation::<HubEvents, EventView>("hub.events", OperationType::Subscription)
            .description("What happens to the rows the caller may see, as it happens.")
            .error("UNPROCESSABLE", "since_too_old")
            .stream(watch),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HubEvents {
    /// Which topics: full names, or patterns with `*` at the end of a part, as `task.*`.
    #[schemars(length(min = 1, max = MOST_TOPICS))]
    topics: Vec<String>,
    /// The last event the caller has: go on behind it.
    since: Option<String>,
}

/// One event.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EventView {
    /// Names the event; give the last one as `since` to go on.
    id: String,
    /// When it happened.
    at: String,
    /// `<entity>.<event>`, `task.created`.
    topic: String,
    /// The organization it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<String>,
    /// The project it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    /// The row.
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<EntityView>,
    /// What happened to it.
    change: String,
    /// The account that did it.
    by: String,
}

/// A row.
#[derive(Debug, Serialize, JsonSchema)]
struct EntityView {
    /// What it is.
    #[serde(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
}

struct Running {
    call: Call,
    topics: Vec<String>,
    /// Events from before that are still to be given.
    missed: VecDeque<Arc<Event>>,
    events: Receiver<Arc<Event>>,
}

fn watch(
    context: Context,
    input: HubEvents,
) -> impl Stream<Item = Result<EventView, CallError>> + Send + 'static {
    let begun = call_of(context).and_then(|call| begin(call, input));
    stream::unfold(Some(begun), |running| async {
        let mut running = match running? {
            Ok(running) => running,
            Err(error) => return Some((Err(error), None)),
        };
        match running.next().await? {
            Ok(event) => Some((Ok(event), Some(Ok(running)))),
            Err(error) => Some((Err(error.into()), None)),
        }
    })
}

fn begin(call: Call, input: HubEvents) -> Result<Running, CallError> {
    let news = &call.state().news;
    let (missed, events) = match &input.since {
        None => (VecDeque::new(), news.subscribe()),
        Some(since) => {
            let seq = since
                .strip_prefix(&prefix(&call))
                .and_then(|seq| seq.parse().ok());
            let held = seq.and_then(|seq| news.after(seq));
            let (missed, events) = held.ok_or_else(|| {
                let message = "the events after this one are not held any more; read the lists \
                               anew and watch without since";
                CallError::unprocessable("since_too_old", message)
            })?;
            (missed.into(), events)
        }
    };
    Ok(Running {
        topics: input.topics,
        missed,
        events,
        call,
    })
}

/// Beginning of the ids of this run's events.
fn prefix(call: &Call) -> String {
    let instance = &call.state().instance;
    format!("{}.{}-", instance.id, instance.start)
}

impl Running {
    async fn next(&mut self) -> Option<Result<EventView, HubError>> {
        loop {
            let event = match self.missed.pop_front() {
                Some(event) => event,
                None => match self.events.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(missed)) => return Some(Err(too_slow(missed).into())),
                    Err(RecvError::Closed) => return None,
                },
            };
            let wanted = self
                .topics
                .iter()
                .any(|pattern| pattern == "*" || operation_matches(pattern, &event.topic));
            match self.may_see(&event) {
                Ok(true) if wanted => return Some(Ok(self.view(&event))),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Rows of the caller's organizations, and what the caller did itself; never beyond what the key is
    /// narrowed to.
    fn may_see(&self, event: &Event) -> Result<bool, HubError> {
        let principal = self.call.principal()?;
        let narrowing = &principal.narrowing;
        let in_reach = match &event.project {
            Some(project) => narrowing.allows("project", project),
            None => narrowing.ids("project").is_none(),
        };
        let everything = principal.is_admin() && self.call.config().auth.admin_sees_all;
        let tenant = match &event.organization {
            Some(organization) => {
                narrowing.allows("org", organization.as_str())
                    && (everything || principal.level_in(organization).is_some())
            }
            None => everything || event.by == principal.account.id,
        };
        Ok(in_reach && tenant)
    }

    fn view(&self, event: &Event) -> EventView {
        EventView {
            id: format!("{}{}", prefix(&self.call), event.seq),
            at: to_wire(event.at),
            topic: event.topic.clone(),
            org_id: event.organization.as_ref().map(ToString::to_string),
            project_id: event.project.clone(),
            entity: event
                .entity
                .clone()
                .map(|(kind, id)| EntityView { kind, id }),
            change: event.change.clone(),
            by: event.by.to_string(),
        }
    }
}

fn too_slow(missed: u64) -> CallError {
    CallError::new(
        ErrorCode::ABORTED,
        "the watcher read too slowly; go on with since",
    )
    .with_details(json!({ "by": "hub", "reason": "slow_consumer", "missed": missed }))
}
