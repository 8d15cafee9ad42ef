//! Which requests from browsers are answered.
//!
//! A page of another site may make a browser send requests here, and a name of its own may be
//! made to point here. Browsers say where a request comes from, so both are told apart; programs
//! that are no browser send none of these headers and are not looked at.

use alkhub_hub::config::ServerConfig;
use alkhub_operations::CallError;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use url::Url;

/// Refuses a browser's request from a foreign page or to a foreign name. Errors: 403 `FORBIDDEN`.
pub(super) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    config: &ServerConfig,
) -> Result<(), CallError> {
    let origin = headers.get(ORIGIN);
    if origin.is_none() && !headers.contains_key("sec-fetch-site") {
        return Ok(());
    }
    let host = uri
        .authority()
        .map(|authority| authority.as_str().to_ascii_lowercase())
        .or_else(|| Some(headers.get(HOST)?.to_str().ok()?.to_ascii_lowercase()));
    if !host
        .as_deref()
        .is_some_and(|host| host_is_ours(host, config))
    {
        return Err(CallError::forbidden(
            "the hub is not known under this name; server.allowedHosts lists further ones",
        ));
    }
    let Some(origin) = origin else {
        return Ok(());
    };
    let known = origin
        .to_str()
        .is_ok_and(|origin| origin_is_known(origin, host.as_deref(), config));
    if known {
        Ok(())
    } else {
        Err(CallError::forbidden(
            "requests from pages of this origin are not answered; server.corsOrigins lists those that are",
        ))
    }
}

/// Whether pages of this origin may read answers (CORS).
pub(super) fn origin_may_read(origin: &str, config: &ServerConfig) -> bool {
    config
        .cors_origins
        .iter()
        .any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// A number can stand for this hub only; a name must be one of ours.
fn host_is_ours(host: &str, config: &ServerConfig) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name_is_ours(name, host, config),
        Some(_) => true,
        None => false,
    }
}

fn name_is_ours(name: &str, host: &str, config: &ServerConfig) -> bool {
    let public = config
        .public_url
        .as_deref()
        .and_then(|public| Url::parse(public).ok());
    name == "localhost"
        || public.is_some_and(|public| public.host_str() == Some(name))
        || config
            .allowed_hosts
            .iter()
            .any(|allowed| allowed == host || allowed == name)
}

fn origin_is_known(origin: &str, host: Option<&str>, config: &ServerConfig) -> bool {
    if origin_may_read(origin, config) {
        return true;
    }
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    let (Some(origin_host), "http" | "https") = (url.host(), url.scheme()) else {
        return false;
    };
    let with_port = url.port().map_or_else(
        || origin_host.to_string(),
        |port| format!("{origin_host}:{port}"),
    );
    if host == Some(with_port.as_str()) {
        // The page was served by this hub itself.
        return true;
    }
    match origin_host {
        url::Host::Domain(name) => name_is_ours(name, &with_port, config),
        url::Host::Ipv4(address) => address_is_ours(address.into(), config),
        url::Host::Ipv6(address) => address_is_ours(address.into(), config),
    }
}

fn address_is_ours(address: std::net::IpAddr, config: &ServerConfig) -> bool {
    address.is_loopback() || config.listen.iter().any(|listen| listen.ip() == address)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::http::testing::server_config;

    fn allowed(host: &str, origin: Option<&str>, adjust: impl FnOnce(&mut ServerConfig)) -> bool {
        let mut config = server_config();
        adjust(&mut config);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        check(&headers, &Uri::from_static("/v1/call/hub.info"), &config).is_ok()
    }

    #[test]
    fn programs_may_use_any_name() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("build-box.lan:4848"));
        assert!(check(&headers, &Uri::from_static("/"), &server_config()).is_ok());
    }

    #[test]
    fn loopback_names_and_numbers_are_ours() {
        for host in [
            "localhost:4848",
            "127.0.0.1:4848",
            "[::1]:4848",
            "LOCALHOST",
        ] {
            assert!(allowed(host, None, |_| ()), "{host}");
        }
    }

    #[test]
    fn a_foreign_name_is_refused_until_allowed() {
        assert!(!allowed("evil.example:4848", None, |_| ()));
        assert!(!allowed(
            "evil.example",
            Some("http://evil.example"),
            |_| ()
        ));
        for listed in ["hub.example", "hub.example:4848"] {
            assert!(allowed("hub.example:4848", None, |config| {
                config.allowed_hosts = vec![listed.to_owned()];
            }));
        }
        assert!(allowed("hub.example", None, |config| {
            config.public_url = Some("https://hub.example".to_owned());
        }));
    }

    #[test]
    fn foreign_origins_are_refused() {
        for origin in [
            "https://evil.example",
            "http://10.0.0.9:4848",
            "null",
            "file://",
            "chrome-extension://abcdef",
        ] {
            assert!(!allowed("localhost:4848", Some(origin), |_| ()), "{origin}");
        }
    }

    #[test]
    fn own_pages_and_listed_origins_are_answered() {
        assert!(allowed(
            "10.0.0.9:4848",
            Some("http://10.0.0.9:4848"),
            |_| ()
        ));
        assert!(allowed(
            "localhost:4848",
            Some("http://127.0.0.1:4848"),
            |_| ()
        ));
        assert!(allowed(
            "localhost:4848",
            Some("https://board.example"),
            |config| config.cors_origins = vec!["https://board.example".to_owned()],
        ));
    }
}
