//! Whose address a request counts under.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The address of the client: the peer's, or behind trusted proxies the last one in
/// `X-Forwarded-For` that is not a trusted proxy itself. Earlier entries are the client's own
/// words.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|network| network.contains(&address))
    };
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let hops: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in hops.into_iter().rev() {
        // What stands before an entry that is no address was not written by a proxy we know.
        let Some(address) = parse(hop.trim()) else {
            break;
        };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// An address, perhaps with a port.
fn parse(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn header_of_a_stranger_is_not_believed() {
        assert_eq!(
            client("198.51.100.7", &["203.0.113.1"], &[]),
            "198.51.100.7"
        );
        assert_eq!(
            client("198.51.100.7", &["203.0.113.1"], &["10.0.0.0/8"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn last_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            client("10.0.0.1", &["203.0.113.1"], &trusted),
            "203.0.113.1"
        );
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1, 203.0.113.1, 10.0.0.2"], &trusted),
            "203.0.113.1"
        );
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "203.0.113.1:4711"], &trusted),
            "203.0.113.1"
        );
        assert_eq!(
            client("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &trusted),
            "2001:db8::1"
        );
    }

    #[test]
    fn nonsense_stops_the_walk() {
        assert_eq!(
            client(
                "10.0.0.1",
                &["203.0.113.1, unknown, 10.0.0.2"],
                &["10.0.0.0/8"]
            ),
            "10.0.0.2"
        );
        assert_eq!(client("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }
}
