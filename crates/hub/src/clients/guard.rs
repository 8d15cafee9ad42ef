//! Which addresses the hub may reach for others.
//!
//! Whoever configures a service says where the hub sends requests, and the hub stands where others do
//! not: beside its database, on a machine's loopback, in a company's network. So an address is checked
//! after its name was resolved, and the connection is made to the very address that was checked; a name
//! that turns to another address is checked anew with each connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::LiveConfig;

/// How long a name may take to be resolved when a configuration is checked.
const LOOKUP: Duration = Duration::from_secs(5);

/// An address that must not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} has no address the hub may reach; clients.allowNetworks can allow networks of its own"
)]
pub(crate) struct BlockedAddress {
    /// The host as it was asked for.
    pub(crate) host: String,
}

/// Resolves names.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// The addresses of a host.
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// Names as this system resolves them.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Checks addresses; the networks that are allowed beside the public ones are a live setting.
#[derive(Clone)]
pub(crate) struct Guard {
    config: Arc<LiveConfig>,
    names: Arc<dyn Lookup>,
}

impl Guard {
    pub(crate) fn new(config: Arc<LiveConfig>, names: Arc<dyn Lookup>) -> Self {
        Self { config, names }
    }

    /// Checks an address that is about to be asked, as far as that can be told without resolving its
    /// name: a name is checked when it is resolved.
    ///
    /// # Errors
    /// [`BlockedAddress`] for an IP address that must not be reached.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), BlockedAddress> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(blocked(url.as_str())),
        };
        match self.allows(address) {
            true => Ok(()),
            false => Err(blocked(&address.to_string())),
        }
    }

    /// Checks an address of a configuration, its name resolved. A name that does not resolve now is
    /// taken: it will be checked when it does.
    ///
    /// # Errors
    /// [`BlockedAddress`] when there are addresses and none may be reached.
    pub(crate) async fn check(&self, url: &Url) -> Result<(), BlockedAddress> {
        self.check_literal(url)?;
        let Some(Host::Domain(host)) = url.host() else {
            return Ok(());
        };
        let lookup = self.names.lookup(host.to_owned());
        match tokio::time::timeout(LOOKUP, lookup).await {
            Ok(Ok(found)) if !found.is_empty() => self.allowed(host, found).map(drop),
            _ => Ok(()),
        }
    }

    /// Those of a host's addresses that may be reached.
    fn allowed(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, BlockedAddress> {
        let allowed: Vec<IpAddr> = found
            .into_iter()
            .filter(|address| self.allows(*address))
            .collect();
        match allowed.is_empty() {
            true => Err(blocked(host)),
            false => Ok(allowed),
        }
    }

    /// The networks that are allowed now beside the public ones.
    pub(crate) fn networks(&self) -> Vec<IpNet> {
        self.config.current().clients.allow_networks.clone()
    }

    fn allows(&self, address: IpAddr) -> bool {
        may_reach(address, &self.config.current().clients.allow_networks)
    }
}

/// The resolver of HTTP clients: what it gives has been checked, and nothing else is connected to.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = guard.names.lookup(host.clone()).await?;
            let allowed = guard.allowed(&host, found)?;
            let addresses: Addrs = Box::new(
                allowed
                    .into_iter()
                    .map(|address| SocketAddr::new(address, 0)),
            );
            Ok(addresses)
        })
    }
}

/// True for a public address, and for one in a network that is allowed.
pub(crate) fn may_reach(address: IpAddr, allowed: &[IpNet]) -> bool {
    let meant = embedded(address).map_or(address, IpAddr::V4);
    if allowed
        .iter()
        .any(|network| network.contains(&address) || network.contains(&meant))
    {
        return true;
    }
    match meant {
        IpAddr::V4(address) => public_v4(address),
        IpAddr::V6(address) => public_v6(address),
    }
}

/// The IPv4 address an IPv6 address stands for: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let octets = address.octets();
    let last = Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    let segments = address.segments();
    let compatible = segments[..6] == [0; 6] && !address.is_loopback() && !address.is_unspecified();
    let translated = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    if compatible || translated {
        return Some(last);
    }
    (segments[0] == 0x2002).then(|| Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5]))
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Behind a provider's translation, for protocols, for measuring.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        // Unique local, link-local, site-local.
        || (segments[0] & 0xfe00) == 0xfc00
        || (segments[0] & 0xffc0) == 0xfe80
        || (segments[0] & 0xffc0) == 0xfec0
        // Documentation, local translation, discard.
        || (segments[0] == 0x2001 && segments[1] == 0xdb8)
        || (segments[0] == 0x64 && segments[1] == 0xff9b && segments[2] == 1)
        || (segments[0] == 0x100 && segments[1..4] == [0; 3]))
}

fn blocked(host: &str) -> BlockedAddress {
    BlockedAddress {
        host: host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        may_reach(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn public_addresses_may_be_reached() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(reach(address, &[]), "{address}");
        }
    }

    #[test]
    fn addresses_that_only_this_machine_or_network_reaches_may_not() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            assert!(!reach(address, &[]), "{address}");
        }
    }

    #[test]
    fn networks_that_are_allowed_may_be_reached_and_no_others() {
        assert!(reach("127.0.0.1", &["127.0.0.0/8"]));
        assert!(reach("::ffff:127.0.0.1", &["127.0.0.0/8"]));
        assert!(!reach("10.0.0.1", &["127.0.0.0/8"]));
        assert!(reach("fd00::1", &["fd00::/8"]));
    }
}
