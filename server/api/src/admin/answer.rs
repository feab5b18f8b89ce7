use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
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
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after: None }
    }

    /// Wrong keys came too often, and for so long none is looked at.
    pub(super) fn too_many_attempts(wait: Duration) -> Self {
        let message = format!("too many wrong admin keys; none is looked at for {} s", seconds(wait));
        let failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
        Self { retry_after: Some(wait), ..failure }
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
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds(wait).into());
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

/// Whole seconds, upwards: who keeps to it is heard.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000) as u64
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
