//! The map of waiting calls under every order of threads: the real code, with the locks of a model
//! checker in the place of its own. A test program of its own, because the checker takes over how
//! panics are reported.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "modules of the crate are compiled here once more, and not all of each is modelled"
)]

#[path = "../../src/protocol/slot.rs"]
mod slot;
#[path = "../../src/protocol/timers.rs"]
mod timers;
#[path = "../../src/protocol/waiting.rs"]
mod waiting;
#[path = "../../src/protocol/weight.rs"]
mod weight;

/// The locks of the model checker.
mod sync {
    pub(super) use std::sync::Arc;

    pub(super) use shuttle::sync::Mutex;
    use shuttle::sync::MutexGuard;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

// What the modelled modules take from the module around them.
use alkhub_operations::context::{Progress, ProgressSink};
use alkhub_operations::envelope::{Envelope, now_ms};
use alkhub_operations::events::{
    AbortBy, CallAborted, CallCompleted, CallCredit, CallEvent, CallRequested, CallResponded,
    REASON_LENGTH,
};
use alkhub_operations::protocol::{
    CloseReason, Delivered, EventSink, MapLimits, Request, SinkClosed, Violation,
};
use alkhub_operations::{CallError, ErrorCode, OperationId, RequestId};

use std::future::poll_fn;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde_json::json;
use shuttle::thread;

use self::slot::Slot;
use self::sync::{Arc, Mutex, lock};
use self::timers::Expires;
use self::waiting::Waiting;

/// Orders that each race of the specification is tried in.
const ROUNDS: usize = 10_000;

/// The same for other races.
const FEWER: usize = 2_000;

fn now() -> Instant {
    Instant::now()
}

/// What was sent, in order.
#[derive(Default)]
struct Sent(Mutex<Vec<String>>);

impl EventSink for Sent {
    fn push(&self, event: CallEvent) -> Result<(), SinkClosed> {
        lock(&self.0).push(event.name().to_owned());
        Ok(())
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkClosed>> {
        Box::pin(async { Ok(()) })
    }
}

fn setup() -> (Arc<Waiting>, Arc<Sent>) {
    let sent = Arc::new(Sent::default());
    let sink: Arc<dyn EventSink> = sent.clone();
    (
        Arc::new(Waiting::new(Some(sink), MapLimits::default())),
        sent,
    )
}

fn id() -> RequestId {
    "r1".parse().unwrap()
}

fn request() -> Request {
    Request::new("test.echo", json!({})).with_id(id())
}

fn answer(seq: Option<u64>) -> CallEvent {
    let operation: OperationId = "test.echo".parse().unwrap();
    CallEvent::Responded(CallResponded {
        request_id: id(),
        output: Envelope::local(json!(seq), &operation),
        seq,
    })
}

/// All that the consumer hears, until the end.
fn hear(waiting: &Arc<Waiting>, slot: &Arc<Slot>) -> Vec<Result<Envelope, CallError>> {
    shuttle::future::block_on(async {
        let mut heard = Vec::new();
        while let Some(one) = poll_fn(|task| slot.poll(task.waker())).await {
            if one.is_ok() {
                waiting.consumed(&id(), slot);
            }
            heard.push(one);
        }
        heard
    })
}

/// Two things happen to one call at once; gives what each said and what the consumer heard.
fn race<A, B>(
    first: impl FnOnce(&Waiting) -> A + Send + 'static,
    second: impl FnOnce(&Waiting) -> B + Send + 'static,
) -> (A, B, Vec<Result<Envelope, CallError>>, Vec<String>)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let (waiting, sent) = setup();
    let slot = waiting.open(request().with_timeout(Duration::from_secs(60)), false);
    let (one, two) = (Arc::clone(&waiting), Arc::clone(&waiting));
    let first = thread::spawn(move || first(&one));
    let second = thread::spawn(move || second(&two));
    let heard = hear(&waiting, &slot);
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!(waiting.pending(), 0);
    assert_eq!(heard.len(), 1, "exactly one outcome");
    let sent = lock(&sent.0).clone();
    assert_eq!(sent[0], "call.requested");
    (first, second, heard, sent)
}

#[test]
fn case_117_answer_and_abort_at_once_have_one_outcome() {
    shuttle::check_random(
        || {
            let (delivered, aborted, heard, sent) = race(
                |waiting| waiting.deliver(answer(None)),
                |waiting| waiting.abort(&id(), AbortBy::Caller, None),
            );
            assert_eq!(heard[0].is_err(), aborted);
            assert_eq!(delivered == Delivered::Accepted, !aborted);
            let told = sent.iter().filter(|name| *name == "call.aborted").count();
            assert_eq!(told, usize::from(aborted));
        },
        ROUNDS,
    );
}

#[test]
fn case_117_answer_and_deadline_at_once_have_one_outcome() {
    shuttle::check_random(
        || {
            let (delivered, _, heard, sent) = race(
                |waiting| waiting.deliver(answer(None)),
                |waiting| waiting.expire(now() + Duration::from_secs(120)),
            );
            match &heard[0] {
                Ok(_) => assert_eq!(delivered, Delivered::Accepted),
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::TIMEOUT);
                    assert_eq!(delivered, Delivered::Late);
                    assert_eq!(sent.last().unwrap(), "call.aborted");
                }
            }
        },
        ROUNDS,
    );
}

#[test]
fn case_117_two_answers_at_once_count_once() {
    shuttle::check_random(
        || {
            let (one, two, heard, _) = race(
                |waiting| waiting.deliver(answer(None)),
                |waiting| waiting.deliver(answer(None)),
            );
            assert!(heard[0].is_ok());
            let accepted = [one, two]
                .iter()
                .filter(|it| **it == Delivered::Accepted)
                .count();
            assert_eq!(accepted, 1);
        },
        ROUNDS,
    );
}

#[test]
fn closing_and_answering_at_once_have_one_outcome() {
    shuttle::check_random(
        || {
            let (delivered, (), heard, _) = race(
                |waiting| waiting.deliver(answer(None)),
                |waiting| waiting.close(CloseReason::ProviderLost),
            );
            assert_eq!(heard[0].is_ok(), delivered == Delivered::Accepted);
        },
        FEWER,
    );
}

#[test]
fn an_abort_never_overtakes_its_request() {
    shuttle::check_random(
        || {
            let (waiting, sent) = setup();
            let other = Arc::clone(&waiting);
            let aborting = thread::spawn(move || other.abort(&id(), AbortBy::Hub, None));
            let slot = waiting.open(request(), false);
            if aborting.join().unwrap() {
                assert_eq!(*lock(&sent.0), ["call.requested", "call.aborted"]);
                assert!(hear(&waiting, &slot)[0].is_err());
            } else {
                assert_eq!(*lock(&sent.0), ["call.requested"]);
            }
        },
        FEWER,
    );
}

#[test]
fn dropping_and_answering_at_once_leave_nothing_open() {
    shuttle::check_random(
        || {
            let (waiting, sent) = setup();
            let slot = waiting.open(request(), false);
            let other = Arc::clone(&waiting);
            let answering = thread::spawn(move || other.deliver(answer(None)));
            waiting.dropped(&id(), &slot);
            let delivered = answering.join().unwrap();
            assert_eq!(waiting.pending(), 0);
            let told = lock(&sent.0).len() == 2;
            assert_eq!(told, delivered == Delivered::Late);
        },
        FEWER,
    );
}

#[test]
fn a_consumer_misses_no_item_and_no_wake_up() {
    shuttle::check_random(
        || {
            let (waiting, _) = setup();
            let slot = waiting.open(request(), true);
            let other = Arc::clone(&waiting);
            let providing = thread::spawn(move || {
                for seq in 1..=3 {
                    assert_eq!(other.deliver(answer(Some(seq))), Delivered::Accepted);
                }
                let ended = CallEvent::Completed(CallCompleted {
                    request_id: id(),
                    count: Some(3),
                });
                assert_eq!(other.deliver(ended), Delivered::Accepted);
            });
            let heard = hear(&waiting, &slot);
            providing.join().unwrap();
            assert_eq!(heard.len(), 3);
            assert!(heard.iter().all(Result::is_ok));
        },
        FEWER,
    );
}

#[test]
fn a_new_socket_and_an_answer_at_once_lose_nothing() {
    shuttle::check_random(
        || {
            let (waiting, sent) = setup();
            let slot = waiting.open(request(), false);
            waiting.detach();
            let other = Arc::clone(&waiting);
            let sink: Arc<dyn EventSink> = sent;
            let attaching = thread::spawn(move || other.attach(sink));
            let delivered = waiting.deliver(answer(None));
            attaching.join().unwrap();
            assert_eq!(delivered, Delivered::Accepted);
            assert!(hear(&waiting, &slot)[0].is_ok());
        },
        FEWER,
    );
}
