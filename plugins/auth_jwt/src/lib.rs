//! Authenticates callers by JSON Web Tokens (RFC 7519), as RFC 8725 says it is to be done.

mod claims;
mod config;
mod issuer;
mod json;
mod keys;
mod refusal;
#[cfg(test)]
mod tests;
mod token;

use mlx_gate_plugin::authenticate::{Authenticate, Grant, Verdict};
use mlx_gate_plugin::{Denial, Description, Plugin, Principal, Rejected, RequestHead, host};

pub use config::Config;
use issuer::Issuer;
use refusal::{CHALLENGE, Refusal};
use token::Token;

/// The plugin: whose tokens are good here.
pub struct Jwt {
    issuers: Vec<Issuer>,
    cache_for_ms: Option<u64>,
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
        match self.principal(token) {
            Ok(principal) => Verdict::Allow(Grant { principal, cache_for_ms: self.cache_for_ms }),
            Err(refusal) => Verdict::Deny(refusal.into()),
        }
    }
}

impl Jwt {
    fn principal(&self, token: &str) -> Result<Principal, Refusal> {
        let token = Token::read(token)?;
        let issuer = self.issuer(&token)?;
        let claims = issuer.verified(&token)?;
        issuer.rules.principal(&claims, host::now_ms())
    }

    /// Whose token it may be. Of several issuers the one it names, whose keys and rules then decide: what it names before its
    /// signature has been checked is a question, not an answer.
    fn issuer(&self, token: &Token) -> Result<&Issuer, Refusal> {
        if let [only] = &self.issuers[..] {
            return Ok(only);
        }
        let claims = token.claims()?;
        let named = claims.get("iss").and_then(serde_json::Value::as_str);
        let issuer = self.issuers.iter().find(|issuer| Some(issuer.rules.issuer.as_str()) == named);
        issuer.ok_or_else(Refusal::wrong_issuer)
    }
}

mlx_gate_plugin::export!(Jwt: authenticate);
