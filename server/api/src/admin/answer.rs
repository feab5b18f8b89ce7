use std::borrow::Cow;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mlx_gate_core::PluginChangeError;
use serde::Serialize;
use serde_json::json;

use crate::error;

/// Why an admin is not served: `{"error": {"code", "message"}}`.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// The error's code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response =
            json(self.status, &json!({ "error": { "code": self.code, "message": self.message } }));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<PluginChangeError> for Failure {
    fn from(error: PluginChangeError) -> Self {
        let (status, code) = match error {
            PluginChangeError::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown_plugin"),
            PluginChangeError::NothingBefore(_) => (StatusCode::CONFLICT, "nothing_before"),
            PluginChangeError::Rejected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// The causes a body cannot be read for are the same as for clients.
impl From<error::Error> for Failure {
    fn from(error: error::Error) -> Self {
        let answer = error.into_answer();
        Self::new(answer.status, answer.code, answer.message)
    }
}

/// A value as a response that nobody keeps.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    match serde_json::to_vec(value) {
        Ok(body) => (status, headers, body).into_response(),
        // Texts, numbers and lists of them serialize always.
        Err(error) => {
            tracing::error!(%error, "an answer of the admin API cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
