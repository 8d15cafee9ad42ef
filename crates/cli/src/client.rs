//! Calls an operation of a running hub over HTTP.

pub(crate) mod items;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::items::Items;
use crate::args::Global;
use crate::failure::{Failure, Refusal};
use crate::locate::{self, Located};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// A hub and the key to call it with.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    /// Process id of the hub that announced the address; `None` when the user named it.
    announced_by: Option<u32>,
    key: Option<SecretString>,
}

/// Things about a call beside its input.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallOptions {
    /// Longest time the hub may take.
    pub(crate) timeout: Option<Duration>,
    /// Makes a repeated call safe.
    pub(crate) idempotency_key: Option<String>,
}

/// What a call is answered with.
pub(crate) enum Answer {
    /// The data of a query or a mutation.
    Data(Value),
    /// The items of a subscription, as they come.
    Items(Items),
}

impl Client {
    /// Finds hub and key; sends nothing yet.
    pub(crate) fn new(global: &Global) -> Result<Client, Failure> {
        let located = locate::hub(global)?;
        let key = locate::key(global, &located)?;
        let Located { url, announced_by } = located;
        let tls = match url.starts_with("https:") {
            true => alkhub_hub::tls::trusting_known_authorities(),
            // Reading the system's certificates takes a while that nobody needs here.
            false => alkhub_hub::tls::trusting_nobody(),
        }
        .map_err(|problem| Failure::Local(format!("cannot prepare TLS: {problem}")))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("alkhub/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // An address that sends us elsewhere must not get the key.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|problem| Failure::Local(format!("cannot prepare a request: {problem}")))?;
        Ok(Client {
            http,
            url,
            announced_by,
            key,
        })
    }

    /// Calls the operation; answers its data.
    pub(crate) async fn call(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        match self.open(operation, input, &CallOptions::default()).await? {
            Answer::Data(data) => Ok(data),
            Answer::Items(_) => Err(Failure::Usage(format!("{operation} answers with a stream"))),
        }
    }

    /// Calls the operation, whatever its type.
    pub(crate) async fn open(
        &self,
        operation: &str,
        input: &Value,
        options: &CallOptions,
    ) -> Result<Answer, Failure> {
        let mut request = self
            .http
            .post(format!("{}/v1/call/{operation}", self.url))
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON_OR_EVENTS)
            .body(input.to_string());
        request = self.authorized(request)?;
        if let Some(timeout) = options.timeout {
            request = request.header("X-Alkhub-Timeout-Ms", timeout.as_millis().to_string());
        }
        if let Some(key) = &options.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request
            .send()
            .await
            .map_err(|problem| self.unreachable(&problem))?;
        let content_type = response.headers().get(CONTENT_TYPE);
        if content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            return Ok(Answer::Items(Items::new(response)));
        }
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|problem| self.unreachable(&problem))?;
        self.read(status, &body).map(Answer::Data)
    }

    /// Where the hub is, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a message of the Model Context Protocol as it is; answers whatever comes back.
    pub(crate) async fn forward(
        &self,
        message: String,
        headers: HeaderMap,
    ) -> Result<reqwest::Response, Failure> {
        let request = self
            .http
            .post(format!("{}/mcp", self.url))
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON_OR_EVENTS)
            .headers(headers)
            .body(message);
        self.authorized(request)?
            .send()
            .await
            .map_err(|problem| self.unreachable(&problem))
    }

    fn authorized(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let Some(key) = &self.key else {
            return Ok(request);
        };
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map_err(|_| {
                Failure::NoKey("the key file holds something that is no key".to_owned())
            })?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    fn read(&self, status: reqwest::StatusCode, body: &[u8]) -> Result<Value, Failure> {
        if let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) {
            // The health answer is an envelope with status 503, so the shape decides.
            if answer.contains_key("meta")
                && let Some(data) = answer.remove("data")
            {
                return Ok(data);
            }
            if let Ok(refusal) = serde_json::from_value::<Refusal>(Value::Object(answer)) {
                return Err(self.refused(refusal));
            }
        }
        Err(Failure::Local(format!(
            "{} answered {status} with something that is no answer of a hub; is --url right?",
            self.url
        )))
    }

    fn refused(&self, mut refusal: Refusal) -> Failure {
        if refusal.code == "UNAUTHENTICATED" {
            let advice = if self.key.is_some() {
                "the hub does not accept this key"
            } else {
                "no key was sent; name its file with --key-file or ALKHUB_KEY_FILE"
            };
            refusal.message = format!("{} ({advice})", refusal.message);
        }
        Failure::Refused(refusal)
    }

    fn unreachable(&self, problem: &reqwest::Error) -> Failure {
        if problem.is_connect() {
            let gone = self.announced_by.map_or_else(String::new, |pid| {
                format!(" (process {pid}, which announced it, is gone)")
            });
            Failure::NoHub(format!(
                "no hub answers at {}{gone}; start one with `alkhub serve`, or name another with \
                 --url",
                self.url
            ))
        } else {
            Failure::NoHub(format!(
                "the connection to {} ended before the answer came: {}",
                self.url,
                innermost(problem)
            ))
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
