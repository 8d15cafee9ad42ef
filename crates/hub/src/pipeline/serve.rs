//! From the record on: take the call in, record its beginning, run it, record its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alkhub_operations::record::is_large;
use alkhub_operations::{AbortBy, CallError, ErrorCode, RecordPolicy};
use alkhub_storage::enums::CallStatus;

use super::record::{self, Beginning, Begins};
use super::{Admitted, context_of, record_policy};
use crate::abort;
use crate::auth::{Authentication, Credential, Refusal};
use crate::dispatch::{self, Choice, Outgoing, Route};
use crate::live::{Ended, Executor, LiveCall, Policy, Stop, Top, aborted};
use crate::memory;
use crate::providers::Reach;
use crate::repeats::{Announce, Entered, Fingerprint, Outcome};
use crate::state::State;

/// How often a running call looks whether its caller may still have it.
const RECHECK: Duration = Duration::from_secs(1);

/// Runs an admitted call. Returns the outcome and whether it is that of an earlier call.
pub(super) async fn serve(state: &Arc<State>, admitted: Admitted) -> (Outcome, bool) {
    if record_policy(state, &admitted.entry) == RecordPolicy::None {
        let call = unrecorded(Arc::clone(state), admitted);
        return (spawn(state, call).await, false);
    }
    let Some(operation) = state.providers.row(admitted.entry.id().as_str()) else {
        let id = admitted.entry.id().to_string();
        return (Err(CallError::operation_not_found(&id)), false);
    };
    let fingerprint = record::fingerprint(state, &admitted, &operation);
    if !admitted.chosen_id {
        let state_of_call = Arc::clone(state);
        let call = async move { recorded(state_of_call, admitted, fingerprint, None).await.0 };
        return (spawn(state, call).await, false);
    }
    let deadline = admitted.deadline;
    match state.repeats.enter(&admitted.live.key, fingerprint.clone()) {
        Entered::Differs(error) => (Err(error), true),
        Entered::First(announce) => {
            let task = state.running.spawn(recorded(
                Arc::clone(state),
                admitted,
                fingerprint,
                Some(announce),
            ));
            task.await
                .unwrap_or_else(|died| (Err(crate::error::unforeseen(&died)), false))
        }
        Entered::Repeat(mut first) => {
            let waited = tokio::time::timeout_at(deadline.into(), first.wait_for(Option::is_some));
            let told = match waited.await {
                Ok(Ok(outcome)) => outcome.clone(),
                // The first asker's task ended without telling: its record says what is known.
                Ok(Err(_gone)) => None,
                Err(_late) => return (Err(timed_out(&admitted)), true),
            };
            match told {
                Some(outcome) => (outcome, true),
                None => (
                    record::recorded_outcome(state, &admitted, &fingerprint, deadline).await,
                    true,
                ),
            }
        }
    }
}

/// Runs the call in a task of its own, so that it goes on when the caller hangs up.
async fn spawn(state: &State, call: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    state
        .running
        .spawn(call)
        .await
        .unwrap_or_else(|died| Err(crate::error::unforeseen(&died)))
}

/// A call that leaves a record.
async fn recorded(
    state: Arc<State>,
    mut admitted: Admitted,
    fingerprint: Fingerprint,
    announce: Option<Announce>,
) -> (Outcome, bool) {
    let (outcome, replayed) = match state.live.enter(Arc::clone(&admitted.live)) {
        Err(error) => (Err(error), false),
        Ok(()) => {
            let told = begin_and_run(&state, &mut admitted, &fingerprint).await;
            state.live.settle(&admitted.live.key);
            told
        }
    };
    if let Some(announce) = announce {
        announce.tell(&outcome);
    }
    (outcome, replayed)
}

async fn begin_and_run(
    state: &Arc<State>,
    admitted: &mut Admitted,
    fingerprint: &Fingerprint,
) -> (Outcome, bool) {
    let choice = dispatch::choose(state, &admitted.asked(), &[]);
    match record::begin(state, admitted, fingerprint, Begins::of(&choice)).await {
        Ok(Beginning::New) => {
            let outcome = run(state, admitted, choice, true).await;
            (
                record::end(state, admitted, fingerprint, outcome).await,
                false,
            )
        }
        Ok(Beginning::Unrecorded) => (run(state, admitted, choice, false).await, false),
        Ok(Beginning::Existing) => {
            dispatch::give_back(state, choice);
            state.live.finish(&admitted.live.key, CallStatus::Failed);
            let deadline = admitted.deadline;
            (
                record::recorded_outcome(state, admitted, fingerprint, deadline).await,
                true,
            )
        }
        Err(error) => {
            dispatch::give_back(state, choice);
            state.live.finish(&admitted.live.key, CallStatus::Failed);
            (Err(error), false)
        }
    }
}

/// A call that leaves no record; it still lives in memory, so that it can be aborted.
async fn unrecorded(state: Arc<State>, mut admitted: Admitted) -> Outcome {
    state.live.enter(Arc::clone(&admitted.live))?;
    let choice = dispatch::choose(&state, &admitted.asked(), &[]);
    let outcome = run(&state, &mut admitted, choice, false).await;
    state.live.settle(&admitted.live.key);
    outcome
}

/// Runs the call until it ends by itself, is stopped, or its time is over; whichever came first is its
/// end, for everybody.
async fn run(
    state: &Arc<State>,
    admitted: &mut Admitted,
    choice: Result<Choice, CallError>,
    recorded: bool,
) -> Outcome {
    let started = Instant::now();
    let (token, deadline) = (admitted.live.token.clone(), admitted.deadline);
    // Each stops the call before `execute` is dropped, which would tell a spoke that the caller did it.
    let live = Arc::clone(&admitted.live);
    let overdue = async {
        tokio::time::sleep_until(deadline.into()).await;
        let collected = state.live.time_out(&live.key, Instant::now());
        abort::follow(state, collected);
    };
    let put_out = async {
        let stop = put_out(state, &live).await;
        let collected = state
            .live
            .stop(&live.key, Top::Abort, &stop, Policy::AbortDependents);
        abort::follow(state, collected);
        stop
    };
    let outcome = tokio::select! {
        biased;
        () = token.cancelled() => Err(CallError::aborted(&admitted.live.key, AbortBy::Parent)),
        () = overdue => Err(timed_out(admitted)),
        stop = put_out => Err(aborted(&live.key, &stop)),
        outcome = execute(state, admitted, choice, recorded) => outcome,
    };
    let outcome = settle_outcome(state, admitted, outcome);
    let duration = started.elapsed();
    log(
        admitted,
        &outcome,
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    );
    outcome.map(|mut envelope| {
        envelope.meta.request_id = Some(admitted.request_id.clone());
        envelope.meta.duration = Some(duration);
        envelope
    })
}

/// Ends when the caller may not have the call any more: the key was revoked or the account suspended.
/// What is called from inside ends with the call it is made in, and a key that runs out ends nothing that
/// has begun.
async fn put_out(state: &State, call: &LiveCall) -> Stop {
    let nested = call.parent.is_some() || matches!(call.credential, Credential::None);
    if nested || call.principal.is_none() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(RECHECK).await;
        // Most calls are over before.
        let found = Box::pin(state.authenticator.authenticate(&call.credential)).await;
        let reason = match found {
            Ok(Authentication::Refused { why, .. }) if why != Refusal::Expired => {
                "the key of the caller does not hold any more"
            }
            Ok(Authentication::Inactive(_)) => "the account of the caller may not act any more",
            // The database is away for a moment; the next look decides.
            Ok(_) | Err(_) => continue,
        };
        return Stop {
            by: AbortBy::Hub,
            reason: Some(reason.to_owned()),
        };
    }
}

/// Makes the outcome the call's, unless somebody ended it first.
pub(super) fn settle_outcome(state: &Arc<State>, admitted: &Admitted, outcome: Outcome) -> Outcome {
    let key = &admitted.live.key;
    let status = status_of(&outcome);
    match state.live.finish(key, status) {
        Ended::Aborted(stop) => Err(aborted(key, &stop)),
        Ended::TimedOut => Err(timed_out(admitted)),
        Ended::Now | Ended::Over => {
            let stopped_below = match &outcome {
                // Its handler was dropped with its token, without a cascade: whoever called from
                // inside it goes with it.
                Err(error) if error.code == ErrorCode::PROVIDER_LOST => Some(AbortBy::Hub),
                Err(error) if error.code == ErrorCode::ABORTED => Some(AbortBy::Parent),
                // The provider's side of the deadline came first; what is below is as late.
                Err(error)
                    if error.code == ErrorCode::TIMEOUT && Instant::now() >= admitted.deadline =>
                {
                    Some(AbortBy::Deadline)
                }
                _ => None,
            };
            if let Some(by) = stopped_below {
                let stop = Stop { by, reason: None };
                let below = state
                    .live
                    .stop(key, Top::BelowOnly, &stop, Policy::AbortDependents);
                abort::follow(state, below);
            }
            outcome
        }
    }
}

pub(super) fn status_of(outcome: &Outcome) -> CallStatus {
    match outcome {
        Ok(_) => CallStatus::Completed,
        Err(error) if error.code == ErrorCode::ABORTED => CallStatus::Aborted,
        Err(_) => CallStatus::Failed,
    }
}

/// Finds who runs the call and lets it run.
async fn execute(
    state: &Arc<State>,
    admitted: &mut Admitted,
    choice: Result<Choice, CallError>,
    recorded: bool,
) -> Outcome {
    let route = match choice? {
        Choice::Route(route) => route,
        Choice::Wait => {
            let route = dispatch::wait(state, &admitted.asked()).await?;
            if recorded {
                let offer = match &route {
                    Route::Provider(offer, _) => Some(&**offer),
                    Route::Own => None,
                };
                record::running(state, admitted, offer).await?;
            }
            route
        }
    };
    match route {
        Route::Own => here(state, admitted).await,
        Route::Provider(offer, place) => match &offer.reach {
            Reach::Spoke(_) => {
                let outgoing = outgoing(admitted, recorded);
                dispatch::on_spoke(state, outgoing, offer, place).await
            }
            Reach::Service(service) => {
                let context = context_of(state, admitted).with_deadline(admitted.deadline);
                let input = std::mem::take(&mut admitted.input);
                begin_here(state, admitted)?;
                let (entry, deadline) = (&admitted.entry, admitted.deadline);
                dispatch::at_service(entry, service, input, &context, &offer, deadline).await
            }
            Reach::Away => Err(dispatch::no_provider(admitted.entry.id())),
        },
    }
}

/// The call as it goes to a spoke.
pub(super) fn outgoing(admitted: &mut Admitted, recorded: bool) -> Outgoing<'_> {
    let input = std::mem::take(&mut admitted.input);
    Outgoing {
        input,
        asked: admitted.asked(),
        entry: &admitted.entry,
        live: &admitted.live,
        metadata: admitted.options.metadata.clone(),
        progress: admitted.options.progress.clone(),
        idle_timeout: admitted.options.idle_timeout,
        resume_after: admitted.options.resume_after,
        unbounded: admitted.live.deadline.is_none(),
        recorded,
    }
}

pub(super) fn begin_here(state: &State, admitted: &Admitted) -> Result<(), CallError> {
    match state.live.run(&admitted.live.key, Executor::Here, || ()) {
        Ok(()) => Ok(()),
        Err(Ended::Aborted(stop)) => Err(aborted(&admitted.live.key, &stop)),
        Err(_) => Err(timed_out(admitted)),
    }
}

/// Gives the input to the hub's own handler, for good: it may be as large as a directory, and what is
/// recorded of it has been written.
async fn here(state: &Arc<State>, admitted: &mut Admitted) -> Outcome {
    begin_here(state, admitted)?;
    let context = context_of(state, admitted).with_deadline(admitted.deadline);
    let input = std::mem::take(&mut admitted.input);
    let large_input = is_large(&input);
    let outcome = match admitted.entry.run(input, &context).await {
        Ok(envelope) => admitted.entry.validate_output(envelope),
        Err(error) => Err(error),
    };
    if large_input
        || outcome
            .as_ref()
            .is_ok_and(|envelope| is_large(&envelope.data))
    {
        memory::give_back_soon();
    }
    outcome
}

fn log(admitted: &Admitted, outcome: &Outcome, duration_ms: u64) {
    let request_id = &admitted.request_id;
    let operation = admitted.live.operation.as_str();
    let account_id = admitted.live.account.as_ref().map(ToString::to_string);
    match outcome {
        Err(error) if error.code.http_status() >= 500 => {
            tracing::warn!(%request_id, operation, account_id, code = %error.code, duration_ms, "call failed");
        }
        Err(error) => {
            tracing::debug!(%request_id, operation, account_id, code = %error.code, duration_ms, "call refused");
        }
        Ok(_) if duration_ms > 1_000 => {
            tracing::info!(%request_id, operation, account_id, duration_ms, "slow call");
        }
        Ok(_) => tracing::debug!(%request_id, operation, account_id, duration_ms, "call answered"),
    }
}

pub(super) fn timed_out(admitted: &Admitted) -> CallError {
    CallError::timeout(&admitted.request_id)
        .with_details(serde_json::json!({ "retryAfterMs": 1_000 }))
}
