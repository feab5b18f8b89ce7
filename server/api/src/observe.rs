//! The outermost layer around everything behind the gate.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use mlx_gate_core::{Dialect, EngineError};
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::drain::InFlight;
use crate::error::Error;
use crate::log::{Closing, Record};
use crate::{App, routes};

/// Response header, and request header of clients that bring their own id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name Anthropic's clients know it by.
pub(crate) const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Longest request id taken from a client.
const LONGEST_ID: usize = 128;

/// What the layers and handlers of one request share, in its extensions.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) app: App,
    pub(crate) id: String,
    /// In which the request is answered.
    pub(crate) dialect: Dialect,
    pub(crate) record: Record,
    pub(crate) deadline: Deadline,
}

/// Gives the request its id, admits it, turns a panic into a 500, and sees to it that one line is logged and the passage
/// through the gate finished when its answer has ended or its client is gone, whichever comes first.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let route = routes::of(&request);
    let dialect = routes::dialect(route, request.headers());
    let record = Record::open(&id, request.method(), route, dialect, started);
    let closing = Closing::new(record.clone(), app.clone());

    let admitted = app.admission().admit();
    let mut response = if admitted.is_some() {
        let deadline = Deadline::new(started, app.config().request_timeout);
        let context = Context { app, id: id.clone(), dialect, record: record.clone(), deadline };
        request.extensions_mut().insert(context);
        // A panicking handler owns nothing that other requests see: the engine is behind channels.
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Error::Panicked.into_response(dialect, &record),
        }
    } else {
        Error::from(EngineError::ShuttingDown).into_response(dialect, &record)
    };

    record.answered(response.status());
    // What an answer says for itself, when to come back for instance, goes before what was said of its admission.
    let mut admission = record.admission_headers();
    for name in response.headers().keys() {
        admission.remove(name);
    }
    response.headers_mut().extend(admission);
    if let Ok(id) = HeaderValue::from_str(&id) {
        if dialect == Dialect::Anthropic {
            response.headers_mut().insert(ANTHROPIC_REQUEST_ID, id.clone());
        }
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.map(|inner| Body::new(Observed { inner, _closing: closing, _in_flight: admitted }))
}

/// The client's own id where it is a plain token, else a new one. An id ends up in logs and headers, so nothing that
/// could break a line or a quote is taken.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    match headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("req_{:032x}", rand::random::<u128>()),
    }
}

/// A response body that keeps its request open until it is dropped.
struct Observed {
    // The order matters: dropping the body cancels the generation, then the line is written, then the request no longer
    // counts as in flight.
    inner: Body,
    _closing: Closing,
    _in_flight: Option<InFlight>,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
