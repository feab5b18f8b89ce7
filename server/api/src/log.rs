//! One line for each request, written when its answer has ended or its client is gone.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Method, StatusCode};
use mlx_gate_core::{Admission, Dialect, Ended, Event, Outcome, Passage, Principal, Priority, Tags, Usage};
use tokio::time::Instant;

use crate::App;
use crate::error::{self, Answer};
use crate::peer::Origin;
use crate::routes::Route;

/// Status written for a client that left before it was answered, as nginx does; it is never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What is known so far about a request. Clones share it.
#[derive(Clone)]
pub(crate) struct Record(Arc<Mutex<Fields>>);

/// Ends the passage through the gate, counts the request and writes its line when dropped.
pub(crate) struct Closing {
    record: Record,
    app: App,
}

struct Fields {
    id: String,
    method: String,
    /// The route's template, so that ids in paths do not end up in the log. `None` where no route matched.
    route: Option<&'static str>,
    api: Option<&'static str>,
    dialect: Dialect,
    started: Instant,
    started_at: SystemTime,
    /// `None` where the request did not come as far as the gate.
    passage: Option<Arc<dyn Passage>>,
    peer: Option<IpAddr>,
    status: Option<StatusCode>,
    subject: Option<String>,
    tenant: Option<String>,
    /// Whom the client says it asks for, `user` in OpenAI's API. Unverified.
    end_user: Option<String>,
    model: Option<String>,
    streaming: bool,
    /// What the rate limiters want the response to say.
    admission: HeaderMap,
    priority: Option<Priority>,
    adapter: Option<String>,
    labels: String,
    /// The engine took it, or it was answered without one.
    ran: bool,
    /// What each choice consumed. Where an answer was broken off, its tokens are the pieces the device made of it, which
    /// are a few less.
    choices: Vec<Usage>,
    /// Choices that have not ended.
    running: usize,
    queued: Option<Duration>,
    first_token: Option<Duration>,
    outcome: Option<Outcome>,
    refused_by: Option<String>,
    code: Option<String>,
    cause: Option<String>,
}

impl Record {
    pub(crate) fn open(
        id: &str,
        method: &Method,
        route: Option<&'static Route>,
        dialect: Dialect,
        started: Instant,
    ) -> Self {
        Self(Arc::new(Mutex::new(Fields {
            id: id.to_owned(),
            // An unknown method is the client's free text, and has no place in a log.
            method: if is_standard(method) { method.to_string() } else { "other".to_owned() },
            route: route.map(|route| route.path),
            api: route.map(|route| route.api.as_str()),
            dialect,
            started,
            started_at: SystemTime::now(),
            passage: None,
            peer: None,
            status: None,
            subject: None,
            tenant: None,
            end_user: None,
            model: None,
            streaming: false,
            admission: HeaderMap::new(),
            priority: None,
            adapter: None,
            labels: String::new(),
            ran: false,
            choices: Vec::new(),
            running: 0,
            queued: None,
            first_token: None,
            outcome: None,
            refused_by: None,
            code: None,
            cause: None,
        })))
    }

    /// The request's id.
    pub(crate) fn id(&self) -> String {
        self.fields().id.clone()
    }

    /// The request came to the gate.
    pub(crate) fn began(&self, passage: Arc<dyn Passage>, origin: Option<Origin>) {
        let mut fields = self.fields();
        fields.passage = Some(passage);
        fields.peer = origin.and_then(|origin| origin.client);
    }

    /// The gate let the caller in.
    pub(crate) fn entered(&self, principal: &Principal) {
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

    /// The model has seen the prompt.
    pub(crate) fn prepared(&self, model: &str) {
        self.fields().model = Some(model.to_owned());
    }

    /// The rate limiters let the request pass.
    pub(crate) fn admitted(&self, admission: &Admission) {
        self.fields().admission = error::from_plugins(&admission.headers);
    }

    /// Headers that the response has to carry, however the request ends.
    pub(crate) fn admission_headers(&self) -> HeaderMap {
        std::mem::take(&mut self.fields().admission)
    }

    /// The taggers have spoken.
    pub(crate) fn tagged(&self, tags: &Tags) {
        let mut fields = self.fields();
        fields.tenant.clone_from(&tags.tenant);
        fields.adapter.clone_from(&tags.adapter);
        fields.priority = Some(tags.priority);
        for (name, value) in &tags.labels {
            let separator = if fields.labels.is_empty() { "" } else { " " };
            // Writing to a string cannot fail. Quotes keep a value with spaces in one piece.
            let _ = write!(fields.labels, "{separator}{name}={value:?}");
        }
    }

    /// The engine takes it. `input_tokens` has one entry for each choice: the prompt tokens it is charged with, 0 where
    /// another choice of the same prompt pays.
    pub(crate) fn queued(&self, input_tokens: Vec<u32>) {
        let choice = |input_tokens| Usage { input_tokens, ..Usage::default() };
        let mut fields = self.fields();
        fields.ran = true;
        fields.running = input_tokens.len();
        fields.choices = input_tokens.into_iter().map(choice).collect();
    }

    /// What has been consumed so far, all choices together.
    pub(crate) fn usage(&self) -> Usage {
        self.fields().usage()
    }

    /// It is carried out, and this is the answer.
    pub(crate) fn answering(&self) {
        self.fields().ran = true;
    }

    /// The engine said something.
    pub(crate) fn heard(&self, choice: u32, event: &Event) {
        let mut fields = self.fields();
        fields.consumed(choice, event);
        match event {
            Event::Started { queued } => fields.queued = fields.queued.or(Some(*queued)),
            Event::Text(_) | Event::Reasoning(_) | Event::ToolCall(_) => {
                if fields.first_token.is_none() {
                    fields.first_token = Some(fields.started.elapsed());
                }
            }
            Event::Finished(finished) => {
                fields.running = fields.running.saturating_sub(1);
                if fields.running == 0 {
                    fields.outcome = Some(Outcome::Finished(finished.reason));
                }
            }
            Event::PromptLogprobs(_) | Event::Tokens(_) | Event::Logprobs(_) | Event::Failed(_) => {}
        }
    }

    /// The engine said something that nobody came to hear.
    pub(crate) fn unread(&self, choice: u32, event: &Event) {
        self.fields().consumed(choice, event);
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
    pub(crate) const fn new(record: Record, app: App) -> Self {
        Self { record, app }
    }
}

impl Fields {
    fn consumed(&mut self, choice: u32, event: &Event) {
        let Some(usage) = self.choices.get_mut(choice as usize) else { return };
        match event {
            Event::Text(_) | Event::ToolCall(_) => usage.output_tokens += 1,
            Event::Reasoning(_) => {
                usage.output_tokens += 1;
                usage.reasoning_tokens += 1;
            }
            // The prompt is paid for by one of its choices, and so is what of it was cached.
            Event::Finished(finished) if usage.input_tokens == 0 => {
                *usage = Usage { input_tokens: 0, cached_tokens: 0, ..finished.usage };
            }
            Event::Finished(finished) => *usage = finished.usage,
            Event::Started { .. }
            | Event::PromptLogprobs(_)
            | Event::Tokens(_)
            | Event::Logprobs(_)
            | Event::Failed(_) => {}
        }
    }

    fn usage(&self) -> Usage {
        self.choices.iter().fold(Usage::default(), |sum, choice| Usage {
            input_tokens: sum.input_tokens.saturating_add(choice.input_tokens),
            cached_tokens: sum.cached_tokens.saturating_add(choice.cached_tokens),
            output_tokens: sum.output_tokens.saturating_add(choice.output_tokens),
            reasoning_tokens: sum.reasoning_tokens.saturating_add(choice.reasoning_tokens),
        })
    }

    fn ended(&self) -> Ended {
        Ended {
            id: self.id.clone(),
            method: self.method.clone(),
            route: self.route,
            dialect: self.dialect,
            peer: self.peer,
            ran: self.ran,
            usage: self.usage(),
            status: self.status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16()),
            outcome: self.outcome.unwrap_or(Outcome::Cancelled),
            code: self.code.clone(),
            refused_by: self.refused_by.clone(),
            started_at: self.started_at,
            queued: self.queued.unwrap_or_default(),
            first_token: self.first_token,
            total: self.started.elapsed(),
        }
    }

    fn write(&self, ended: &Ended) {
        // `Option`s that are `None` leave their key out of the line.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "mlx_gate::request",
                    id = %ended.id,
                    method = %ended.method,
                    route = ended.route,
                    api = self.api,
                    peer = ended.peer.map(tracing::field::display),
                    status = ended.status,
                    outcome = ended.outcome.as_str(),
                    principal = self.subject.as_deref(),
                    tenant = self.tenant.as_deref(),
                    end_user = self.end_user.as_deref(),
                    model = self.model.as_deref(),
                    adapter = self.adapter.as_deref(),
                    stream = self.streaming,
                    prompt_tokens = ended.usage.input_tokens,
                    cached_tokens = ended.usage.cached_tokens,
                    completion_tokens = ended.usage.output_tokens,
                    queue_ms = self.queued.map(milliseconds),
                    ttft_ms = ended.first_token.map(milliseconds),
                    total_ms = milliseconds(ended.total),
                    priority = self.priority.map(Priority::as_str),
                    labels = Some(self.labels.as_str()).filter(|labels| !labels.is_empty()),
                    generation = self.passage.as_ref().map(|passage| passage.generation()),
                    refused_by = ended.refused_by.as_deref(),
                    code = ended.code.as_deref(),
                    cause = self.cause.as_deref(),
                    "request"
                )
            };
        }
        if self.cause.is_some() {
            line!(error);
        } else {
            line!(info);
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let fields = self.record.fields();
        let ended = fields.ended();
        fields.write(&ended);
        self.app.counters().count(&ended);
        if let Some(passage) = &fields.passage {
            passage.finish(ended);
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
