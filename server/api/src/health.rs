//! The two routes in front of the gate, for supervisors that hold no credential. They say nothing but yes or no.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::App;

/// `GET /health`: the process is alive and answers.
pub(crate) async fn health() -> Response {
    answer(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// `GET /ready`: new requests are welcome. 503 while draining.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.admission().is_draining() {
        answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#)
    } else {
        answer(StatusCode::OK, r#"{"status":"ready"}"#)
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
