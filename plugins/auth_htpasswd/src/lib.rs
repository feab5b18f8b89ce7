//! Authenticates callers by user name and password (RFC 7617), from files that Apache's `htpasswd` writes.

mod attempts;
mod config;
mod hash;
mod passwd;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlx_gate_plugin::authenticate::{Authenticate, Grant, Verdict};
use mlx_gate_plugin::{Denial, Description, Plugin, Principal, Rejected, RequestHead, crypto};

use attempts::Attempts;
pub use config::Config;
use passwd::User;

/// The plugin: its users, sorted by name, and what it says to all of them.
pub struct Htpasswd {
    users: Vec<User>,
    tenant: Option<String>,
    challenge: String,
    cache_for_ms: Option<u64>,
    attempts: Attempts,
}

impl Plugin for Htpasswd {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "auth_htpasswd",
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

impl Authenticate for Htpasswd {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        let Some(encoded) = head.authorization("basic") else {
            return Verdict::Abstain(Some(self.challenge.clone()));
        };
        if head.credential("x-api-key").is_some() {
            return Verdict::Deny(Denial::conflicting_credentials());
        }
        let Some((name, password)) = decode(encoded) else {
            return self.deny(
                "malformed_credentials",
                "`Basic` is followed by the base64 of USER:PASSWORD in UTF-8",
            );
        };
        let attempt = match self.attempts.by(head.peer.as_deref(), &name) {
            Ok(attempt) => attempt,
            Err(wait_ms) => return too_many(wait_ms),
        };
        match self.user(&name, &password) {
            Some(user) => {
                attempt.succeeded();
                Verdict::Allow(Grant { principal: self.principal(user), cache_for_ms: self.cache_for_ms })
            }
            None => self.deny("invalid_credentials", "no user of this name has this password"),
        }
    }
}

impl Htpasswd {
    /// The user whose name and password these are.
    ///
    /// For a name that is not in the file somebody's hash is computed all the same, and does not count. It is always the same
    /// one for the same name, so that a stranger's answer takes as long as a user's, whatever kinds of hashes the file mixes.
    fn user(&self, name: &str, password: &str) -> Option<&User> {
        let [a, b, c, d, ..] = crypto::sha256(name.as_bytes());
        let stand_in = u32::from_le_bytes([a, b, c, d]) as usize % self.users.len().max(1);
        let found = self.users.binary_search_by(|user| user.name.as_str().cmp(name));
        let user = self.users.get(found.unwrap_or(stand_in))?;
        // Neither of the two is an answer for the caller: the host makes a 503 of a panic, and writes it down.
        let fits = crypto::verify_password(&user.hash, password).unwrap_or_else(|error| {
            panic!("the password of user `{}` cannot be checked: {error:?}", user.name)
        });
        (fits && found.is_ok()).then_some(user)
    }

    fn principal(&self, user: &User) -> Principal {
        Principal {
            tenant: self.tenant.clone(),
            roles: user.roles.clone(),
            ..Principal::new(user.name.as_str())
        }
    }

    fn deny(&self, code: &str, message: &str) -> Verdict {
        Verdict::Deny(Denial::unauthorized(code, message).with_challenge(self.challenge.as_str()))
    }
}

/// Without a challenge: another password is not what is missing.
fn too_many(wait_ms: u64) -> Verdict {
    let message = "this address has sent too many wrong passwords; wait before you send another";
    Verdict::Deny(Denial::too_many_requests("too_many_attempts", message, wait_ms))
}

/// User name and password, split at the first colon: a password may have more of them (RFC 7617 section 2). Control
/// characters are in neither.
fn decode(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    (!text.contains(char::is_control)).then(|| (name.to_owned(), password.to_owned()))
}

mlx_gate_plugin::export!(Htpasswd: authenticate);
