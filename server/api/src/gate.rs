//! The layer that asks the plugins about every request, before its body is read.

use std::net::SocketAddr;

use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use mlx_gate_core::{Dialect, HeaderValue, Refusal, RequestHead, Secret};

use crate::error::Error;
use crate::observe::Context;
use crate::{App, routes};

/// Headers that carry credentials whatever the plugins declare.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// Headers by which proxies and clients claim an identity. Ours travels in the request's extensions, so nothing behind
/// the gate has a use for theirs.
const CLAIMED_IDENTITY: [&str; 12] = [
    "remote-user",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-user",
    "x-priority",
    "x-remote-user",
    "x-roles",
    "x-tenant",
    "x-tenant-id",
    "x-user-id",
];

/// The other end of the connection, in the extensions of every request that came over one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets a request through with its principal in the extensions and without its credentials, or refuses it.
pub(crate) async fn guard(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    mut request: Request,
    next: Next,
) -> Response {
    let dialect = routes::of(&request).map_or(Dialect::OpenAi, |route| route.dialect);
    let refuse = |refusal: Refusal| Error::Refused(Box::new(refusal)).into_response(dialect, &context.record);

    let head = head(&request, context.id.clone(), dialect);
    let mut passage = app.lifecycle().begin();
    match passage.authenticate(&head).await {
        Ok(Some(principal)) => {
            context.record.admitted(&principal);
            request.extensions_mut().insert(principal);
        }
        Ok(None) if !app.lifecycle().authenticates() => {}
        // Plugins authenticate, and yet nobody vouched for the caller: a broken gate must not become an open one.
        Ok(None) => {
            return refuse(Refusal::Unauthenticated { challenges: Vec::new() });
        }
        Err(refusal) => return refuse(refusal),
    }
    drop(head);
    strip(request.headers_mut(), &app.lifecycle().credential_headers());
    next.run(request).await
}

fn head(request: &Request, id: String, dialect: Dialect) -> RequestHead {
    let peer = request.extensions().get::<Peer>();
    let headers = request.headers().iter().map(|(name, value)| {
        let value = match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => HeaderValue::Text(Secret::new(text)),
            Err(_) => HeaderValue::NotUtf8,
        };
        (name.as_str().to_owned(), value)
    });
    RequestHead {
        id,
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        dialect,
        // A socket bound to `::` reports IPv4 peers as mapped IPv6 addresses; plugins compare against the plain ones.
        peer: peer.map(|Peer(address)| address.ip().to_canonical()),
        headers: headers.collect(),
    }
}

pub(crate) fn strip(headers: &mut HeaderMap, declared: &[String]) {
    for name in CREDENTIALS.into_iter().chain(CLAIMED_IDENTITY).chain(declared.iter().map(String::as_str)) {
        headers.remove(name);
    }
}
