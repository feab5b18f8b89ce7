use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Answer, Kind};
use crate::sse;

/// Anthropic's own status for a server that has no room at the moment; clients wait and come back.
const OVERLOADED: u16 = 529;

/// An error as a response to the request of this id.
pub(crate) fn response(answer: Answer, request_id: &str) -> Response {
    let mut response = Response::new(sse::json(&body(&answer, request_id)).into());
    *response.status_mut() = if is_overloaded(&answer) {
        StatusCode::from_u16(OVERLOADED).unwrap_or(answer.status)
    } else {
        answer.status
    };
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body of an error, also the data of an event inside a stream.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Body<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    request_id: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Inner<'a> {
    r#type: &'static str,
    /// What happened, and what to do.
    message: &'a str,
    details: Details<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Details<'a> {
    /// What happened, for programs: where Anthropic's clients look for a code finer than the type.
    error_code: &'a str,
    /// The field at fault, `messages[0].role` for instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
}

pub(crate) fn body<'a>(answer: &'a Answer, request_id: &'a str) -> Body<'a> {
    let details = Details { error_code: &answer.code, param: answer.param.as_deref().map(field) };
    Body {
        r#type: "error",
        error: Inner { r#type: kind(answer), message: &answer.message, details },
        request_id,
    }
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
