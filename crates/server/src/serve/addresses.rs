//! Which addresses the server listens on.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use alkhub_hub::config::ServerConfig;
use tokio::net::TcpListener;

use super::ServeError;

/// Ports tried after a taken one before the system chooses.
const NEXT_PORTS: u16 = 100;

/// Sockets that listen, with their addresses.
pub(super) struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    first: SocketAddr,
}

/// Says which addresses carry keys over the network in the clear. Settings that name one without
/// allowing it are refused when they are read.
pub(super) fn warn_of_public_ones(config: &ServerConfig) {
    for address in &config.listen {
        if !address.ip().to_canonical().is_loopback() {
            tracing::warn!(%address, "{address} can be reached by other machines and the hub speaks plain HTTP");
        }
    }
}

impl Listeners {
    /// Listens on every address of the settings, or on none.
    pub(super) async fn bind(config: &ServerConfig) -> Result<Self, ServeError> {
        let mut sockets = Vec::new();
        let mut first = None;
        for address in &config.listen {
            let socket = bind_one(*address, config.listen_fallback).await?;
            let bound = socket.local_addr().map_err(|source| ServeError::Listen {
                address: *address,
                source,
            })?;
            if bound.port() != address.port() && address.port() != 0 {
                tracing::warn!(wanted = %address, taken = %bound, "{address} is taken, listening on {bound}");
            }
            first.get_or_insert(bound);
            sockets.push(socket);
        }
        let first = first.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        Ok(Listeners { sockets, first })
    }

    /// URL of the first address as this machine reaches it, no slash at the end.
    pub(super) fn url(&self) -> String {
        let ip = match self.first.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.first.port()))
    }
}

async fn bind_one(address: SocketAddr, fallback: bool) -> Result<TcpListener, ServeError> {
    let taken = match TcpListener::bind(address).await {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    if fallback && taken.kind() == ErrorKind::AddrInUse {
        let next = (1..=NEXT_PORTS).filter_map(|step| address.port().checked_add(step));
        // Port 0 last: the system knows a free one.
        for port in next.chain([0]) {
            if let Ok(socket) = TcpListener::bind((address.ip(), port)).await {
                return Ok(socket);
            }
        }
    }
    Err(ServeError::Listen {
        address,
        source: taken,
    })
}
