//! Shorthand for the types of the WIT package.

use crate::{Denial, Principal, RequestHead};

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

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
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

    /// Sets the value for `WWW-Authenticate`.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }
}
