//! Why a token is no good.

use std::borrow::Cow;

use mlx_gate_plugin::Denial;

/// RFC 6750 section 3.
pub(crate) const CHALLENGE: &str = r#"Bearer realm="mlx-gate""#;

/// A code for programs and a text for people, which says nothing that the token alone knows.
pub(crate) struct Refusal {
    code: &'static str,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn wrong_issuer() -> Self {
        Self::new("wrong_issuer", "the token's `iss` is no issuer that is trusted here")
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_token", message)
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::unauthorized(refusal.code, refusal.message)
            .with_challenge(format!(r#"{CHALLENGE}, error="invalid_token""#))
    }
}
