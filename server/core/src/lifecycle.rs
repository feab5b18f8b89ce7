use std::net::IpAddr;
use std::sync::Arc;

use crate::{BoxFuture, Dialect, Principal, Secret};

/// The gate: decides about every request. Implementations fail closed.
pub trait Lifecycle: Send + Sync {
    /// Opens the passage of one request. It pins the plugins in force now, so that a swap in between changes nothing for
    /// a request already admitted.
    fn begin(&self) -> Box<dyn Passage>;

    /// Names of the headers that carry credentials, lower case. They are taken out of a request before anything behind
    /// the gate sees it.
    fn credential_headers(&self) -> Vec<String>;

    /// Whether any plugin authenticates. Without one every caller is anonymous.
    fn authenticates(&self) -> bool;
}

/// One request's way through the gate.
pub trait Passage: Send {
    /// Says who is asking, before the body is read. `None` is an anonymous caller, and only comes where no plugin
    /// authenticates.
    fn authenticate<'a>(
        &'a mut self,
        head: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>>;
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
    /// Address of the peer.
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
