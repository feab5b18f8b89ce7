//! Which names a request may call this server by. A web page can have its own name point at the machine that looks at it
//! (DNS rebinding), and what it then sends is same-origin to the browser. `Host` still holds the page's name.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// Ends of names that no page can have: RFC 6761, section 6.3, RFC 6762, and what ICANN keeps for private networks.
const PRIVATE: [&str; 3] = [".localhost", ".local", ".internal"];

/// The only `Host`, without its port.
fn name(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok().filter(|_| hosts.next().is_none())?;
    let Some(bracketed) = host.strip_prefix('[') else {
        return Some(host.split_once(':').map_or(host, |(name, _)| name));
    };
    let (address, port) = bracketed.split_once(']')?;
    (port.is_empty() || port.starts_with(':')).then_some(address)
}

/// Whether `Host` is `localhost` or an address.
pub(crate) fn is_this_machine(headers: &HeaderMap) -> bool {
    name(headers).is_some_and(|name| name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
}

/// Whether no page can have a name that is in `Host`: `localhost`, an address, a name without a dot, one that only private
/// networks have. Programs that are no browsers may leave it out.
pub(crate) fn is_private(headers: &HeaderMap) -> bool {
    if !headers.contains_key(HOST) || is_this_machine(headers) {
        return true;
    }
    name(headers).map(|name| name.trim_end_matches('.').to_ascii_lowercase()).is_some_and(|name| {
        !name.is_empty() && (!name.contains('.') || PRIVATE.iter().any(|end| name.ends_with(end)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&str]) -> HeaderMap {
        hosts.iter().map(|host| (HOST, host.parse().unwrap())).collect()
    }

    #[test]
    fn only_addresses_and_localhost_are_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:8001",
            "127.0.0.1",
            "127.0.0.1:8001",
            "[::1]:8001",
            "[::1]",
            "192.0.2.1:1",
        ] {
            assert!(is_this_machine(&headers(&[host])), "{host}");
            assert!(is_private(&headers(&[host])), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::1", "[::1]x"]
        {
            assert!(!is_this_machine(&headers(&[host])), "{host}");
            assert!(!is_private(&headers(&[host])), "{host}");
        }
        assert!(!is_this_machine(&headers(&[])));
        assert!(!is_this_machine(&headers(&["localhost", "localhost"])));
    }

    #[test]
    fn no_page_has_a_private_name() {
        for hosts in
            [&[][..], &["macbook:8000"], &["host.docker.internal:8000"], &["Studio.Local."], &["a.localhost"]]
        {
            assert!(is_private(&headers(hosts)), "{hosts:?}");
        }
        for hosts in [
            &["evil.example:8000"][..],
            &["local.evil.example"],
            &["evil.example."],
            &["localhost", "evil.example"],
        ] {
            assert!(!is_private(&headers(hosts)), "{hosts:?}");
        }
    }
}
