//! The WebSocket to the hub: address, key, TLS.

use std::sync::{Arc, OnceLock};

use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use crate::error::SpokeError;
use crate::shared::{FRAME_BYTES, Settings};

/// The protocol spoken over the socket.
const SUBPROTOCOL: &str = "alkhub.v1";

/// A connected socket.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The WebSocket address of a hub: `http` is taken for `ws`, and a missing path for `/ws`.
pub(crate) fn websocket_url(url: &str) -> Result<String, SpokeError> {
    let wrong = || {
        let message = format!("{url:?} is no address of a hub, such as ws://127.0.0.1:4848/ws");
        SpokeError::Settings(message)
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let scheme = match scheme {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err(wrong()),
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (rest, ""),
    };
    // A key or password in an address ends up in logs.
    if authority.is_empty() || authority.contains('@') {
        return Err(wrong());
    }
    let path = if path.is_empty() { "ws" } else { path };
    Ok(format!("{scheme}://{authority}/{path}"))
}

/// Connects with the key in the header.
pub(crate) async fn connect(settings: &Settings) -> Result<Socket, ConnectFailure> {
    let fatal = |message: String| ConnectFailure::Fatal(SpokeError::Settings(message));
    let mut request = settings
        .url
        .as_str()
        .into_client_request()
        .map_err(|error| fatal(format!("the address of the hub is invalid: {error}")))?;
    let bearer = format!("Bearer {}", settings.key.expose_secret());
    let mut bearer = HeaderValue::try_from(bearer)
        .map_err(|_| fatal("the key has characters that no key has".to_owned()))?;
    bearer.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, bearer);
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let connector = if settings.url.starts_with("wss:") {
        Connector::Rustls(tls().map_err(|error| fatal(format!("TLS is not available: {error}")))?)
    } else {
        Connector::Plain
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES));
    let connecting = tokio_tungstenite::connect_async_tls_with_config(
        request,
        Some(config),
        true,
        Some(connector),
    );
    match connecting.await {
        Ok((socket, _response)) => Ok(socket),
        Err(error) => Err(ConnectFailure::of(error)),
    }
}

/// Why there is no socket.
pub(crate) enum ConnectFailure {
    /// Another attempt would end the same way.
    Fatal(SpokeError),
    /// Another attempt may succeed.
    Retry(String),
}

impl ConnectFailure {
    fn of(error: Error) -> Self {
        let Error::Http(response) = error else {
            return Self::Retry(error.to_string());
        };
        match response.status().as_u16() {
            401 | 403 => {
                let body = response.body().as_deref().unwrap_or_default();
                let told = serde_json::from_slice::<serde_json::Value>(body);
                let message = match told {
                    Ok(told) => told["message"].as_str().map(str::to_owned),
                    Err(_) => None,
                };
                let message = message.unwrap_or_else(|| response.status().to_string());
                Self::Fatal(SpokeError::KeyRefused(message))
            }
            status @ (400 | 404 | 405 | 426) => Self::Fatal(SpokeError::NoHub { status }),
            status => Self::Retry(format!("the hub answers with HTTP status {status}")),
        }
    }
}

/// TLS that believes the authorities this system believes.
fn tls() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for problem in &system.errors {
        tracing::debug!(%problem, "a certificate of the system could not be read");
    }
    roots.add_parsable_certificates(system.certs);
    // Named, because a program with two providers of cryptography has no default one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_hub_are_completed() {
        for (given, completed) in [
            ("ws://127.0.0.1:4848/ws", "ws://127.0.0.1:4848/ws"),
            ("http://127.0.0.1:4848", "ws://127.0.0.1:4848/ws"),
            ("https://hub.example/", "wss://hub.example/ws"),
            ("wss://hub.example/alk/ws", "wss://hub.example/alk/ws"),
        ] {
            assert_eq!(websocket_url(given).unwrap(), completed);
        }
        for wrong in ["", "hub.example", "ftp://x", "ws://", "ws://user:pw@x/ws"] {
            assert!(websocket_url(wrong).is_err(), "{wrong}");
        }
    }
}
