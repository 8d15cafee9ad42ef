//! The SDK against a hub over real sockets.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alkhub_spoke::operations::AbortBy;
use alkhub_spoke::operations::protocol::{ClosingReason, Request};
use alkhub_spoke::{
    CallError, Context, Empty, ErrorCode, Operation, OperationType, Spoke, SpokeBuilder,
    SpokeError, SpokeType, operation,
};
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::hub::{KEY, TestHub, accept_all};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greet {
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

fn greet() -> Operation {
    operation::<Greet, Greeting>("hello.greet", OperationType::Query)
        .description("Greets.")
        .handler(|_ctx, input: Greet| async move {
            Ok(Greeting {
                text: format!("Hello, {}!", input.name),
            })
        })
}

/// A query that ends when the test says so.
fn gated(gate: &Arc<Notify>, ran: &Arc<AtomicUsize>) -> Operation {
    let (gate, ran) = (Arc::clone(gate), Arc::clone(ran));
    operation::<Empty, String>("hello.gated", OperationType::Query)
        .description("Waits.")
        .handler(move |_ctx, _: Empty| {
            let (gate, ran) = (Arc::clone(&gate), Arc::clone(&ran));
            async move {
                ran.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Ok("opened".to_owned())
            }
        })
}

fn builder(hub: &TestHub) -> SpokeBuilder {
    Spoke::builder(hub.url(), KEY).name("greeter")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happened: {what}");
}

#[tokio::test]
async fn an_operation_is_offered_and_called() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub)
        .operation(greet())
        .spoke_type(SpokeType::DevEnv)
        .project("prj_1")
        .label("gpu", "a100")
        .max_in_flight(7)
        .connect()
        .await
        .unwrap();
    let connection = hub.connection().await;
    let register = &connection.register;
    assert_eq!(register["name"], "greeter");
    assert_eq!(register["spokeType"], "dev-env");
    assert_eq!(register["projectId"], "prj_1");
    assert_eq!(register["labels"], json!({ "gpu": "a100" }));
    assert_eq!(register["limits"], json!({ "maxInFlight": 7 }));
    assert_eq!(register["replace"], false);
    assert!(register.get("spokeId").is_none());
    assert_eq!(register["operations"][0]["namespace"], "hello");
    assert!(register["operations"][0]["inputSchema"].is_object());
    assert!(register["hostInfo"]["os"].is_string());
    assert_eq!(spoke.registration().unwrap().accepted, ["hello.greet"]);
    assert!(spoke.is_up());

    let answer = hub.call("hello.greet", json!({ "name": "Ada" })).await;
    assert_eq!(answer.unwrap().data, json!({ "text": "Hello, Ada!" }));
    let refused = hub.call("hello.greet", json!({ "nam": "Ada" })).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::VALIDATION_ERROR);
    let unknown = hub.call("hello.other", json!({})).await;
    assert_eq!(unknown.unwrap_err().code, ErrorCode::OPERATION_NOT_FOUND);
}

#[tokio::test]
async fn a_stream_is_offered_and_aborted_by_its_consumer() {
    let hub = TestHub::start().await;
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let numbers = operation::<Empty, usize>("hello.numbers", OperationType::Subscription)
        .description("Counts.")
        .stream(move |_ctx, _: Empty| {
            let counted = Arc::clone(&counted);
            stream::iter(1..).map(move |number| {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(number)
            })
        });
    let _spoke = builder(&hub).operation(numbers).connect().await.unwrap();
    let _connection = hub.connection().await;
    let mut items = hub
        .shared
        .map
        .subscribe(Request::new("hello.numbers", json!({})));
    for number in 1..=1000 {
        let item = timeout(PATIENCE, items.next()).await.unwrap();
        assert_eq!(item.unwrap().unwrap().data, json!(number));
    }
    // As fast as they are taken and no faster.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let made_then = made.load(Ordering::SeqCst);
    assert!(made_then <= 1000 + 256 + 2, "{made_then}");
    let id = items.request_id().clone();
    drop(items);
    let answer = timeout(PATIENCE, hub.shared.map.aborted(&id))
        .await
        .unwrap();
    assert!(format!("{answer:?}").starts_with("Confirmed"), "{answer:?}");
}

#[tokio::test]
async fn an_aborted_call_is_dropped_and_confirmed() {
    let hub = TestHub::start().await;
    let (gate, ran) = (Arc::default(), Arc::default());
    let _spoke = builder(&hub)
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let _connection = hub.connection().await;
    let call = hub.shared.map.call(Request::new("hello.gated", json!({})));
    until("it runs", || ran.load(Ordering::SeqCst) == 1).await;
    let id = call.request_id().clone();
    hub.shared.map.abort(&id, AbortBy::Caller, None);
    let answer = timeout(PATIENCE, hub.shared.map.aborted(&id))
        .await
        .unwrap();
    assert!(format!("{answer:?}").starts_with("Confirmed"), "{answer:?}");
}

#[tokio::test]
async fn a_key_that_is_not_taken_ends_it_with_a_clear_error() {
    let hub = TestHub::start().await;
    let refused = Spoke::builder(hub.url(), "alk_wrong")
        .name("x")
        .connect()
        .await;
    match refused.unwrap_err() {
        SpokeError::KeyRefused(message) => assert_eq!(message, "no such key"),
        other => panic!("{other}"),
    }
    // Taken back later: 1008.
    let spoke = builder(&hub).connect().await.unwrap();
    let connection = hub.connection().await;
    connection.closing(ClosingReason::KeyRevoked, None).await;
    connection.close(1008, "key revoked").await;
    let ended = timeout(PATIENCE, spoke.run()).await.unwrap();
    assert!(matches!(ended, Err(SpokeError::KeyRefused(reason)) if reason == "key_revoked"));
}

#[tokio::test]
async fn a_spoke_that_was_replaced_does_not_fight_for_its_place() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub).connect().await.unwrap();
    hub.connection().await.close(4001, "replaced").await;
    let ended = timeout(PATIENCE, spoke.run()).await.unwrap();
    assert!(matches!(ended, Err(SpokeError::Replaced)));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_before_anything_is_tried() {
    let nameless = Spoke::builder("ws://127.0.0.1:1", KEY).operation(greet());
    assert!(matches!(
        nameless.connect().await,
        Err(SpokeError::Settings(_))
    ));
    let twice = Spoke::builder("ws://127.0.0.1:1", KEY)
        .name("x")
        .operations([greet(), greet()]);
    assert!(matches!(
        twice.connect().await,
        Err(SpokeError::Operation(_))
    ));
    let nobody = Spoke::builder("ws://127.0.0.1:1", KEY).name("x");
    assert!(matches!(
        nobody.connect().await,
        Err(SpokeError::Unreachable(_))
    ));
}

#[tokio::test]
async fn calls_that_run_go_on_after_a_lost_connection() {
    let hub = TestHub::start().await;
    let (gate, ran) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
    let spoke = builder(&hub)
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let first = hub.connection().await;
    let call = hub.shared.map.call(Request::new("hello.gated", json!({})));
    until("it runs", || ran.load(Ordering::SeqCst) == 1).await;
    first.cut();
    let second = hub.connection().await;
    assert_eq!(second.register["spokeId"], "spoke-1");
    assert_eq!(second.register["replace"], true);
    assert_eq!(
        second.register["running"],
        json!([call.request_id().as_str()])
    );
    gate.notify_one();
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
    assert_eq!(answer.data, json!("opened"));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert!(spoke.registration().unwrap().resumed);
}

#[tokio::test]
async fn answers_that_could_not_be_sent_are_handed_over() {
    let hub = TestHub::start().await;
    let (gate, ran) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
    let _spoke = builder(&hub)
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let first = hub.connection().await;
    let call = hub.shared.map.call(Request::new("hello.gated", json!({})));
    until("it runs", || ran.load(Ordering::SeqCst) == 1).await;
    first.cut();
    gate.notify_one();
    let second = hub.connection().await;
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
    assert_eq!(answer.data, json!("opened"));
    let undelivered = second.register["undelivered"].as_array();
    assert_eq!(undelivered.map(Vec::len), Some(1));
    assert_eq!(second.register["undelivered"][0]["type"], "call.responded");
}

#[tokio::test]
async fn answers_are_kept_until_a_heartbeat_shows_that_they_arrived() {
    let hub = TestHub::start().await;
    *hub.shared.heartbeat_ms.lock().unwrap() = 1000;
    let _spoke = builder(&hub).operation(greet()).connect().await.unwrap();
    let first = hub.connection().await;
    hub.call("hello.greet", json!({ "name": "Ada" }))
        .await
        .unwrap();
    first.cut();
    let second = hub.connection().await;
    assert_eq!(
        second.register["undelivered"].as_array().map(Vec::len),
        Some(1)
    );

    hub.call("hello.greet", json!({ "name": "Bob" }))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    second.cut();
    let third = hub.connection().await;
    assert!(third.register.get("undelivered").is_none());
}

#[tokio::test]
async fn a_hub_that_closes_says_when_to_come_back() {
    let hub = TestHub::start().await;
    let _spoke = builder(&hub).connect().await.unwrap();
    let first = hub.connection().await;
    let start = Instant::now();
    first.closing(ClosingReason::Shutdown, Some(1500)).await;
    first.close(1001, "shutdown").await;
    hub.connection().await;
    assert!(start.elapsed() >= Duration::from_millis(1500));
}

#[tokio::test]
async fn a_spoke_calls_through_the_hub() {
    let hub = TestHub::start().await;
    let spoke = Spoke::builder(hub.url(), KEY).connect().await.unwrap();
    assert_eq!(spoke.registration(), None);
    let answer = spoke.call("test.echo", json!({ "n": 1 })).await.unwrap();
    assert_eq!(answer.data["echo"], json!({ "n": 1 }));
    let error = spoke.call("test.unknown", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    let late = spoke
        .call("test.never", json!({}))
        .timeout(Duration::from_millis(50))
        .await;
    assert_eq!(late.unwrap_err().code, ErrorCode::TIMEOUT);
    let large = spoke.call("test.echo", json!("x".repeat(17 << 20))).await;
    assert_eq!(large.unwrap_err().code, ErrorCode::PAYLOAD_TOO_LARGE);

    let numbers = spoke.subscribe("test.numbers", json!({})).await.unwrap();
    let items: Vec<_> = numbers.map(|item| item.unwrap().data).collect().await;
    assert_eq!(items.len(), 600);
}

#[tokio::test]
async fn a_handler_calls_as_a_child_of_its_own_call() {
    let hub = TestHub::start().await;
    let asks = operation::<Empty, serde_json::Value>("hello.asks", OperationType::Query)
        .description("Asks the hub.")
        .handler(|ctx: Context, _: Empty| async move {
            let answer = ctx.call("test.echo", json!({ "deep": true })).await?;
            Ok(answer.unwrap())
        });
    let _spoke = builder(&hub).operation(asks).connect().await.unwrap();
    let _connection = hub.connection().await;
    let call = hub.shared.map.call(Request::new("hello.asks", json!({})));
    let id = call.request_id().clone();
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap().data;
    assert_eq!(answer["parent"], id.as_str());
    assert_eq!(answer["echo"], json!({ "deep": true }));
}

#[tokio::test]
async fn handlers_get_the_programs_own_value() {
    struct Place(&'static str);
    let hub = TestHub::start().await;
    let place = operation::<Empty, String>("hello.place", OperationType::Query)
        .description("Where?")
        .handler(|ctx: Context, _: Empty| async move {
            Ok(ctx.host::<Place>().map_or("", |place| place.0).to_owned())
        });
    let _spoke = builder(&hub)
        .operation(place)
        .host(Place("here"))
        .connect()
        .await
        .unwrap();
    let _connection = hub.connection().await;
    assert_eq!(
        hub.call("hello.place", json!({})).await.unwrap().data,
        "here"
    );
}

#[tokio::test]
async fn after_a_lost_connection_only_what_may_be_repeated_is() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub).connect().await.unwrap();
    let first = hub.connection().await;
    let client = spoke.client();
    let repeated = tokio::spawn(
        client
            .call("test.once", json!({}))
            .idempotent()
            .into_future(),
    );
    let fixed = alkhub_spoke::operations::RequestId::random();
    let named = tokio::spawn(
        client
            .call("test.once", json!({}))
            .request_id(fixed.clone())
            .into_future(),
    );
    let once = tokio::spawn(client.call("test.never", json!({})).into_future());
    until("all three arrived", || {
        hub.ids_of("test.once").len() == 2 && hub.ids_of("test.never").len() == 1
    })
    .await;
    first.cut();
    let error = timeout(PATIENCE, once).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAVAILABLE);
    assert_eq!(error.details.unwrap()["maybeExecuted"], true);
    hub.connection().await;
    for call in [repeated, named] {
        timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    }
    let mut ids = hub.ids_of("test.once");
    assert_eq!(ids.len(), 4);
    assert!(ids.contains(&fixed.to_string()));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "repeated under their own ids");
}

#[tokio::test]
async fn calls_wait_for_the_connection_and_give_up_at_their_deadline() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub).connect().await.unwrap();
    let first = hub.connection().await;
    // Not to be reached until the test says so, however long the machine takes for the rest.
    hub.shared.away.store(true, Ordering::SeqCst);
    first.cut();
    until("it is lost", || !spoke.is_up()).await;
    let client = spoke.client();
    let hasty = client
        .call("test.echo", json!({ "who": "hasty" }))
        .timeout(Duration::from_millis(50));
    let begun = Instant::now();
    let error = timeout(PATIENCE, hasty.into_future())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error}");
    assert_eq!(error.details.unwrap()["maybeExecuted"], false);
    assert!(begun.elapsed() >= Duration::from_millis(50));
    let patient = tokio::spawn(client.call("test.echo", json!({})).into_future());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!patient.is_finished());
    assert!(hub.ids_of("test.echo").is_empty());
    hub.shared.away.store(false, Ordering::SeqCst);
    hub.connection().await;
    timeout(PATIENCE, patient).await.unwrap().unwrap().unwrap();
    assert_eq!(hub.ids_of("test.echo").len(), 1);
}

#[tokio::test]
async fn the_offer_changes_while_connected() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub).connect().await.unwrap();
    let _connection = hub.connection().await;
    let client = spoke.client();
    client.offer(greet()).await.unwrap();
    hub.call("hello.greet", json!({ "name": "Ada" }))
        .await
        .unwrap();
    client.withdraw("hello.greet").await.unwrap();
    let gone = hub.call("hello.greet", json!({ "name": "Ada" })).await;
    assert_eq!(gone.unwrap_err().code, ErrorCode::OPERATION_NOT_FOUND);
    let updates = hub.shared.updates.lock().unwrap().clone();
    assert_eq!(updates[0]["add"][0]["name"], "greet");
    assert_eq!(updates[1], json!({ "remove": ["hello.greet"] }));

    let reserved = operation::<Empty, u32>("task.x", OperationType::Query)
        .description("Not allowed.")
        .handler(|_ctx, _: Empty| async move { Ok(1) });
    let refused = client.offer(reserved).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::FORBIDDEN);
    let gone = hub.call("task.x", json!({})).await;
    assert_eq!(gone.unwrap_err().code, ErrorCode::OPERATION_NOT_FOUND);
}

#[tokio::test]
async fn stopping_takes_the_offer_back_and_lets_calls_end() {
    let hub = TestHub::start().await;
    let (gate, ran) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
    let spoke = builder(&hub)
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let connection = hub.connection().await;
    let call = hub.shared.map.call(Request::new("hello.gated", json!({})));
    until("it runs", || ran.load(Ordering::SeqCst) == 1).await;
    let client = spoke.client();
    let stopping = tokio::spawn(spoke.stop());
    until("the offer is taken back", || {
        !hub.shared.updates.lock().unwrap().is_empty()
    })
    .await;
    assert_eq!(
        hub.shared.updates.lock().unwrap()[0],
        json!({ "remove": ["hello.gated"] })
    );
    assert!(!stopping.is_finished());
    gate.notify_one();
    timeout(PATIENCE, call).await.unwrap().unwrap();
    timeout(PATIENCE, stopping).await.unwrap().unwrap().unwrap();
    let mut closed = connection.closed.clone();
    timeout(PATIENCE, closed.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap();
    let after = client.call("test.echo", json!({})).await.unwrap_err();
    assert_eq!(after.code, ErrorCode::UNAVAILABLE);
}

#[tokio::test]
async fn dropping_a_spoke_cuts_its_connection() {
    let hub = TestHub::start().await;
    let spoke = builder(&hub).operation(greet()).connect().await.unwrap();
    let _connection = hub.connection().await;
    drop(spoke);
    until("the connection is gone", || hub.shared.map.sink().is_none()).await;
}

#[tokio::test]
async fn a_forgotten_spoke_id_is_given_up() {
    let hub = TestHub::start().await;
    *hub.shared.answer.lock().unwrap() = Box::new(|register| {
        if register["spokeId"] == "spoke-0" {
            return Err(CallError::not_found("no such spoke"));
        }
        accept_all(register)
    });
    let spoke = builder(&hub).spoke_id("spoke-0").connect().await.unwrap();
    assert_eq!(spoke.registration().unwrap().spoke_id, "spoke-1");
}

#[tokio::test]
async fn a_connection_that_is_not_missed_yet_is_waited_for() {
    let hub = TestHub::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    *hub.shared.answer.lock().unwrap() = Box::new(move |register| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(CallError::conflict("already_connected", "it is connected"));
        }
        accept_all(register)
    });
    let impatient = builder(&hub).connect().await;
    assert!(matches!(impatient, Err(SpokeError::Registration(_))));
    asked.store(0, Ordering::SeqCst);
    builder(&hub).patience(PATIENCE).connect().await.unwrap();
}

#[tokio::test]
async fn a_registration_that_is_refused_for_good_ends_it() {
    let hub = TestHub::start().await;
    *hub.shared.answer.lock().unwrap() =
        Box::new(|_| Err(CallError::access_denied("spoke:register is missing")));
    let refused = builder(&hub)
        .patience(PATIENCE)
        .connect()
        .await
        .unwrap_err();
    match refused {
        SpokeError::Registration(error) => assert_eq!(error.code, ErrorCode::ACCESS_DENIED),
        other => panic!("{other}"),
    }
}
