//! Who gets to the admin API: whoever holds the key, and no web page.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::answer::Failure;
use crate::peer::Peer;

/// Through what a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Address,
    Socket,
}

pub(super) async fn guard(
    State((admin, door)): State<(Admin, Door)>,
    request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    match check(&admin, door, from, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            tracing::warn!(
                method = %request.method(),
                reason = failure.code(),
                "the admin API refused a request"
            );
            failure.into_response()
        }
    }
}

fn check(admin: &Admin, door: Door, from: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Failure> {
    keep_browsers_out(headers)?;
    if door == Door::Address {
        check_host(headers)?;
    }
    let wrong = || {
        let message = "the admin key is missing or wrong; send `Authorization: Bearer <key>`";
        Failure::new(StatusCode::UNAUTHORIZED, "invalid_admin_key", message)
    };
    let key = match &admin.0.key {
        Some(key) => key,
        None if door == Door::Socket => return Ok(()),
        None => return Err(wrong()),
    };
    let presented = bearer(headers).ok_or_else(wrong)?;
    match admin.0.attempts.judge(from, || key.matches(presented)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(wrong()),
        Err(wait) => Err(Failure::too_many_attempts(wait)),
    }
}

/// A page that an admin happens to look at can send requests from that machine. Browsers say so in headers that scripts
/// cannot leave out, and nothing here is made for a browser.
fn keep_browsers_out(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "browser_refused",
            "requests from web pages are refused; use `mlx-gate plugin` or an HTTP client",
        ));
    }
    Ok(())
}

/// A name that a page has rebound to this machine stands in `Host` as that name; an address cannot be rebound.
fn check_host(headers: &HeaderMap) -> Result<(), Failure> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    if host.is_some_and(names_this_machine) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        "wrong_host",
        "the admin API answers to `localhost` and to IP addresses in `Host`, not to other names",
    ))
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
        Some(_) => return false,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// The only `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
}

#[cfg(test)]
mod tests {
    use super::names_this_machine;

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
            assert!(names_this_machine(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1].evil", "::1"]
        {
            assert!(!names_this_machine(host), "{host}");
        }
    }
}
