//! The layer that asks the plugins about every request, before its body is read.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use mlx_gate_core::{Dialect, HeaderValue, Passage, Refusal, RequestHead, Secret};

use crate::App;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::host;
use crate::observe::Context;
use crate::peer::{FORWARDING, Origin, Peer};

/// Headers that carry credentials whatever the plugins declare.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// Headers by which proxies and clients claim an identity.
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

/// How far a request has come, in its extensions once the gate has let it in.
#[derive(Clone)]
pub(crate) struct Entered {
    pub(crate) passage: Arc<dyn Passage>,
    /// When the answer has to have ended, the caller's credential considered.
    pub(crate) deadline: Deadline,
}

/// Lets a request in, without its credentials, or refuses it.
pub(crate) async fn guard(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    mut request: Request,
    next: Next,
) -> Response {
    let dialect = context.dialect;
    let origin = request
        .extensions()
        .get::<Peer>()
        .map(|peer| Origin::of(*peer, request.headers(), &app.config().trusted_proxies));
    let passage = app.lifecycle().begin();
    context.record.began(Arc::clone(&passage), origin);
    if may_be_a_page(&request, origin) && !passage.authenticates() && !app.config().any_host {
        return Error::WrongHost.into_response(dialect, &context.record);
    }

    let head = head(&request, context.id.clone(), dialect, origin);
    let deadline = match authenticate(&*passage, &head, &context).await {
        Ok(deadline) => deadline,
        Err(error) => return error.into_response(dialect, &context.record),
    };
    drop(head);
    strip(request.headers_mut(), passage.credential_headers());
    request.extensions_mut().insert(Entered { passage, deadline });
    next.run(request).await
}

/// Whether it comes from this machine, by a name that a web page may have. The page may belong to anybody, and whoever looks at
/// it is already behind the one wall there is where no plugin authenticates: the address that is listened at.
fn may_be_a_page(request: &Request, origin: Option<Origin>) -> bool {
    let is_here =
        |origin: Origin| !origin.proxied && origin.client.is_some_and(|client| client.is_loopback());
    origin.is_some_and(is_here) && !host::is_private(request.headers())
}

/// Asks who is calling, and gives the time that leaves them.
async fn authenticate(
    passage: &dyn Passage,
    head: &RequestHead,
    context: &Context,
) -> Result<Deadline, Error> {
    let refused = |refusal| Error::Refused(Box::new(refusal));
    match context.deadline.within(passage.authenticate(head)).await?.map_err(refused)? {
        Some(principal) => {
            context.record.entered(&principal);
            let deadline = context.deadline.expiring(principal.expires_at_ms);
            deadline.check()?;
            Ok(deadline)
        }
        // Plugins authenticate, and yet nobody vouched for the caller: a broken gate must not become an open one.
        None if passage.authenticates() => Err(refused(Refusal::Unauthenticated { challenges: Vec::new() })),
        None => Ok(context.deadline),
    }
}

/// The head as plugins see it. What names an identity or a client's address is a proxy's to say: from anybody else such
/// a header is a forgery, and no plugin gets to see it.
fn head(request: &Request, id: String, dialect: Dialect, origin: Option<Origin>) -> RequestHead {
    let proxied = origin.is_some_and(|origin| origin.proxied);
    let forged = |name: &str| !proxied && (CLAIMED_IDENTITY.contains(&name) || FORWARDING.contains(&name));
    let headers = request.headers().iter().filter(|(name, _)| !forged(name.as_str())).map(|(name, value)| {
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
        peer: origin.and_then(|origin| origin.client),
        headers: headers.collect(),
    }
}

/// Takes out what nothing behind the gate has a use for: principal, tags and peer travel as typed values.
pub(crate) fn strip(headers: &mut HeaderMap, declared: &[String]) {
    let ours = CREDENTIALS.into_iter().chain(CLAIMED_IDENTITY).chain(FORWARDING);
    for name in ours.chain(declared.iter().map(String::as_str)) {
        headers.remove(name);
    }
}
