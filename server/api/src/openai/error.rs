use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Answer, Kind};
use crate::sse;

/// An error as a response.
pub(crate) fn response(answer: Answer) -> Response {
    let mut response = Response::new(sse::json(&body(&answer)).into());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The body of an error, also the data of an event inside a stream.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Inner<'a> {
    /// What happened, and what to do.
    message: &'a str,
    r#type: &'static str,
    /// The field at fault, `messages[0].role` for instance.
    param: Option<&'a str>,
    /// What happened, for programs.
    code: &'a str,
}

pub(crate) fn body(answer: &Answer) -> Body<'_> {
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
    Body { error: Inner { message: &answer.message, r#type: kind, param, code: &answer.code } }
}
