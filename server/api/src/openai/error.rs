use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::{Value, json};

use crate::error::{Answer, Kind};

/// An error as a response.
pub(crate) fn response(answer: Answer) -> Response {
    let mut response = Response::new(body(&answer).to_string().into());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `{"error": {"message", "type", "param", "code"}}`, also an event inside a stream.
pub(crate) fn body(answer: &Answer) -> Value {
    let kind = match answer.kind {
        Kind::InvalidRequest => "invalid_request_error",
        Kind::Authentication => "authentication_error",
        Kind::Permission => "permission_error",
        Kind::RateLimit => "rate_limit_error",
        Kind::Server => "server_error",
    };
    // The engine speaks of fields in `core::Request`'s vocabulary; clients know one of them by another name.
    let param = answer.param.as_deref();
    let param = param.map(|param| if param == "template_options" { "chat_template_kwargs" } else { param });
    json!({ "error": { "message": answer.message, "type": kind, "param": param, "code": answer.code } })
}
