//! Which provider takes a call, and what becomes of it there.
//!
//! Candidates are the providers the caller may reach. Of these: those the call names, else those of the
//! call's project, else unbound ones; not draining, breaker closed, a place free; the least busy first.
//! When all are busy the call waits in the order of arrival.

mod queue;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use alkhub_operations::{CallError, Entry, ErrorCode, OperationId};
use alkhub_storage::ids::{ProjectId, SpokeId};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use queue::{Queue, wait};
pub(crate) use remote::{
    Outgoing, at_service, give_back, on_spoke, stream_at_service, stream_on_spoke,
};

use crate::auth::Principal;
use crate::links::Place;
use crate::providers::{Offer, ProviderId, Reach};
use crate::state::State;

/// Providers a caller wants and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// This spoke, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoke_id: Option<String>,
    /// Spokes with all of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Target {
    /// True when it names nothing, and so everybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spoke_id.is_none() && self.labels.is_empty()
    }
}

/// What the choice depends on.
pub(crate) struct Asked<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) target: Option<&'a Target>,
    pub(crate) project: Option<&'a str>,
    pub(crate) deadline: Instant,
}

/// Who runs a call.
pub(crate) enum Route {
    /// The hub.
    Own,
    /// Somebody else; the place is that on a spoke.
    Provider(Arc<Offer>, Option<Place>),
}

/// The outcome of a choice.
pub(crate) enum Choice {
    /// Somebody takes it now.
    Route(Route),
    /// All who could are busy.
    Wait,
}

/// Chooses a provider now, leaving some out.
///
/// # Errors
/// `NO_PROVIDER` when nobody the call may go to is there.
pub(crate) fn choose(
    state: &State,
    asked: &Asked<'_>,
    except: &[ProviderId],
) -> Result<Choice, CallError> {
    if state.providers.is_own(asked.entry) {
        return Ok(Choice::Route(Route::Own));
    }
    let now = Instant::now();
    let offers = state.providers.of(asked.entry.id().as_str());
    let admin_sees_all = state.config().auth.admin_sees_all;
    let mut candidates: Vec<&Arc<Offer>> = offers
        .iter()
        .filter(|offer| {
            offer.live()
                && !except.contains(&offer.provider)
                && asked
                    .principal
                    .is_some_and(|principal| offer.reachable_by(principal, admin_sees_all))
                && asked
                    .target
                    .is_none_or(|target| target.is_empty() || fits(target, offer))
                && !draining(offer)
                && offer.breaker.admits(now)
        })
        .collect();
    // Providers of the call's project come before unbound ones; those of other projects never, unless
    // they are named.
    let named = asked.target.is_some_and(|target| !target.is_empty());
    if let Some(project) = asked.project.map(ProjectId::from).filter(|_| !named) {
        let of_project = |offer: &&Arc<Offer>| {
            offer
                .owner
                .project
                .as_ref()
                .is_some_and(|own| *own == project)
        };
        if candidates.iter().any(of_project) {
            candidates.retain(of_project);
        } else {
            candidates.retain(|offer| offer.owner.project.is_none());
        }
    }
    if candidates.is_empty() {
        return Err(no_provider(asked.entry.id()));
    }
    candidates.sort_by(|a, b| {
        let (a_load, a_latency) = busy(a);
        let (b_load, b_latency) = busy(b);
        a_load
            .total_cmp(&b_load)
            .then(a_latency.cmp(&b_latency))
            .then_with(|| a.provider.as_str().cmp(b.provider.as_str()))
    });
    for offer in candidates {
        match &offer.reach {
            Reach::Service(_) => {
                offer.breaker.sent(now);
                return Ok(Choice::Route(Route::Provider(Arc::clone(offer), None)));
            }
            Reach::Spoke(link) => {
                if let Some(place) = link.take_place() {
                    offer.breaker.sent(now);
                    return Ok(Choice::Route(Route::Provider(
                        Arc::clone(offer),
                        Some(place),
                    )));
                }
            }
            Reach::Away => {}
        }
    }
    Ok(Choice::Wait)
}

fn fits(target: &Target, offer: &Offer) -> bool {
    let by_id = target.spoke_id.as_ref().is_none_or(|wanted| {
        matches!(&offer.provider, ProviderId::Spoke(id) if *id == SpokeId::from(wanted.as_str()))
    });
    let by_labels = target.labels.is_empty()
        || match &offer.reach {
            Reach::Spoke(link) => link.has_labels(&target.labels),
            Reach::Service(_) | Reach::Away => false,
        };
    by_id && by_labels
}

fn draining(offer: &Offer) -> bool {
    matches!(&offer.reach, Reach::Spoke(link) if link.draining())
}

/// How busy a provider is, and how long its calls take.
fn busy(offer: &Offer) -> (f64, std::time::Duration) {
    match &offer.reach {
        Reach::Spoke(link) => (link.load(), link.latency()),
        Reach::Service(_) | Reach::Away => (0.0, std::time::Duration::ZERO),
    }
}

/// The error when nobody is there.
pub(crate) fn no_provider(operation: &OperationId) -> CallError {
    CallError::new(
        ErrorCode::NO_PROVIDER,
        format!("nobody who offers {operation} can take this call now"),
    )
    .with_details(json!({ "operationId": operation, "retryAfterMs": 1_000 }))
}
