//! One connection: hello, registration, calls both ways, heartbeats, the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alkhub_operations::protocol::{
    Closing, ClosingReason, Control, FrameLimits, Heartbeat, Hello, Incoming, Request, Resume,
    decode, deliver,
};
use alkhub_operations::{CallError, ErrorCode};
use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::client::wire;
use crate::error::SpokeError;
use crate::offer::{Register, Registration};
use crate::outbox::Outbox;
use crate::shared::{FRAME_BYTES, Shared};
use crate::socket::Socket;

/// A hub that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// How long the hub may take to say hello, and to take a registration.
const HELLO: Duration = Duration::from_secs(10);
const REGISTER: Duration = Duration::from_secs(30);

/// How long the hub may take to hear that nothing is offered any more, and a socket to close.
const FAREWELL: Duration = Duration::from_secs(3);

/// Between heartbeats, until the hub says otherwise.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Close codes of the hub.
const KEY_REFUSED: u16 = 1008;
const REPLACED: u16 = 4001;

/// How a session ended.
pub(super) enum End {
    /// As it was asked to.
    Stopped,
    /// Another would end the same way.
    Fatal(SpokeError),
    /// Another may last.
    Lost {
        why: SpokeError,
        /// The least to wait, when the hub says so.
        after: Option<Duration>,
    },
}

impl End {
    pub(super) fn lost(why: String) -> Self {
        Self::Lost {
            why: SpokeError::Unreachable(why),
            after: None,
        }
    }
}

/// A connection that is being served.
pub(super) struct Session {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    from_hub: SplitStream<Socket>,
    writer: JoinHandle<()>,
    heard: Instant,
    stage: Stage,
    closing: Option<Closing>,
    /// What had been sent when the heartbeat went that is not answered yet.
    heartbeat_mark: Option<u64>,
    heartbeat: Interval,
}

enum Stage {
    Greeting,
    Registering(BoxFuture<'static, Result<Registration, CallError>>, Resume),
    Up,
    Leaving(BoxFuture<'static, ()>),
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, socket: Socket) -> Self {
        let (to_hub, from_hub) = socket.split();
        let outbox = Arc::new(Outbox::new(FRAME_BYTES));
        let writer = tokio::spawn(write(Arc::clone(&outbox), to_hub));
        Self {
            shared,
            outbox,
            from_hub,
            writer,
            heard: Instant::now(),
            stage: Stage::Greeting,
            closing: None,
            heartbeat_mark: None,
            heartbeat: every(HEARTBEAT),
        }
    }

    /// Was it ever registered?
    pub(super) fn was_up(&self) -> bool {
        matches!(self.stage, Stage::Up | Stage::Leaving(_))
    }

    /// Serves until the end.
    pub(super) async fn run(&mut self, ready: &mut Option<oneshot::Sender<()>>) -> End {
        loop {
            let patience = match self.stage {
                Stage::Greeting => HELLO,
                _ => SILENCE,
            };
            let silent = self.heard + patience;
            let stopping =
                self.shared.stopping.is_cancelled() && !matches!(self.stage, Stage::Leaving(_));
            if stopping {
                self.stage = Stage::Leaving(leave(Arc::clone(&self.shared), self.was_up()));
            }
            let end = tokio::select! {
                message = self.from_hub.next() => {
                    self.heard = Instant::now();
                    self.message(message, ready)
                }
                done = progress(&mut self.stage) => self.advance(done, ready),
                _ = self.heartbeat.tick() => self.beat(),
                () = tokio::time::sleep_until(silent) => Some(End::lost("it is silent".to_owned())),
                () = self.shared.stopping.cancelled(), if !matches!(self.stage, Stage::Leaving(_)) => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Sends what waits, closes the socket, and lets go of it.
    pub(super) async fn close(&mut self) {
        if matches!(self.stage, Stage::Leaving(_)) {
            self.outbox.finish();
            if tokio::time::timeout(FAREWELL, &mut self.writer)
                .await
                .is_err()
            {
                tracing::debug!("the hub does not read the end");
            }
        }
        self.outbox.close();
        self.writer.abort();
    }

    fn message(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
        ready: &mut Option<oneshot::Sender<()>>,
    ) -> Option<End> {
        match message {
            Some(Ok(Message::Text(text))) => self.text(&text, ready),
            Some(Ok(Message::Close(frame))) => Some(self.closed(frame)),
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(End::lost(error.to_string())),
            None => Some(self.closed(None)),
        }
    }

    fn text(&mut self, text: &str, ready: &mut Option<oneshot::Sender<()>>) -> Option<End> {
        match decode(text, &FrameLimits::default()) {
            Ok(Incoming::Call(event)) => {
                let delivered = deliver(&self.shared.map, &self.shared.server, event);
                tracing::trace!(?delivered, "event of a call");
                None
            }
            Ok(Incoming::Control(control)) => self.control(control, ready),
            Ok(Incoming::Transport { .. }) => None,
            Err(fault) => {
                tracing::warn!(%fault, "the hub sent a frame that cannot be read");
                self.shared.map.refuse(&fault);
                self.outbox.text(fault.answer().to_text());
                None
            }
        }
    }

    fn control(
        &mut self,
        control: Control,
        ready: &mut Option<oneshot::Sender<()>>,
    ) -> Option<End> {
        match control {
            Control::Hello(hello) => return self.hello(&hello, ready),
            Control::Heartbeat(answer) => {
                if let Some(mark) = self.heartbeat_mark.take() {
                    self.shared.server.acknowledge(mark);
                }
                self.clock(answer.now.as_deref());
            }
            Control::Closing(closing) => {
                tracing::info!(reason = %closing.reason, "the hub closes the connection");
                self.closing = Some(closing);
            }
            Control::Error(error) => {
                tracing::warn!(code = %error.code, message = %error.message, "the hub refuses a frame");
            }
            Control::Auth(_) => {}
        }
        None
    }

    fn hello(&mut self, hello: &Hello, ready: &mut Option<oneshot::Sender<()>>) -> Option<End> {
        if !matches!(self.stage, Stage::Greeting) {
            return None;
        }
        let frame_bytes = usize::try_from(hello.max_frame_bytes).unwrap_or(FRAME_BYTES);
        self.outbox.set_most_frame_bytes(frame_bytes);
        self.shared
            .frame_bytes
            .store(frame_bytes, Ordering::Relaxed);
        self.heartbeat = every(Duration::from_millis(hello.heartbeat_ms.max(1000)));
        self.clock(Some(&hello.now));
        self.shared.map.attach(self.outbox.clone());
        let resume = self.shared.server.resume();
        if self.shared.settings.name.is_some() {
            let registering = register(Arc::clone(&self.shared), resume.clone(), true).boxed();
            self.stage = Stage::Registering(registering, resume);
        } else {
            self.up(&resume, ready);
        }
        None
    }

    /// What a stage waited for has happened.
    fn advance(&mut self, done: Done, ready: &mut Option<oneshot::Sender<()>>) -> Option<End> {
        match done {
            Done::Left => Some(End::Stopped),
            Done::Registered(Ok(registration)) => {
                let Stage::Registering(_, resume) = &self.stage else {
                    return None;
                };
                let resume = resume.clone();
                for refused in &registration.refused {
                    tracing::warn!(
                        operation = %refused.name, code = %refused.code, message = %refused.message,
                        "the hub does not take an operation"
                    );
                }
                if !registration.resumed {
                    // The hub has given up what ran before; nobody waits for its answers.
                    self.shared.server.abort_all();
                }
                self.clock(registration.server_time.as_deref());
                self.shared.set_registration(registration);
                self.up(&resume, ready);
                None
            }
            Done::Registered(Err(error)) if error.code == ErrorCode::NOT_FOUND => {
                // The row is gone; the name finds another or makes one.
                let Stage::Registering(_, resume) = &self.stage else {
                    return None;
                };
                let resume = resume.clone();
                let again = register(Arc::clone(&self.shared), resume.clone(), false).boxed();
                self.stage = Stage::Registering(again, resume);
                None
            }
            Done::Registered(Err(error)) => Some(refused(error)),
        }
    }

    /// From now on calls go both ways.
    fn up(&mut self, resume: &Resume, ready: &mut Option<oneshot::Sender<()>>) {
        // The hub has them with the registration.
        self.shared.server.acknowledge(resume.mark);
        self.shared
            .server
            .attach(self.outbox.clone(), Some(resume.mark));
        for request in self.shared.repeatable() {
            self.shared.map.repeat(request);
        }
        self.stage = Stage::Up;
        self.shared.up.send_replace(true);
        tracing::info!(spoke = ?self.shared.spoke_id(), "connected to the hub");
        if let Some(ready) = ready.take() {
            // Whoever waited has given up: the task is about to be aborted.
            let _nobody = ready.send(());
        }
    }

    fn beat(&mut self) -> Option<End> {
        if matches!(self.stage, Stage::Greeting) {
            return None;
        }
        // An unanswered one keeps its mark: what it covers is the least that is known.
        let mark = self.shared.server.mark();
        self.heartbeat_mark.get_or_insert(mark);
        let in_flight = self.shared.server.running().len() as u64;
        let heartbeat = Heartbeat {
            in_flight: Some(in_flight),
            ..Heartbeat::default()
        };
        self.outbox.text(Control::Heartbeat(heartbeat).to_text());
        None
    }

    /// Learns by how much the hub's clock differs.
    fn clock(&self, now: Option<&str>) {
        let Some(now) = now.and_then(|now| chrono::DateTime::parse_from_rfc3339(now).ok()) else {
            return;
        };
        let skew = now.timestamp_millis() - alkhub_operations::envelope::now_ms();
        self.shared.map.set_skew(skew);
    }

    fn closed(&self, frame: Option<CloseFrame>) -> End {
        let reason = self.closing.as_ref().map(|closing| closing.reason);
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        let told = frame
            .map(|frame| frame.reason.to_string())
            .unwrap_or_default();
        match (code, reason) {
            (_, Some(ClosingReason::Replaced)) | (Some(REPLACED), _) => {
                End::Fatal(SpokeError::Replaced)
            }
            (_, Some(reason @ (ClosingReason::KeyExpired | ClosingReason::KeyRevoked))) => {
                End::Fatal(SpokeError::KeyRefused(reason.to_string()))
            }
            (Some(KEY_REFUSED), _) => {
                let told = if told.is_empty() {
                    "it is not valid".to_owned()
                } else {
                    told
                };
                End::Fatal(SpokeError::KeyRefused(told))
            }
            _ => {
                let after = self
                    .closing
                    .as_ref()
                    .and_then(|closing| closing.reconnect_after_ms)
                    .map(Duration::from_millis);
                let why = match code {
                    Some(code) => format!("it closed the connection with code {code}: {told}"),
                    None => "the connection ended".to_owned(),
                };
                End::Lost {
                    why: SpokeError::Unreachable(why),
                    after,
                }
            }
        }
    }
}

/// A session that is given up leaves no socket behind.
impl Drop for Session {
    fn drop(&mut self) {
        self.outbox.close();
        self.writer.abort();
    }
}

/// What a stage can wait for.
enum Done {
    Registered(Result<Registration, CallError>),
    Left,
}

/// Waits for what the stage waits for.
async fn progress(stage: &mut Stage) -> Done {
    match stage {
        Stage::Registering(registering, _) => Done::Registered(registering.await),
        Stage::Leaving(leaving) => {
            leaving.await;
            Done::Left
        }
        Stage::Greeting | Stage::Up => std::future::pending().await,
    }
}

/// Registers, under the id of before if there was one.
async fn register(
    shared: Arc<Shared>,
    resume: Resume,
    as_before: bool,
) -> Result<Registration, CallError> {
    let mut operations = Vec::new();
    for spec in shared.registry.get_all_specs() {
        operations.push(wire(&spec)?);
    }
    let spoke_id = shared.spoke_id().filter(|_| as_before);
    let name = shared.settings.name.clone().unwrap_or_default();
    let input = Register::new(
        &shared.settings,
        &name,
        spoke_id.as_deref(),
        operations,
        &resume,
    );
    let input = serde_json::to_value(input).map_err(|error| CallError::internal(&error))?;
    let request = Request::new("hub.register", input).with_timeout(REGISTER);
    let answer = shared.map.call(request).await?;
    Registration::deserialize(answer.unwrap()).map_err(|error| CallError::internal(&error))
}

/// Takes the operations back and waits for what runs.
fn leave(shared: Arc<Shared>, registered: bool) -> BoxFuture<'static, ()> {
    async move {
        let specs = shared.registry.get_all_specs();
        if registered && !specs.is_empty() {
            let ids: Vec<Value> = specs.iter().map(|spec| json!(spec.id().as_str())).collect();
            let request = Request::new("hub.update", json!({ "remove": ids }));
            if let Err(error) = shared.map.call(request.with_timeout(FAREWELL)).await {
                tracing::debug!(%error, "the hub was not told that nothing is offered any more");
            }
        }
        let until = Instant::now() + shared.settings.drain;
        while !shared.server.running().is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    .boxed()
}

/// A registration that the hub did not take.
fn refused(error: CallError) -> End {
    let may_change = error.code.retryable()
        || [
            ErrorCode::TIMEOUT,
            ErrorCode::ABORTED,
            ErrorCode::UNKNOWN_ERROR,
            ErrorCode::RECORD_FAILED,
            ErrorCode::INTERRUPTED,
            ErrorCode::PROVIDER_LOST,
        ]
        .contains(&error.code)
        // The connection before may only not have been missed yet.
        || error.details.as_ref().is_some_and(|it| it["rule"] == "already_connected");
    let why = SpokeError::Registration(error);
    if may_change {
        End::Lost { why, after: None }
    } else {
        End::Fatal(why)
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Writes what waits, as much as there is at once.
async fn write(outbox: Arc<Outbox>, mut to_hub: SplitSink<Socket, Message>) {
    while let Some(frames) = outbox.take().await {
        for frame in frames {
            if to_hub.feed(Message::text(frame)).await.is_err() {
                outbox.close();
                return;
            }
        }
        if to_hub.flush().await.is_err() {
            outbox.close();
            return;
        }
    }
    // The reading side sees the end of the connection by itself.
    if let Err(error) = to_hub.close().await {
        tracing::debug!(%error, "the connection was not closed in good order");
    }
}
