use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{BoxFuture, Constraints, Dialect, FinishReason, Operation, Principal, Secret, Tags, Usage};

/// The gate: decides about every request. Implementations fail closed.
pub trait Lifecycle: Send + Sync {
    /// Opens the passage of one request. It pins the plugins in force now, so that a swap in between changes nothing for
    /// a request already admitted.
    fn begin(&self) -> Arc<dyn Passage>;

    /// Whether any plugin authenticates. Without one every caller is anonymous.
    fn authenticates(&self) -> bool;

    /// Waits until all that was reserved is settled and all that was to be logged is handed over. Call it when no request
    /// is in flight any more.
    fn drain(&self) -> BoxFuture<'_, ()>;
}

/// One request's way through the gate: the phases in their order, each at most once, then [`Passage::finish`]. A passage
/// that is dropped without it settles its reservations all the same.
pub trait Passage: Send + Sync {
    /// Number of the generation of plugins that decides about this request.
    fn generation(&self) -> u64;

    /// Whether any plugin of this generation authenticates.
    fn authenticates(&self) -> bool;

    /// Names of the headers that carry credentials, lower case. They are taken out of a request before anything behind
    /// the gate sees it.
    fn credential_headers(&self) -> &[String];

    /// Says who is asking, before the body is read. `None` is an anonymous caller, and only comes where no plugin
    /// authenticates.
    fn authenticate<'a>(
        &'a self,
        head: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>>;

    /// Says whether the caller may do this, and within which bounds. The model is in no bounds yet: whoever carries on
    /// checks the one it will use with [`Constraints::allows_model`].
    fn authorize<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Constraints, Refusal>>;

    /// Says whether the caller may do it now. What is reserved is settled when the passage ends.
    fn admit<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Admission, Refusal>>;

    /// Says on whose account it is done, and how urgent it is.
    fn tag<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Tags, Refusal>>;

    /// The request has ended, however it did. Returns at once; settling and logging go on in the background.
    fn finish(&self, ended: Ended);
}

/// Leave to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// Headers for the response, `x-ratelimit-*` for instance. Names are lower case.
    pub headers: Vec<(String, String)>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Unique id of the request.
    pub id: String,
    /// HTTP method.
    pub method: String,
    /// Template of the route, where there is one.
    pub route: Option<&'static str>,
    /// The client family the route serves.
    pub dialect: Dialect,
    /// Address of the peer, or of the client that a trusted proxy named.
    pub peer: Option<IpAddr>,
    /// Whether the engine took the request. Where it did not, nothing was consumed.
    pub ran: bool,
    /// What it consumed.
    pub usage: Usage,
    /// Status of the response.
    pub status: u16,
    /// How.
    pub outcome: Outcome,
    /// The error's code, where it ended with one.
    pub code: Option<String>,
    /// `phase/plugin` that refused, where one did.
    pub refused_by: Option<String>,
    /// When the head had been read.
    pub started_at: SystemTime,
    /// Time in the queue.
    pub queued: Duration,
    /// From the head to the first token.
    pub first_token: Option<Duration>,
    /// From the head to the end.
    pub total: Duration,
}

/// In one word, how a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered without generating.
    Ok,
    /// Generated to this end.
    Finished(FinishReason),
    /// The client left before the end.
    Cancelled,
    /// The gate said no.
    Denied,
    /// Something went wrong.
    Error,
}

impl Outcome {
    /// The name in logs, and in the WIT package's `completed.outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Finished(FinishReason::Stop) => "stop",
            Self::Finished(FinishReason::Length) => "length",
            Self::Finished(FinishReason::ToolCalls) => "tool-calls",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

/// The head of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// Unique id of the request, also the response's `x-request-id`.
    pub id: String,
    /// HTTP method, upper case.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The client family the route serves.
    pub dialect: Dialect,
    /// Address of the peer, or of the client that a trusted proxy named.
    pub peer: Option<IpAddr>,
    /// All headers in wire order, names lower case. Any value may be a credential, so all are kept as one: a plugin
    /// sees only those it declared.
    pub headers: Vec<(String, HeaderValue)>,
}

/// A header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// Readable.
    Text(Secret),
    /// Not UTF-8. A request whose credential is such is refused.
    NotUtf8,
}

/// The phases of a request's life in which plugins are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Who is asking.
    Authenticate,
    /// May they.
    Authorize,
    /// May they now.
    RateLimit,
    /// On whose account.
    Tag,
    /// What is written down.
    Log,
}

impl Phase {
    /// The name in messages, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::RateLimit => "rate-limit",
            Self::Tag => "tag",
            Self::Log => "log",
        }
    }
}

/// Why a request does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No authenticator knew the caller.
    Unauthenticated {
        /// Values for `WWW-Authenticate`, one for each plugin that gave one.
        challenges: Vec<String>,
    },
    /// The credentials contradict each other or cannot be read; no plugin was asked.
    AmbiguousCredentials {
        /// What is wrong, without any of the values.
        message: String,
    },
    /// Authorizers were asked, and none of them allowed it.
    NotAllowed,
    /// A plugin said no.
    Denied {
        /// Who.
        plugin: String,
        /// Where.
        phase: Phase,
        /// What the client is told.
        denial: Denial,
    },
    /// A plugin did not answer, or not sensibly. The request is refused, and it alone.
    Unavailable {
        /// Who.
        plugin: String,
        /// Where.
        phase: Phase,
        /// Why, for the log only.
        cause: String,
    },
}

/// A refusal as a plugin words it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// 400 to 499.
    pub status: u16,
    /// Stable machine-readable code.
    pub code: String,
    /// For people.
    pub message: String,
    /// Value for `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// Value for `Retry-After`, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Further response headers, `x-ratelimit-*` for instance.
    pub headers: Vec<(String, String)>,
}
