//! Who gets to the admin API: whoever holds the key, and no web page.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::answer::Failure;
use crate::host;
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
    if host::is_this_machine(headers) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        "wrong_host",
        "the admin API answers to `localhost` and to IP addresses in `Host`, not to other names",
    ))
}

/// The only `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
}
