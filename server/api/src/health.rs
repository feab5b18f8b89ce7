//! The two routes in front of the gate, for supervisors that hold no credential. They say nothing but yes or no.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;

const HEALTH: &str = "/health";
pub(crate) const READY: &str = "/ready";

/// The routes in front of the gate, and what each says.
pub(crate) const OPEN: [(&str, &str); 2] =
    [(HEALTH, "Whether the process is alive"), (READY, "Whether new requests are welcome")];

/// The routes, each with this service for all methods but GET and HEAD.
pub(crate) fn routes(gated: &Router) -> Router<App> {
    Router::new()
        .route(HEALTH, get(health).fallback_service(gated.clone()))
        .route(READY, get(ready).fallback_service(gated.clone()))
}

/// `GET /health`: the process is alive and answers.
async fn health() -> Response {
    answer(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// `GET /ready`: new requests are welcome. 503 while draining.
async fn ready(State(app): State<App>) -> Response {
    if app.admission().is_draining() {
        answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#)
    } else {
        answer(StatusCode::OK, r#"{"status":"ready"}"#)
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
