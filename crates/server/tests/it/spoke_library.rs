//! The client library of spokes against the real hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alkhub_spoke::{
    Context, Empty, ErrorCode, Operation, OperationType, Spoke, SpokeBuilder, SpokeError, operation,
};
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::Server;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

fn greet() -> Operation {
    operation::<Greet, Greeting>("hello.greet", OperationType::Query)
        .description("Greets somebody by name.")
        .handler(|_ctx, input: Greet| async move {
            Ok(Greeting {
                text: format!("Hello, {}!", input.name),
            })
        })
}

/// A mutation that ends when the test says so.
fn gated(gate: &Arc<Notify>, ran: &Arc<AtomicUsize>) -> Operation {
    let (gate, ran) = (Arc::clone(gate), Arc::clone(ran));
    operation::<Empty, String>("hello.gated", OperationType::Mutation)
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

fn builder(server: &Server) -> SpokeBuilder {
    Spoke::builder(server.url.clone(), server.key.clone()).name("greeter")
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..1500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never happened: {what}");
}

/// A way to the server that can be cut, and is then closed until it is mended.
struct Proxy {
    url: String,
    cut: std::sync::Mutex<CancellationToken>,
    open: AtomicBool,
}

impl Proxy {
    async fn before(server: &Server) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Self {
            url: format!("ws://{}/ws", listener.local_addr().unwrap()),
            cut: std::sync::Mutex::default(),
            open: AtomicBool::new(true),
        });
        let target = server.url.trim_start_matches("http://").to_owned();
        let way = Arc::clone(&proxy);
        tokio::spawn(async move {
            loop {
                let (mut inner, _) = listener.accept().await.unwrap();
                if !way.open.load(Ordering::SeqCst) {
                    continue;
                }
                let cut = way.cut.lock().unwrap().clone();
                let target = target.clone();
                tokio::spawn(async move {
                    let mut outer = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ended = copy_bidirectional(&mut inner, &mut outer) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        proxy
    }

    fn cut(&self) {
        self.open.store(false, Ordering::SeqCst);
        let mut cut = self.cut.lock().unwrap();
        std::mem::take(&mut *cut).cancel();
    }

    fn mend(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_function_of_ten_lines_is_called_over_http() {
    let server = Server::start().await;
    let spoke = builder(&server).operation(greet()).connect().await.unwrap();
    let registration = spoke.registration().unwrap();
    assert_eq!(registration.accepted, ["hello.greet"]);
    assert_eq!(registration.refused, []);
    let answer = server.call("hello.greet", json!({ "name": "Ada" })).await;
    assert_eq!(answer, json!({ "text": "Hello, Ada!" }));
    let bad = server
        .post("hello.greet", &json!({ "nam": 1 }))
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
    spoke.stop().await.unwrap();
    let gone = server
        .post("hello.greet", &json!({ "name": "Ada" }))
        .send()
        .await
        .unwrap();
    let gone: Value = gone.json().await.unwrap();
    assert_eq!(gone["code"], "NO_PROVIDER");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_name_is_refused_and_the_rest_offered() {
    let server = Server::start().await;
    let reserved = operation::<Empty, u32>("task.mine", OperationType::Query)
        .description("Not allowed.")
        .handler(|_ctx, _: Empty| async move { Ok(1) });
    let spoke = builder(&server)
        .operation(reserved)
        .operation(greet())
        .connect()
        .await
        .unwrap();
    let registration = spoke.registration().unwrap();
    assert_eq!(registration.accepted, ["hello.greet"]);
    assert_eq!(registration.refused[0].name, "task.mine");
    assert_eq!(registration.refused[0].code, "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_call_survives_a_lost_connection() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let (gate, ran) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
    let spoke = Spoke::builder(proxy.url.clone(), server.key.clone())
        .name("greeter")
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let call = tokio::spawn(server.post("hello.gated", &json!({})).send());
    until("it runs", async || ran.load(Ordering::SeqCst) == 1).await;
    proxy.cut();
    until("it is lost", async || !spoke.is_up()).await;
    proxy.mend();
    until("it is back", async || spoke.is_up()).await;
    assert!(spoke.registration().unwrap().resumed);
    gate.notify_one();
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["data"], "opened", "{answer}");
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_given_while_the_connection_was_lost_arrives() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let (gate, ran) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
    let spoke = Spoke::builder(proxy.url.clone(), server.key.clone())
        .name("greeter")
        .operation(gated(&gate, &ran))
        .connect()
        .await
        .unwrap();
    let call = tokio::spawn(server.post("hello.gated", &json!({})).send());
    until("it runs", async || ran.load(Ordering::SeqCst) == 1).await;
    proxy.cut();
    until("it is lost", async || !spoke.is_up()).await;
    gate.notify_one();
    proxy.mend();
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap().unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["data"], "opened", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_calls_the_hub_as_its_caller() {
    let server = Server::start().await;
    let asks = operation::<Empty, Value>("hello.asks", OperationType::Query)
        .description("Who is calling?")
        .handler(|ctx: Context, _: Empty| async move {
            Ok(ctx.call("hub.whoami", json!({})).await?.unwrap())
        });
    let _spoke = builder(&server).operation(asks).connect().await.unwrap();
    let through = server.call("hello.asks", json!({})).await;
    let direct = server.call("hub.whoami", json!({})).await;
    assert_eq!(through["account"], direct["account"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn spokes_call_each_other_through_the_hub() {
    let server = Server::start().await;
    let _offers = builder(&server).operation(greet()).connect().await.unwrap();
    let numbers = operation::<Empty, u32>("other.numbers", OperationType::Subscription)
        .description("Counts to 1,000.")
        .stream(|_ctx, _: Empty| stream::iter((1..=1000).map(Ok)));
    let _other = Spoke::builder(server.url.clone(), server.key.clone())
        .name("other")
        .operation(numbers)
        .connect()
        .await
        .unwrap();
    let client = Spoke::builder(server.url.clone(), server.key.clone())
        .connect()
        .await
        .unwrap();
    let answer = client
        .call("hello.greet", json!({ "name": "Bob" }))
        .await
        .unwrap();
    assert_eq!(answer.data["text"], "Hello, Bob!");
    let items = client.subscribe("other.numbers", json!({})).await.unwrap();
    let items: Vec<_> = timeout(PATIENCE, items.map(|item| item.unwrap().data).collect())
        .await
        .unwrap();
    assert_eq!(
        items,
        (1..=1000).map(|number| json!(number)).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offer_changes_while_connected() {
    let server = Server::start().await;
    let spoke = builder(&server).connect().await.unwrap();
    let client = spoke.client();
    client.offer(greet()).await.unwrap();
    server.call("hello.greet", json!({ "name": "Ada" })).await;
    client.withdraw("hello.greet").await.unwrap();
    let gone = client.call("hello.greet", json!({ "name": "Ada" })).await;
    assert_eq!(gone.unwrap_err().code, ErrorCode::NO_PROVIDER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_ends_it_and_a_name_is_used_once() {
    let server = Server::start().await;
    let wrong = Spoke::builder(server.url.clone(), format!("{}x", server.key))
        .name("greeter")
        .patience(PATIENCE)
        .connect()
        .await;
    assert!(matches!(wrong, Err(SpokeError::KeyRefused(_))), "{wrong:?}");

    let first = builder(&server).connect().await.unwrap();
    let second = builder(&server).connect().await;
    match second {
        Err(SpokeError::Registration(error)) => assert_eq!(error.code, ErrorCode::CONFLICT),
        other => panic!("{other:?}"),
    }
    let _instead = builder(&server).replace(true).connect().await.unwrap();
    let ended = timeout(PATIENCE, first.run()).await.unwrap();
    assert!(matches!(ended, Err(SpokeError::Replaced)), "{ended:?}");
}
