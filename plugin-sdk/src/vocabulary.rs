//! Shorthand for the types of the WIT package.

use crate::{Constraints, Denial, Principal, RequestHead, Tags, Usage};

impl RequestHead {
    /// The value of a declared credential header. The host refuses a request that repeats one.
    pub fn credential(&self, name: &str) -> Option<&str> {
        value(&self.credentials, name)
    }

    /// The first value of another declared header.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    /// What follows the scheme in `Authorization`, where it is this one: the token of `Bearer <token>`, say. Schemes are
    /// case-insensitive (RFC 9110 section 11.1). The plugin has to declare `authorization` as a credential header.
    pub fn authorization(&self, scheme: &str) -> Option<&str> {
        let given = self.credential("authorization")?.trim();
        let (name, rest) = given.split_once(' ').unwrap_or((given, ""));
        name.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }
}

/// The first value of this name.
pub(crate) fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

impl Principal {
    /// A caller with a name and nothing more.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            tenant: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            expires_at: None,
            claims: Vec::new(),
        }
    }
}

impl Denial {
    /// A refusal with a status from 400 to 499, a code of lower case letters, digits and `_`, and a text for people.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            challenge: None,
            retry_after_ms: None,
            headers: Vec::new(),
        }
    }

    /// 401: the credential is no good.
    pub fn unauthorized(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(401, code, message)
    }

    /// 403: the caller is known and may not.
    pub fn forbidden(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(403, code, message)
    }

    /// 400: `Authorization` and `x-api-key` disagree. Behind another server that reads the other one, the same request would be
    /// somebody else's.
    pub fn conflicting_credentials() -> Self {
        Self::new(
            400,
            "conflicting_credentials",
            "`Authorization` and `x-api-key` carry different credentials; send one of them",
        )
    }

    /// 429: not now, but after so many milliseconds.
    pub fn too_many_requests(
        code: impl Into<String>,
        message: impl Into<String>,
        retry_after_ms: u64,
    ) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(429, code, message) }
    }

    /// Sets the value for `WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }
}

/// No limits.
impl Default for Constraints {
    fn default() -> Self {
        Self { max_output_tokens: None, model: None, models: None, adapters: None }
    }
}

/// Everything left to others.
impl Default for Tags {
    fn default() -> Self {
        Self {
            tenant: None,
            priority: None,
            weight: None,
            adapter: None,
            cache_scope: None,
            labels: Vec::new(),
            upstream_headers: Vec::new(),
        }
    }
}

/// Nothing.
impl Default for Usage {
    fn default() -> Self {
        Self { input_tokens: 0, cached_tokens: 0, output_tokens: 0, reasoning_tokens: 0 }
    }
}
