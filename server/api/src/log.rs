//! One line for each request, written when its answer has ended or its client is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use mlx_gate_core::{Event, FinishReason, Principal, Usage};
use tokio::time::Instant;

use crate::error::Answer;
use crate::routes::Route;

/// Status written for a client that left before it was answered, as nginx does; it is never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known so far about a request. Clones share it.
#[derive(Clone)]
pub(crate) struct Record(Arc<Mutex<Fields>>);

/// Writes the line when dropped.
pub(crate) struct Closing(Record);

struct Fields {
    id: String,
    method: String,
    /// The route's template, so that ids in paths do not end up in the log. `None` where no route matched.
    route: Option<&'static str>,
    api: Option<&'static str>,
    started: Instant,
    status: Option<StatusCode>,
    subject: Option<String>,
    tenant: Option<String>,
    /// Whom the client says it asks for, `user` in OpenAI's API. Unverified.
    end_user: Option<String>,
    model: Option<String>,
    streaming: bool,
    usage: Usage,
    queued: Option<Duration>,
    first_token: Option<Duration>,
    outcome: Option<Outcome>,
    refused_by: Option<String>,
    code: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Answered without generating.
    Ok,
    Finished(FinishReason),
    /// The client left before the end.
    Cancelled,
    /// The gate said no.
    Denied,
    Error,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Finished(FinishReason::Stop) => "stop",
            Self::Finished(FinishReason::Length) => "length",
            Self::Finished(FinishReason::ToolCalls) => "tool_calls",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

impl Record {
    pub(crate) fn open(id: &str, method: &Method, route: Option<&'static Route>, started: Instant) -> Self {
        Self(Arc::new(Mutex::new(Fields {
            id: id.to_owned(),
            // An unknown method is the client's free text, and has no place in a log.
            method: if is_standard(method) { method.to_string() } else { "other".to_owned() },
            route: route.map(|route| route.path),
            api: route.map(|route| route.api.as_str()),
            started,
            status: None,
            subject: None,
            tenant: None,
            end_user: None,
            model: None,
            streaming: false,
            usage: Usage::default(),
            queued: None,
            first_token: None,
            outcome: None,
            refused_by: None,
            code: None,
            cause: None,
        })))
    }

    /// The gate let the caller in.
    pub(crate) fn admitted(&self, principal: &Principal) {
        let mut fields = self.fields();
        fields.subject = Some(principal.subject.clone());
        fields.tenant.clone_from(&principal.tenant);
    }

    /// The body was understood.
    pub(crate) fn asked(&self, end_user: Option<String>, streaming: bool) {
        let mut fields = self.fields();
        fields.end_user = end_user;
        fields.streaming = streaming;
    }

    /// The request is about to be queued.
    pub(crate) fn prepared(&self, model: &str, input_tokens: usize) {
        let mut fields = self.fields();
        fields.model = Some(model.to_owned());
        fields.usage.input_tokens = u32::try_from(input_tokens).unwrap_or(u32::MAX);
    }

    /// The engine said something.
    pub(crate) fn heard(&self, event: &Event) {
        let mut fields = self.fields();
        match event {
            Event::Started { queued } => fields.queued = Some(*queued),
            Event::Text(_) | Event::Reasoning(_) | Event::ToolCall(_) => {
                if fields.first_token.is_none() {
                    fields.first_token = Some(fields.started.elapsed());
                }
            }
            Event::Finished(finished) => {
                fields.usage = finished.usage;
                fields.outcome = Some(Outcome::Finished(finished.reason));
            }
            Event::Failed(_) => {}
        }
    }

    /// The request ends with an error.
    pub(crate) fn failed(&self, answer: &Answer) {
        let mut fields = self.fields();
        let denied = answer.refused_by.is_some();
        fields.outcome = Some(if denied { Outcome::Denied } else { Outcome::Error });
        fields.refused_by.clone_from(&answer.refused_by);
        fields.code = Some(answer.code.to_string());
        fields.cause.clone_from(&answer.cause);
    }

    /// A response is on its way. A stream's outcome is not known yet.
    pub(crate) fn answered(&self, status: StatusCode) {
        let mut fields = self.fields();
        fields.status = Some(status);
        if fields.outcome.is_none() && !fields.streaming {
            fields.outcome = Some(Outcome::Ok);
        }
    }

    fn fields(&self) -> MutexGuard<'_, Fields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Closing {
    pub(crate) const fn new(record: Record) -> Self {
        Self(record)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let fields = self.0.fields();
        let status = fields.status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
        let outcome = fields.outcome.unwrap_or(Outcome::Cancelled).as_str();
        // `Option`s that are `None` leave their key out of the line.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "mlx_gate::request",
                    id = %fields.id,
                    method = %fields.method,
                    route = fields.route,
                    api = fields.api,
                    status,
                    outcome,
                    principal = fields.subject.as_deref(),
                    tenant = fields.tenant.as_deref(),
                    end_user = fields.end_user.as_deref(),
                    model = fields.model.as_deref(),
                    stream = fields.streaming,
                    prompt_tokens = fields.usage.input_tokens,
                    cached_tokens = fields.usage.cached_tokens,
                    completion_tokens = fields.usage.output_tokens,
                    queue_ms = fields.queued.map(milliseconds),
                    ttft_ms = fields.first_token.map(milliseconds),
                    total_ms = milliseconds(fields.started.elapsed()),
                    refused_by = fields.refused_by.as_deref(),
                    code = fields.code.as_deref(),
                    cause = fields.cause.as_deref(),
                    "request"
                )
            };
        }
        if fields.cause.is_some() {
            line!(error);
        } else {
            line!(info);
        }
    }
}

/// Milliseconds with a microsecond's resolution.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn is_standard(method: &Method) -> bool {
    const STANDARD: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::PATCH,
        Method::TRACE,
    ];
    STANDARD.contains(method)
}
