//! Who is at the other end: the peer of the connection, or the client that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Headers in which proxies say for whom they ask.
pub(crate) const FORWARDING: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The other end of the connection, in the extensions of every request that came over one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address, where it is known.
    pub(crate) client: Option<IpAddr>,
    /// The peer is a trusted proxy, so its headers are no stranger's.
    pub(crate) proxied: bool,
}

impl Origin {
    /// Reads who the client is. Only a trusted proxy is believed: anybody can write a header.
    ///
    /// Proxies append the address they see, so the client is the rightmost hop that is no trusted proxy; what stands
    /// left of it is that client's own word. `X-Forwarded-For` and `Forwarded` (RFC 7239) are understood. Most proxies
    /// write one of them and let the other through, so where both are there and disagree nobody knows who the client is, and
    /// neither where the hop that counts is no address: the proxy hides it (`unknown`, `_name`), or cannot be understood. It
    /// is not the proxy: rules for addresses inside must not be for whoever writes a header.
    pub(crate) fn of(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        // A socket bound to `::` reports IPv4 peers as mapped IPv6 addresses; plugins compare against the plain ones.
        let peer = peer.0.ip().to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
        if !is_trusted(peer) {
            return Self { client: Some(peer), proxied: false };
        }
        let client = |hops: Vec<Option<IpAddr>>| {
            let mut client = peer;
            for hop in hops.into_iter().rev() {
                client = hop?;
                if !is_trusted(client) {
                    break;
                }
            }
            Some(client)
        };
        let told = |name, read: fn(&str) -> Vec<Option<IpAddr>>| {
            // Of a line that is not text only the hops that are not are lost: the client wrote those.
            let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
            headers.contains_key(name).then(|| client(lines.flat_map(|line| read(&line)).collect()))
        };
        let client = match (told("x-forwarded-for", x_forwarded_for), told("forwarded", forwarded)) {
            (Some(one), Some(other)) if one != other => None,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => Some(peer),
        };
        Self { client, proxied: true }
    }
}

/// `client, proxy1, proxy2`.
fn x_forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(|hop| node(hop.trim())).collect()
}

/// `for=192.0.2.60;proto=http, for="[2001:db8::17]:4711"` (RFC 7239, section 4).
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let hop = |element: &str| {
        let mut pairs = unquoted(element, ';').into_iter().filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
        node(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    };
    unquoted(line, ',').into_iter().map(hop).collect()
}

/// Splits at a separator that stands outside of quotes.
fn unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|sign| {
        quoted ^= sign == '"';
        sign == separator && !quoted
    })
    .collect()
}

/// An address with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let address: Option<IpAddr> = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// The client of a request from this peer, where 10.0.0.0/8 and 2001:db8::/32 are trusted.
    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let peer = Peer(SocketAddr::new(peer.parse().unwrap(), 1));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        Origin::of(peer, &map, &trusted)
            .client
            .map_or_else(|| "unknown".to_owned(), |client| client.to_string())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for name in FORWARDING {
            let value = if name == "forwarded" { "for=198.51.100.1" } else { "198.51.100.1" };
            assert_eq!(client("192.0.2.9", &[(name, value)]), "192.0.2.9", "{name}");
        }
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_is_the_client() {
        for (header, expected) in [
            ("198.51.100.1", "198.51.100.1"),
            ("203.0.113.7, 198.51.100.1", "198.51.100.1"),
            ("203.0.113.7, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db9::1]:4711", "2001:db9::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("203.0.113.7, unknown", "unknown"),
            ("203.0.113.7, unknown, 10.0.0.2", "unknown"),
            ("203.0.113.7,", "unknown"),
            ("unix:", "unknown"),
            ("", "unknown"),
            ("\u{e9}, 198.51.100.1", "198.51.100.1"),
            ("198.51.100.1, \u{e9}", "unknown"),
        ] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", header)]), expected, "{header}");
        }
        let lines = [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-for", "198.51.100.1, 10.0.0.2")];
        assert_eq!(client("10.0.0.1", &lines), "198.51.100.1");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        for (header, expected) in [
            ("for=198.51.100.1", "198.51.100.1"),
            ("For=\"[2001:db9::17]:4711\"", "2001:db9::17"),
            ("for=203.0.113.7, for=198.51.100.1;proto=http;by=10.0.0.2, for=10.0.0.2", "198.51.100.1"),
            ("proto=https;for=198.51.100.1", "198.51.100.1"),
            ("for=\"198.51.100.1, for=203.0.113.7\"", "unknown"),
            ("for=\"198.51.100.1, for=203.0.113.7", "unknown"),
            ("for=\u{e9}, for=198.51.100.1", "198.51.100.1"),
            ("for=203.0.113.7, proto=http", "unknown"),
            ("for=203.0.113.7, for=_hidden", "unknown"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", header)]), expected, "{header}");
        }
    }

    #[test]
    fn where_headers_disagree_the_client_is_unknown() {
        let both = |xff, forwarded| client("10.0.0.1", &[("x-forwarded-for", xff), ("forwarded", forwarded)]);
        assert_eq!(both("198.51.100.1", "for=198.51.100.1"), "198.51.100.1");
        assert_eq!(both("198.51.100.1", "for=203.0.113.7"), "unknown");
    }
}
