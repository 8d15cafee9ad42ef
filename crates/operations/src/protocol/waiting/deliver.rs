//! What arrives from the provider.

use std::sync::atomic::Ordering;

use super::super::sync::lock;
use super::super::weight::weight;
use super::super::{
    AbortBy, CallAborted, CallError, CallEvent, CallResponded, Delivered, ErrorCode, Progress,
    RequestId, Violation, now,
};
use super::confirm::Word;
use super::{State, Waiting, wake};

impl Waiting {
    /// Takes an event from the provider.
    pub(in super::super) fn deliver(&self, event: CallEvent) -> Delivered {
        let delivered = match event {
            CallEvent::Responded(responded) => self.responded(responded),
            CallEvent::Completed(completed) => self.completed(&completed.request_id),
            CallEvent::Failed(failed) => {
                let id = failed.request_id.clone();
                self.ended(&id, Err(failed.into_error()))
            }
            CallEvent::Aborted(aborted) => {
                let id = aborted.request_id.clone();
                self.ended(&id, Err(aborted_by_peer(aborted)))
            }
            CallEvent::Progress(progress) => {
                let mut state = lock(&self.state);
                match state.open.get(&progress.request_id) {
                    Some(entry) => {
                        let sink = entry.progress.clone();
                        drop(state);
                        if let Some(sink) = sink {
                            sink(Progress {
                                fraction: progress.fraction,
                                message: progress.message,
                            });
                        }
                        Delivered::Accepted
                    }
                    None => state.late_or_unknown(&progress.request_id, Word::Progress),
                }
            }
            event @ (CallEvent::Requested(_) | CallEvent::Credit(_)) => {
                Delivered::Violation(Violation::Direction(event.name()))
            }
        };
        if matches!(delivered, Delivered::Late | Delivered::Unknown) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        delivered
    }

    /// An answer arrived that is none: the request ends with `OUTPUT_INVALID` or `details`.
    pub(in super::super) fn refuse_answer(&self, id: &RequestId, error: CallError) -> Delivered {
        let mut state = lock(&self.state);
        let Some(entry) = state.remove(id) else {
            return state.late_or_unknown(id, Word::Answer);
        };
        if entry.stream.is_some() {
            // A call is over with its answer; a stream would go on.
            state.tell(id, true, AbortBy::Hub, Some("output_invalid"), &self.limits);
        }
        drop(state);
        wake(entry.slot.end(Err(error), true));
        Delivered::Accepted
    }

    fn responded(&self, responded: CallResponded) -> Delivered {
        let CallResponded {
            request_id: id,
            output,
            seq,
        } = responded;
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(entry) = state.open.get_mut(&id) else {
            return state.late_or_unknown(&id, Word::Answer);
        };
        let Some(stream) = &mut entry.stream else {
            let Some(entry) = state.remove(&id) else {
                return Delivered::Unknown;
            };
            drop(guard);
            wake(entry.slot.answer(output));
            return Delivered::Accepted;
        };
        // Peers that do not count are counted for.
        let expected = stream.next_seq;
        let got = seq.unwrap_or(expected);
        if got < expected {
            return Delivered::Late;
        }
        if got > expected {
            let Some(entry) = state.remove(&id) else {
                return Delivered::Unknown;
            };
            state.tell(&id, true, AbortBy::Hub, Some("items_lost"), &self.limits);
            drop(guard);
            let message = "items of the stream were lost on the way";
            let error =
                CallError::new(ErrorCode::EXECUTION_ERROR, message).with_detail("rule", "sequence");
            wake(entry.slot.end(Err(error), true));
            return Delivered::Violation(Violation::Sequence { expected, got });
        }
        stream.next_seq += 1;
        let weight = weight(&output);
        let was_lost = stream.lost;
        let waker = if !was_lost && entry.admit(weight, &self.limits) {
            entry.slot.push(output, weight)
        } else {
            None
        };
        self.arm(&mut guard, &id);
        drop(guard);
        wake(waker);
        Delivered::Accepted
    }

    fn completed(&self, id: &RequestId) -> Delivered {
        let mut state = lock(&self.state);
        let Some(entry) = state.remove(id) else {
            return state.late_or_unknown(id, Word::Last);
        };
        drop(state);
        let outcome =
            match entry.stream.map(|stream| stream.lost) {
                Some(false) => Ok(()),
                Some(true) => Err(CallError::aborted(id, AbortBy::Hub)
                    .with_detail("reason", super::SLOW_CONSUMER)),
                None if self.limits.unanswered_is_failure => Err(CallError::new(
                    ErrorCode::EXECUTION_ERROR,
                    format!("Request {id} completed without response"),
                )),
                None => Err(CallError::new(
                    ErrorCode::ABORTED,
                    format!("Request {id} completed without response"),
                )
                .with_detail("by", "provider")),
            };
        wake(entry.slot.end(outcome, true));
        Delivered::Accepted
    }

    /// The provider ended it.
    fn ended(&self, id: &RequestId, outcome: Result<(), CallError>) -> Delivered {
        let mut state = lock(&self.state);
        let Some(entry) = state.remove(id) else {
            return state.late_or_unknown(id, Word::Last);
        };
        drop(state);
        wake(entry.slot.end(outcome, true));
        Delivered::Accepted
    }
}

impl State {
    /// An event for a request that is not open. Its first end after an abort confirms it.
    fn late_or_unknown(&mut self, id: &RequestId, word: Word) -> Delivered {
        if self.confirmations.heard(id, word, now()) || self.finished.contains(id) {
            Delivered::Late
        } else {
            Delivered::Unknown
        }
    }
}

fn aborted_by_peer(aborted: CallAborted) -> CallError {
    let by = aborted.by.unwrap_or(AbortBy::Provider);
    let error = CallError::aborted(&aborted.request_id, by);
    match aborted.reason {
        Some(reason) => error.with_detail("reason", reason),
        None => error,
    }
}
