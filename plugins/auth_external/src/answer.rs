//! What the server's answer means.

use mlx_gate_plugin::authenticate::{Grant, Verdict};
use mlx_gate_plugin::http::Response;
use mlx_gate_plugin::{Denial, Principal, host};
use serde_json::Value;

use crate::External;
use crate::source::Document;

/// Longer answers are none. That of a login page would be one.
const LONGEST_BODY: usize = 64 * 1024;

/// What the host takes as a challenge.
const LONGEST_CHALLENGE: usize = 2048;

impl External {
    /// 2xx is a yes, 401 and 403 are a no. Anything else is no answer, and an error says why.
    pub(crate) fn verdict(&self, response: &Response) -> Result<Verdict, String> {
        match response.status {
            200..=299 => self.grant(response).map(Verdict::Allow),
            401 => Ok(Verdict::Deny(Denial {
                challenge: challenge(response).or_else(|| self.challenge.clone()),
                ..Denial::unauthorized(
                    "invalid_credentials",
                    "the authentication server does not accept this credential",
                )
            })),
            403 => Ok(Verdict::Deny(Denial::forbidden(
                "access_denied",
                "the authentication server knows this caller and refuses the request",
            ))),
            status => Err(format!("has status {status}; 2xx is a yes, 401 and 403 are a no")),
        }
    }

    fn grant(&self, response: &Response) -> Result<Grant, String> {
        let document = self.document(response)?;
        let subject = self
            .sources
            .subject
            .text(&document)?
            .ok_or_else(|| format!("is a yes without a name: nothing is at {}", self.sources.subject))?;
        let principal = Principal {
            tenant: self.sources.tenant.text(&document)?,
            roles: self.sources.roles.list(&document)?,
            scopes: self.sources.scopes.list(&document)?,
            expires_at: self.sources.expires.unix_ms(&document)?,
            claims: self.sources.claims(&document)?,
            ..Principal::new(subject)
        };
        if principal.expires_at.is_some_and(|end| end <= host::now_ms()) {
            return Err("is a yes that has expired".to_owned());
        }
        let cache_for_ms =
            max_age_ms(response).map(|age| age.min(self.most_cache_ms)).filter(|time| *time > 0);
        Ok(Grant { principal, cache_for_ms })
    }

    /// The body is read only where an option asks for something in it.
    fn document<'r>(&self, response: &'r Response) -> Result<Document<'r>, String> {
        if !self.sources.need_body() {
            return Ok(Document { response, body: Value::Null });
        }
        if response.body.len() > LONGEST_BODY {
            return Err(format!("is longer than {LONGEST_BODY} bytes"));
        }
        let body = serde_json::from_slice(&response.body).map_err(|_| "is not JSON".to_owned())?;
        Ok(Document { response, body })
    }
}

fn challenge(response: &Response) -> Option<String> {
    let challenge = response.header("www-authenticate")?;
    let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (challenge.len() <= LONGEST_CHALLENGE && challenge.bytes().all(fits)).then(|| challenge.to_owned())
}

/// How long the answer may be reused (RFC 9111 section 5.2.2), in milliseconds. Where the server says nothing, not at all.
fn max_age_ms(response: &Response) -> Option<u64> {
    let directives = response.header("cache-control")?.split(',').map(str::trim);
    let directives: Vec<_> = directives.map(str::to_ascii_lowercase).collect();
    if directives.iter().any(|directive| directive == "no-store" || directive.starts_with("no-cache")) {
        return None;
    }
    let age = directives.iter().find_map(|directive| directive.strip_prefix("max-age="))?;
    let age: u64 = age.trim_matches('"').parse().ok()?;
    Some(age.saturating_mul(1000))
}
