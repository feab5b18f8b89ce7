//! Authenticates callers by JSON Web Tokens (RFC 7519), as RFC 8725 says it is to be done.

mod claims;
mod config;
mod json;
mod keys;
mod refusal;
#[cfg(test)]
mod tests;
mod token;

use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
use mlx_gate_plugin::{Denial, Description, Plugin, Rejected, RequestHead, host};

use claims::Rules;
pub use config::Config;
use keys::Key;
use refusal::CHALLENGE;

/// The plugin: the issuer's keys, and what is asked of a token.
pub struct Jwt {
    keys: Vec<Key>,
    typ: Option<String>,
    rules: Rules,
}

impl Plugin for Jwt {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "auth_jwt",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &["authorization", "x-api-key"],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }
}

impl Authenticate for Jwt {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        // What has fewer than two dots is a key of another plugin's, maybe of one that is asked after this one.
        let token = head.authorization("bearer").filter(|token| token.matches('.').count() >= 2);
        let Some(token) = token else {
            return Verdict::Abstain(Some(CHALLENGE.to_owned()));
        };
        if head.credential("x-api-key").is_some_and(|key| key.trim() != token) {
            return Verdict::Deny(Denial::conflicting_credentials());
        }
        let claims = token::verified(token, &self.keys, self.typ.as_deref());
        match claims.and_then(|claims| self.rules.principal(&claims, host::now_ms())) {
            Ok(principal) => Verdict::allow(principal),
            Err(refusal) => Verdict::Deny(refusal.into()),
        }
    }
}

mlx_gate_plugin::export!(Jwt: authenticate);
