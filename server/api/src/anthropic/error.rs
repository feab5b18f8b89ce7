use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::error::{Answer, Kind};

/// Anthropic's own status for a server that has no room at the moment; clients wait and come back.
const OVERLOADED: u16 = 529;

/// An error as a response to the request of this id.
pub(crate) fn response(answer: Answer, request_id: &str) -> Response {
    let mut response = Response::new(body(&answer, request_id).to_string().into());
    *response.status_mut() = if is_overloaded(&answer) {
        StatusCode::from_u16(OVERLOADED).unwrap_or(answer.status)
    } else {
        answer.status
    };
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `{"type": "error", "error": {"type", "message", "details"}, "request_id"}`, also an event inside a stream.
///
/// `details.error_code` is where Anthropic's clients look for a code finer than the type; `param` is ours.
pub(crate) fn body(answer: &Answer, request_id: &str) -> Value {
    let mut details = Map::new();
    details.insert("error_code".to_owned(), json!(answer.code));
    if let Some(param) = &answer.param {
        details.insert("param".to_owned(), json!(field(param)));
    }
    json!({
        "type": "error",
        "error": { "type": kind(answer), "message": answer.message, "details": details },
        "request_id": request_id,
    })
}

fn is_overloaded(answer: &Answer) -> bool {
    answer.code == "server_overloaded"
}

fn kind(answer: &Answer) -> &'static str {
    match (answer.kind, answer.status) {
        (_, StatusCode::NOT_FOUND) => "not_found_error",
        (_, StatusCode::PAYLOAD_TOO_LARGE) => "request_too_large",
        (_, StatusCode::GATEWAY_TIMEOUT) => "timeout_error",
        _ if is_overloaded(answer) => "overloaded_error",
        (Kind::InvalidRequest, _) => "invalid_request_error",
        (Kind::Authentication, _) => "authentication_error",
        (Kind::Permission, _) => "permission_error",
        (Kind::RateLimit, _) => "rate_limit_error",
        (Kind::Server, _) => "api_error",
    }
}

/// The engine speaks of fields in `core::Request`'s vocabulary; clients know some of them by other names.
fn field(param: &str) -> &str {
    match param {
        "stop" => "stop_sequences",
        "reasoning" => "thinking",
        "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use",
        other => other,
    }
}
