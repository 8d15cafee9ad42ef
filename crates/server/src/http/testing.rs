//! Values for the unit tests of this module.

use std::time::Duration;

use alkhub_hub::config::ServerConfig;

/// The settings of a hub on its default address.
pub(super) fn server_config() -> ServerConfig {
    ServerConfig {
        listen: vec!["127.0.0.1:4848".parse().unwrap()],
        listen_fallback: false,
        allow_insecure: false,
        public_url: None,
        allowed_hosts: Vec::new(),
        cors_origins: Vec::new(),
        trusted_proxies: Vec::new(),
        body_limit: 4 << 20,
        import_limit: 64 << 20,
        request_timeout: Duration::from_secs(65),
        max_connections: 100,
        drain: Duration::from_secs(30),
    }
}
