//! Handlers of operations that come from an OpenAPI document.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alkhub_operations::adapters::events::{Event, EventReader};
use alkhub_operations::adapters::http::{
    Fault, HttpPlan, HttpRequest, HttpResponse, Method, RESPONSE_BYTES, item_of, stream_refused,
};
use alkhub_operations::{AnyHandler, CallError, Context, Handler, Reply, StreamHandler};
use alkhub_storage::ids::ClientId;
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::Value;
use url::Url;

use super::secrets::{Credential, credential};
use super::services::{Services, Target, failed, head, read};
use super::types::{Auth, Custom};

/// How often in a row a stream that broke is taken up again.
const RECONNECTS: u32 = 5;
/// First and longest pause before that.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A service as its operations' handlers know it.
pub(super) struct HttpService {
    client: ClientId,
    base: Url,
    headers: Vec<(String, String)>,
    auth: Auth,
    services: Arc<Services>,
}

impl HttpService {
    /// The service of a configuration that was checked.
    pub(super) fn new(
        client: ClientId,
        config: &Custom,
        services: Arc<Services>,
    ) -> Result<Self, String> {
        Ok(Self {
            client,
            base: super::types::service_url(&config.base_url)?,
            headers: config.headers.clone().into_iter().collect(),
            auth: config.auth.clone(),
            services,
        })
    }

    /// The handler of one of its operations.
    pub(super) fn handler(self: &Arc<Self>, plan: HttpPlan) -> AnyHandler {
        let operation = Arc::new(HttpOperation {
            service: Arc::clone(self),
            plan,
        });
        match operation.plan.stream {
            true => AnyHandler::Stream(operation),
            false => AnyHandler::Call(operation),
        }
    }

    /// Asks for the base address once.
    ///
    /// # Errors
    /// When the service does not answer at all, or its credential is missing.
    pub(super) async fn probe(&self) -> Result<HttpResponse, CallError> {
        let request = HttpRequest {
            method: Method::Head,
            path: String::new(),
            query: None,
            headers: Vec::new(),
            body: None,
        };
        let credential = credential(&self.client, &self.auth).await?;
        let response = self.open(request, &credential).await?;
        Ok(head(&response))
    }

    async fn open(
        &self,
        request: HttpRequest,
        credential: &Credential,
    ) -> Result<reqwest::Response, CallError> {
        let target = Target {
            base: &self.base,
            headers: &self.headers,
            credential,
        };
        self.services.open(&target, request).await
    }
}

struct HttpOperation {
    service: Arc<HttpService>,
    plan: HttpPlan,
}

#[async_trait]
impl Handler for HttpOperation {
    async fn call(&self, input: Value, _ctx: Context) -> Result<Reply, CallError> {
        let service = &self.service;
        let request = self.plan.request(&input)?;
        let credential = credential(&service.client, &service.auth).await?;
        let response = service.open(request, &credential).await?;
        // Dropped when the call is aborted or late, the request is cancelled with it.
        let response = read(response, RESPONSE_BYTES).await?;
        self.plan
            .answer(response, credential.header_name())
            .map(Reply::Envelope)
    }
}

impl StreamHandler for HttpOperation {
    fn subscribe(
        &self,
        input: Value,
        _ctx: Context,
    ) -> BoxStream<'static, Result<Reply, CallError>> {
        let events = EventStream {
            service: Arc::clone(&self.service),
            plan: self.plan.clone(),
            request: self.plan.request(&input),
            credential: None,
            response: None,
            reader: EventReader::default(),
            waiting: VecDeque::new(),
            attempts: 0,
            ended: false,
        };
        stream::unfold(events, |mut events| async move {
            let item = events.next().await?;
            Some((item, events))
        })
        .boxed()
    }
}

/// A stream of events that is taken up again when it breaks.
struct EventStream {
    service: Arc<HttpService>,
    plan: HttpPlan,
    request: Result<HttpRequest, CallError>,
    credential: Option<Credential>,
    response: Option<(HttpResponse, reqwest::Response)>,
    reader: EventReader,
    waiting: VecDeque<Event>,
    /// Attempts in a row without an item.
    attempts: u32,
    ended: bool,
}

impl EventStream {
    async fn next(&mut self) -> Option<Result<Reply, CallError>> {
        loop {
            if let Some((head, _)) = &self.response {
                while let Some(event) = self.waiting.pop_front() {
                    let hidden = self.credential.as_ref().and_then(Credential::header_name);
                    if let Some(envelope) = item_of(&event, head, hidden) {
                        self.attempts = 0;
                        return Some(Ok(Reply::Envelope(envelope)));
                    }
                }
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                self.waiting.clear();
                return Some(Err(error));
            }
        }
    }

    /// Connects, or reads the next bytes.
    async fn advance(&mut self) -> Result<(), CallError> {
        let Some((_, response)) = &mut self.response else {
            return match self.connect().await {
                Ok(()) => Ok(()),
                // The first connection is not tried again: the caller learns at once what is wrong.
                Err(error) if self.attempts == 0 => Err(error),
                Err(error) => self.pause(error).await,
            };
        };
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let events = self
                    .reader
                    .feed(&chunk)
                    .map_err(|large| Fault::TooLarge.error(large.to_string()))?;
                self.waiting.extend(events);
                Ok(())
            }
            Ok(None) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => {
                let error = failed(&error);
                if self.plan.method != Method::Get {
                    return Err(error);
                }
                self.response = None;
                self.reader.reconnected();
                self.pause(error).await
            }
        }
    }

    /// Waits before the next attempt, or gives up with what was wrong.
    async fn pause(&mut self, error: CallError) -> Result<(), CallError> {
        self.attempts += 1;
        if self.attempts > RECONNECTS {
            return Err(error);
        }
        let asked = self.reader.retry_ms().map(Duration::from_millis);
        let pause = asked.unwrap_or(PAUSE.0) * 2_u32.saturating_pow(self.attempts - 1);
        tokio::time::sleep(pause.min(PAUSE.1)).await;
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), CallError> {
        let service = &self.service;
        let mut request = self.request.clone()?;
        let credential = credential(&service.client, &service.auth).await?;
        request
            .headers
            .push(("accept".to_owned(), "text/event-stream".to_owned()));
        if let Some(id) = self.reader.last_id() {
            request
                .headers
                .push(("last-event-id".to_owned(), id.to_owned()));
        }
        let response = service.open(request, &credential).await?;
        if !response.status().is_success() {
            let response = read(response, RESPONSE_BYTES).await?;
            return Err(self.plan.failure(&response));
        }
        let head = head(&response);
        let content_type = head.content_type();
        if response.status().as_u16() == 204 {
            // The way of a service to say that a stream is over for good.
            self.ended = true;
        } else if !content_type
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("text/event-stream")
        {
            return Err(stream_refused(&content_type));
        }
        self.credential = Some(credential);
        self.response = Some((head, response));
        Ok(())
    }
}
