//! Everything that can end a request other than its answer, and the one place where each becomes a status.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use mlx_gate_core::{Denial, Dialect, EngineError, Phase, Refusal};

use crate::log::Record;
use crate::{anthropic, openai};

/// In what codings a body may come.
const CODINGS: &str = "gzip, br";

/// Why a request is not answered. Texts here are shown to clients; causes are only logged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no such route; this server has {routes}", routes = known_routes())]
    UnknownRoute,
    #[error("this route exists, but not with this method; see the `allow` header")]
    MethodNotAllowed,
    #[error("the content-type is {found}; send `content-type: application/json`")]
    ContentType { found: String },
    #[error(
        "nobody has to say who they are here, so only `localhost`, addresses and private names are taken in `Host`: a web page may have sent this"
    )]
    WrongHost,
    #[error(
        "the request body holds more arrays, objects and values than fit into {limit} bytes of this server's memory"
    )]
    BodyTooManyValues { limit: usize },
    #[error("the content-encoding is `{found}`; send the body as it is, or in one of {CODINGS}")]
    ContentEncoding { found: String },
    #[error(
        "the request body cannot be decoded: it is not what its content-encoding says, or not all of it is there"
    )]
    BodyNotDecoded,
    #[error("the request body is larger than this server's limit of {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive within {} s", .limit.as_secs_f64())]
    BodyTimeout { limit: Duration },
    #[error("the request body could not be read to its end")]
    BodyBroken,
    #[error("the request body is not valid JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// `param` is the path of the field at fault, `messages[0].role` for instance; empty for the body as a whole.
    #[error("{message}")]
    Field { param: String, code: &'static str, message: String },
    #[error("the request was refused")]
    Refused(Box<Refusal>),
    #[error("the credential expired before the answer was complete")]
    CredentialExpired,
    #[error("the model `{model}` may not be used with this credential", model = clipped(model))]
    ModelNotAllowed { model: String },
    #[error("the adapter `{adapter}` may not be used with this credential", adapter = clipped(adapter))]
    AdapterNotAllowed { adapter: String },
    #[error("nothing may be generated with this credential")]
    NothingAllowed,
    /// `field` is where the dialect's request holds the prompt.
    #[error("{source}")]
    PromptTooLong { field: &'static str, source: EngineError },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the answer was not complete within this server's limit of {} s", .limit.as_secs_f64())]
    TimedOut { limit: Duration },
    #[error("the server made a mistake; its log has more under this request's id")]
    Panicked,
}

/// The classes every dialect has a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidRequest,
    Authentication,
    Permission,
    RateLimit,
    Server,
}

/// An error as a client is told it, in no dialect yet.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: Kind,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    /// The field at fault.
    pub(crate) param: Option<Cow<'static, str>>,
    pub(crate) headers: HeaderMap,
    /// `phase/plugin` that refused; for the log.
    pub(crate) refused_by: Option<String>,
    /// What happened; for the log only.
    pub(crate) cause: Option<String>,
}

impl Error {
    /// The error in a dialect's shape, noted in the request's record.
    pub(crate) fn into_response(self, dialect: Dialect, record: &Record) -> Response {
        let answer = self.into_answer();
        record.failed(&answer);
        match dialect {
            Dialect::Anthropic => anthropic::error::response(answer, &record.id()),
            Dialect::OpenAi | Dialect::Admin => openai::error::response(answer),
        }
    }

    pub(crate) fn into_answer(self) -> Answer {
        let message = self.to_string();
        let invalid = |status, code| Answer::new(status, Kind::InvalidRequest, code, message.clone());
        match self {
            Self::UnknownRoute => invalid(StatusCode::NOT_FOUND, "unknown_url"),
            Self::MethodNotAllowed => invalid(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ContentType { .. } => {
                invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type")
            }
            Self::WrongHost => invalid(StatusCode::MISDIRECTED_REQUEST, "wrong_host"),
            Self::BodyTooLarge { .. } | Self::BodyTooManyValues { .. } => {
                invalid(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large")
            }
            Self::ContentEncoding { .. } => {
                invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding")
                    // RFC 9110, section 15.5.16.
                    .with(ACCEPT_ENCODING, HeaderValue::from_static(CODINGS))
            }
            Self::BodyNotDecoded => invalid(StatusCode::BAD_REQUEST, "invalid_content_encoding"),
            Self::BodyTimeout { .. } => invalid(StatusCode::REQUEST_TIMEOUT, "body_timeout").closing(),
            Self::BodyBroken => invalid(StatusCode::BAD_REQUEST, "incomplete_body").closing(),
            Self::NotJson(_) => invalid(StatusCode::BAD_REQUEST, "invalid_json"),
            Self::Field { param, code, .. } => {
                // The body as a whole has no name.
                let param = Some(param.into()).filter(|param: &Cow<'_, str>| !param.is_empty());
                Answer { param, ..invalid(StatusCode::BAD_REQUEST, code) }
            }
            Self::Refused(refusal) => refused(*refusal),
            Self::CredentialExpired => with_some_challenge(Answer {
                refused_by: Some(Phase::Authenticate.as_str().to_owned()),
                ..Answer::new(StatusCode::UNAUTHORIZED, Kind::Authentication, "credential_expired", message)
            }),
            Self::ModelNotAllowed { .. } => not_allowed("model_not_allowed", Some("model"), message),
            Self::AdapterNotAllowed { .. } => not_allowed("adapter_not_allowed", Some("adapter"), message),
            Self::NothingAllowed => not_allowed("output_not_allowed", None, message),
            Self::PromptTooLong { field, .. } => Answer {
                param: Some(field.into()),
                ..invalid(StatusCode::BAD_REQUEST, "context_length_exceeded")
            },
            Self::Engine(error) => engine(error),
            Self::TimedOut { .. } => {
                Answer::new(StatusCode::GATEWAY_TIMEOUT, Kind::Server, "request_timeout", message)
                    // OpenAI's clients repeat a 504 unless told otherwise, and the same request would take as long again.
                    .with(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"))
            }
            Self::Panicked => Answer {
                cause: Some("a handler panicked".to_owned()),
                ..Answer::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Server, "internal_error", message)
            },
        }
    }
}

impl Answer {
    fn new(
        status: StatusCode,
        kind: Kind,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            kind,
            code: code.into(),
            message: message.into(),
            param: None,
            headers: HeaderMap::new(),
            refused_by: None,
            cause: None,
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.with(RETRY_AFTER, seconds.into())
    }

    /// The connection is of no further use: what follows on it would be the rest of a body.
    fn closing(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }
}

fn known_routes() -> String {
    let routes = crate::routes::ROUTES.iter().map(|route| format!("{} {}", route.method, route.path));
    routes.collect::<Vec<_>>().join(", ")
}

/// What the authorizers' bounds leave no room for.
fn not_allowed(code: &'static str, param: Option<&'static str>, message: String) -> Answer {
    Answer {
        param: param.map(Cow::Borrowed),
        refused_by: Some(Phase::Authorize.as_str().to_owned()),
        ..Answer::new(StatusCode::FORBIDDEN, Kind::Permission, code, message)
    }
}

fn engine(error: EngineError) -> Answer {
    let message = error.to_string();
    let invalid = |code, param: &'static str| Answer {
        param: Some(param.into()),
        ..Answer::new(StatusCode::BAD_REQUEST, Kind::InvalidRequest, code, message.clone())
    };
    let unavailable =
        |code| Answer::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Server, code, message.clone());
    match error {
        EngineError::UnknownModel(_) => {
            Answer { status: StatusCode::NOT_FOUND, ..invalid("model_not_found", "model") }
        }
        EngineError::UnknownAdapter(_) => {
            Answer { status: StatusCode::NOT_FOUND, ..invalid("adapter_not_found", "adapter") }
        }
        EngineError::InvalidRequest { field, .. } => invalid("invalid_value", field),
        EngineError::PromptTooLong { .. } => invalid("context_length_exceeded", "prompt"),
        EngineError::InputTooLong { .. } => invalid("context_length_exceeded", "input"),
        EngineError::UnsuitedModel { .. } => invalid("unsupported_model", "model"),
        EngineError::Overloaded { .. } => unavailable("server_overloaded").retry_after(1),
        EngineError::ShuttingDown => unavailable("server_shutting_down").retry_after(5).closing(),
        EngineError::Internal(cause) => Answer {
            cause: Some(cause),
            ..Answer::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Kind::Server,
                "internal_error",
                "the server failed to answer; its log has more under this request's id",
            )
        },
    }
}

fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unauthenticated { challenges } => {
            let speaks_of = |scheme: &str| {
                let mut schemes = challenges.iter().filter_map(|challenge| challenge.split(' ').next());
                schemes.any(|given| given.eq_ignore_ascii_case(scheme))
            };
            let message = match (speaks_of("bearer"), speaks_of("basic")) {
                (true, false) => "no valid credential was given; send `Authorization: Bearer <key>`",
                (false, true) => {
                    "no valid credential was given; send a user name and a password (`Authorization: Basic`)"
                }
                (true, true) => {
                    "no valid credential was given; send `Authorization: Bearer <key>`, or a user name and a password"
                }
                (false, false) => "no valid credential was given",
            };
            let mut answer =
                Answer::new(StatusCode::UNAUTHORIZED, Kind::Authentication, "invalid_api_key", message);
            for challenge in &challenges {
                challenge_with(&mut answer, challenge);
            }
            with_some_challenge(Answer {
                refused_by: Some(Phase::Authenticate.as_str().to_owned()),
                ..answer
            })
        }
        Refusal::AmbiguousCredentials { message } => Answer {
            refused_by: Some(Phase::Authenticate.as_str().to_owned()),
            ..Answer::new(StatusCode::BAD_REQUEST, Kind::InvalidRequest, "ambiguous_credentials", message)
        },
        Refusal::NotAllowed => Answer {
            refused_by: Some(Phase::Authorize.as_str().to_owned()),
            ..Answer::new(
                StatusCode::FORBIDDEN,
                Kind::Permission,
                "permission_denied",
                "this credential does not allow what was asked for",
            )
        },
        Refusal::Denied { plugin, phase, denial } => denied(&plugin, phase, denial),
        Refusal::Unavailable { plugin, phase, cause } => unavailable(&plugin, phase, cause),
    }
}

/// A plugin's own words, as far as they make a response.
fn denied(plugin: &str, phase: Phase, denial: Denial) -> Answer {
    let status = match StatusCode::from_u16(denial.status) {
        Ok(status) if status.is_client_error() => status,
        _ => return unavailable(plugin, phase, format!("denied with status {}", denial.status)),
    };
    let (kind, code) = match status {
        StatusCode::UNAUTHORIZED => (Kind::Authentication, "invalid_api_key"),
        StatusCode::FORBIDDEN => (Kind::Permission, "permission_denied"),
        StatusCode::TOO_MANY_REQUESTS => (Kind::RateLimit, "rate_limit_exceeded"),
        _ => (Kind::InvalidRequest, "request_denied"),
    };
    let mut answer = Answer::new(status, kind, code, denial.message);
    answer.refused_by = Some(format!("{}/{plugin}", phase.as_str()));
    if !denial.code.is_empty() {
        answer.code = denial.code.into();
    }
    if answer.message.is_empty() {
        answer.message = "the request was refused".into();
    }
    answer.headers.extend(from_plugins(&denial.headers));
    if let Some(challenge) = &denial.challenge {
        challenge_with(&mut answer, challenge);
    }
    if let Some(milliseconds) = denial.retry_after_ms {
        // The header counts whole seconds; rounding down would ask for a retry that is refused again.
        answer.headers.insert(RETRY_AFTER, milliseconds.div_ceil(1000).into());
    }
    if status == StatusCode::UNAUTHORIZED { with_some_challenge(answer) } else { answer }
}

fn unavailable(plugin: &str, phase: Phase, cause: String) -> Answer {
    Answer {
        refused_by: Some(format!("{}/{plugin}", phase.as_str())),
        cause: Some(cause),
        ..Answer::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Kind::Server,
            "plugin_unavailable",
            "the request could not be checked; try again",
        )
    }
}

/// Adds a challenge; one that is no header value is left out.
fn challenge_with(answer: &mut Answer, challenge: &str) {
    if let Ok(value) = HeaderValue::from_str(challenge) {
        answer.headers.append(WWW_AUTHENTICATE, value);
    }
}

/// A 401 has at least one challenge (RFC 9110, section 15.5.2).
fn with_some_challenge(answer: Answer) -> Answer {
    if answer.headers.contains_key(WWW_AUTHENTICATE) {
        answer
    } else {
        answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}

/// Response headers as plugins word them; what is no header, or none of theirs, is left out.
pub(crate) fn from_plugins(headers: &[(String, String)]) -> HeaderMap {
    let read = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(may_be_set_by_plugins)?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().filter_map(read) {
        map.append(name, value);
    }
    map
}

/// Headers that frame the message or that the server sets itself would let a plugin break the connection or lie about
/// the body.
fn may_be_set_by_plugins(name: &HeaderName) -> bool {
    const OURS: [&str; 8] =
        ["connection", "date", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "x-request-id"];
    !OURS.contains(&name.as_str()) && !name.as_str().starts_with("content-")
}

/// The beginning of a text, with nothing in it that would disturb a terminal.
pub(crate) fn clipped(text: &str) -> String {
    const MOST: usize = 64;
    let mut out = String::new();
    for character in text.chars().take(MOST) {
        // Writing to a string cannot fail.
        let _ = match character {
            plain if !plain.is_control() => write!(out, "{plain}"),
            control => write!(out, "{}", control.escape_default()),
        };
    }
    if text.chars().nth(MOST).is_some() {
        out.push_str("...");
    }
    out
}
