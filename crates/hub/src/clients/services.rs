//! Reaching services: the HTTP client behind the guard, and the connections to MCP servers.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use alkhub_operations::CallError;
use alkhub_operations::adapters::http::{Fault, HttpRequest, HttpResponse, Method};
use alkhub_storage::ids::ClientId;
use arc_swap::ArcSwapOption;
use futures::StreamExt as _;
use ipnet::IpNet;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use url::Url;

use super::guard::{BlockedAddress, Guard, Lookup, SystemLookup};
use super::mcp::Server;
use super::secrets::Credential;
use crate::config::LiveConfig;
use crate::state::State;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a service may lead elsewhere.
const REDIRECTS: usize = 3;

/// What reaches services, one for the process.
pub(crate) struct Services {
    pub(crate) config: Arc<LiveConfig>,
    guard: Guard,
    /// Made when it is first needed: reading the system's certificates takes as long as half a start.
    http: ArcSwapOption<Http>,
    /// Connections to MCP servers, by client; made when they are needed.
    pub(super) servers: Mutex<HashMap<ClientId, Arc<Server>>>,
    /// The hub, for what a service starts by itself.
    hub: OnceLock<Weak<State>>,
}

/// The HTTP client, and the networks that were allowed when it was made. It keeps connections open, so
/// with other networks it is made anew.
struct Http {
    client: reqwest::Client,
    networks: Vec<IpNet>,
}

impl Http {
    fn new(guard: &Guard) -> Result<Self, NoHttpClient> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::tls::trusting_known_authorities()?)
            .user_agent(concat!("alkhub/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .dns_resolver(Arc::new(guard.clone()))
            // A proxy would connect to what nobody has checked; redirects are followed here.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()?;
        Ok(Self {
            client,
            networks: guard.networks(),
        })
    }
}

/// A service as requests are sent to it.
pub(crate) struct Target<'a> {
    /// What paths are below.
    pub(crate) base: &'a Url,
    /// Headers of the configuration.
    pub(crate) headers: &'a [(String, String)],
    /// What shows it who the hub is.
    pub(crate) credential: &'a Credential,
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHttpClient {
    /// TLS has no version or no provider.
    #[error("TLS cannot be prepared")]
    Tls(#[from] rustls::Error),
    /// The library refuses the settings.
    #[error("the HTTP client cannot be prepared")]
    Client(#[from] reqwest::Error),
}

impl Services {
    pub(crate) fn new(config: Arc<LiveConfig>) -> Self {
        Self::resolving(config, Arc::new(SystemLookup))
    }

    /// As [`Services::new`], with names resolved in another way.
    pub(crate) fn resolving(config: Arc<LiveConfig>, names: Arc<dyn Lookup>) -> Self {
        Self {
            guard: Guard::new(Arc::clone(&config), names),
            config,
            http: ArcSwapOption::empty(),
            servers: Mutex::default(),
            hub: OnceLock::new(),
        }
    }

    /// Names the hub this belongs to; without effect a second time.
    pub(crate) fn belongs_to(&self, state: &Arc<State>) {
        let _set_once = self.hub.set(Arc::downgrade(state));
    }

    /// The hub, unless it is ending.
    pub(crate) fn hub(&self) -> Option<Arc<State>> {
        self.hub.get()?.upgrade()
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The HTTP client that resolves names behind the guard; who uses it checks literal addresses.
    pub(crate) fn client(&self) -> Result<reqwest::Client, CallError> {
        if let Some(current) = &*self.http.load()
            && current.networks == self.guard.networks()
        {
            return Ok(current.client.clone());
        }
        let made = Http::new(&self.guard).map_err(|fault| CallError::internal(&fault))?;
        let client = made.client.clone();
        self.http.store(Some(Arc::new(made)));
        Ok(client)
    }

    /// Sends a request and gives the response as soon as its headers are there. Redirects are followed
    /// three times: within the service with everything, elsewhere without credentials, and never from
    /// https to http.
    ///
    /// # Errors
    /// `EXECUTION_ERROR` with `details.reason`; `TIMEOUT` when no connection comes about in time.
    pub(crate) async fn open(
        &self,
        target: &Target<'_>,
        mut request: HttpRequest,
    ) -> Result<reqwest::Response, CallError> {
        for (name, value) in target.headers {
            let given = |(known, _): &(String, String)| known.eq_ignore_ascii_case(name);
            if !request.headers.iter().any(given) {
                request.headers.push((name.clone(), value.clone()));
            }
        }
        target.credential.set_on(&mut request);
        let mut url = address(target.base, &request)?;
        let mut method = method(request.method);
        let mut body = request.body;
        let mut headers = header_map(&request.headers)?;
        for _ in 0..=REDIRECTS {
            self.guard
                .check_literal(&url)
                .map_err(|blocked| blocked_error(&blocked))?;
            let mut sent = self
                .client()?
                .request(method.clone(), url.clone())
                .headers(headers.clone());
            if let Some(body) = &body {
                sent = sent.body(body.clone());
            }
            let response = sent.send().await.map_err(|error| failed(&error))?;
            let Some(next) = redirection(&response, &url)? else {
                return Ok(response);
            };
            let status = response.status().as_u16();
            if next.origin() != target.base.origin() {
                // What is sent elsewhere carries nothing that was meant for this service.
                headers = HeaderMap::new();
                if body.is_some() && matches!(status, 307 | 308) {
                    return Err(Fault::Redirect
                        .error("the service leads a request with a body to another service"));
                }
            }
            let becomes_get =
                status == 303 || (matches!(status, 301 | 302) && method == reqwest::Method::POST);
            if becomes_get && method != reqwest::Method::HEAD {
                method = reqwest::Method::GET;
                body = None;
                headers.remove(reqwest::header::CONTENT_TYPE);
            }
            url = next;
        }
        Err(Fault::Redirect.error(format!("the service led elsewhere {REDIRECTS} times")))
    }

    /// Reads a document from an address, without any credential.
    ///
    /// # Errors
    /// As [`Services::open`]; `too_large`; `EXECUTION_ERROR` for a status of failure.
    pub(crate) async fn fetch(&self, url: &Url, limit: usize) -> Result<String, CallError> {
        let request = HttpRequest {
            method: Method::Get,
            path: String::new(),
            query: None,
            headers: vec![(
                "accept".to_owned(),
                "application/json, application/yaml, text/yaml, */*;q=0.5".to_owned(),
            )],
            body: None,
        };
        let target = Target {
            base: url,
            headers: &[],
            credential: &Credential::default(),
        };
        let response = self.open(&target, request).await?;
        let response = read(response, limit).await?;
        if !(200..300).contains(&response.status) {
            let plan = alkhub_operations::adapters::http::HttpPlan {
                method: Method::Get,
                path: "/".to_owned(),
                parameters: Vec::new(),
                body: None,
                declared: Vec::new(),
                stream: false,
            };
            return Err(plan.failure(&response));
        }
        let kind = response.content_type().to_ascii_lowercase();
        if kind.starts_with("text/html") || kind.starts_with("image/") {
            let message = "the address answers with something else than an OpenAPI document";
            return Err(
                CallError::new(alkhub_operations::ErrorCode::EXECUTION_ERROR, message)
                    .with_detail("contentType", kind),
            );
        }
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }
}

/// What is known of a response before its body.
pub(super) fn head(response: &reqwest::Response) -> HttpResponse {
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    HttpResponse {
        status: response.status().as_u16(),
        headers,
        body: Vec::new(),
    }
}

/// The whole response, up to a limit.
pub(super) async fn read(
    response: reqwest::Response,
    limit: usize,
) -> Result<HttpResponse, CallError> {
    let too_large = || Fault::TooLarge.error(format!("the response has more than {limit} bytes"));
    let mut whole = head(&response);
    let stated = response.content_length();
    if stated.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large());
    }
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(&error))?;
        if whole.body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        whole.body.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// Where a response leads; none for one that is to be read.
fn redirection(response: &reqwest::Response, from: &Url) -> Result<Option<Url>, CallError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(reqwest::header::LOCATION) else {
        return Ok(None);
    };
    let refused = |why: &str| Fault::Redirect.error(why);
    let next = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| refused("the service leads to something that is no address"))?;
    let same_or_safer =
        next.scheme() == "https" || (next.scheme() == "http" && from.scheme() == "http");
    match same_or_safer {
        true => Ok(Some(next)),
        false => Err(refused(
            "the service leads to an address of a scheme that is not followed",
        )),
    }
}

/// The address of a request: the base, its path joined by the request's.
fn address(base: &Url, request: &HttpRequest) -> Result<Url, CallError> {
    let mut url = base.clone();
    if !request.path.is_empty() {
        let joined = format!("{}{}", base.path().trim_end_matches('/'), request.path);
        url.set_path(&joined);
        // Whatever the parser makes of it, a path never leads out of the base.
        if url.path() != joined {
            return Err(CallError::validation_rule(
                "path",
                "the values make a path that is not what it says",
            ));
        }
    }
    if let Some(query) = &request.query {
        let whole = match base.query() {
            Some(own) => format!("{own}&{query}"),
            None => query.clone(),
        };
        url.set_query(Some(&whole));
    }
    Ok(url)
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, CallError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let pair = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        let (Ok(name), Ok(value)) = pair else {
            // The value may be a credential, so it is not told.
            return Err(CallError::validation_rule(
                "header",
                format!("the header {name} cannot carry its value"),
            ));
        };
        map.insert(name, value);
    }
    Ok(map)
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Head => reqwest::Method::HEAD,
    }
}

/// The error of an address that must not be reached.
pub(super) fn blocked_error(blocked: &BlockedAddress) -> CallError {
    Fault::BlockedAddress.error(blocked.to_string())
}

/// What went wrong with a request. The address is not told: its query may carry a credential.
pub(super) fn failed(error: &reqwest::Error) -> CallError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut texts = Vec::new();
    let mut tls = false;
    let mut resolving = false;
    while let Some(one) = cause {
        if let Some(blocked) = one.downcast_ref::<BlockedAddress>() {
            return blocked_error(blocked);
        }
        tls |= one.is::<rustls::Error>();
        let text = one.to_string();
        resolving |= text.contains("dns error");
        tls |= text.contains("certificate");
        texts.push(text);
        cause = one.source();
    }
    let last = texts.pop().unwrap_or_default();
    tracing::debug!(error = %error.to_string().split(" for url").next().unwrap_or_default(), last, "a request to a service failed");
    if error.is_timeout() {
        let message = "no connection to the service came about in time";
        return match error.is_connect() {
            true => Fault::Connect.error(message),
            false => CallError::new(alkhub_operations::ErrorCode::TIMEOUT, message),
        };
    }
    if resolving {
        return Fault::Dns.error("the name of the service cannot be resolved");
    }
    if tls {
        return Fault::Tls.error(format!("no secure connection to the service: {last}"));
    }
    if error.is_connect() {
        return Fault::Connect.error(format!("the service takes no connection: {last}"));
    }
    Fault::Closed.error(format!(
        "the connection ended before the answer did: {last}"
    ))
}
