//! Authenticates callers by API keys that are known in advance. The keys are stored as SHA-256 hashes: they have 256 bits of
//! randomness, so a fast hash is all it takes, and nobody who reads the file can use it.

mod config;
mod expiry;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::authenticate::{Authenticate, Grant, Verdict};
use mlx_gate_plugin::{Denial, Description, Plugin, Principal, Rejected, RequestHead, crypto, host};

pub use config::Config;
use config::Unknown;

/// The plugin: its keys, sorted by digest, and what they stand for.
///
/// Names stand one after another, and keys share their accounts, so that all lies on few pages of memory: after every request
/// the host looks at each page it has ever seen used, which with ten thousand keys is most of what a request costs.
pub struct StaticKeys {
    keys: Vec<Key>,
    /// Each followed by [`StaticKeys::END_OF_NAME`].
    names: String,
    accounts: Vec<Account>,
    unknown: Unknown,
    cache_for_ms: Option<u64>,
}

/// One key.
struct Key {
    digest: [u8; 32],
    /// Where its name begins.
    name: u32,
    /// Index of its account.
    account: u32,
}

/// What any number of keys stand for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Account {
    tenant: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    expires_ms: Option<u64>,
}

impl Plugin for StaticKeys {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "auth_static_keys",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &["authorization", "x-api-key"],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        let plugin = config.resolve()?;
        let now_ms = host::now_ms();
        let expired = plugin.keys.iter().filter(|key| plugin.account(key).expired(now_ms)).count();
        if expired > 0 {
            host::log(host::Level::Warn, &format!("{expired} of {} keys have expired", plugin.keys.len()));
        }
        Ok(plugin)
    }
}

impl Authenticate for StaticKeys {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        let presented = match presented(&head) {
            Ok(Some(key)) => key,
            Ok(None) => return Verdict::Abstain(Some(CHALLENGE.to_owned())),
            Err(denial) => return Verdict::Deny(denial),
        };
        match self.find(presented) {
            None if self.unknown == Unknown::Abstain => Verdict::Abstain(Some(CHALLENGE.to_owned())),
            None => Verdict::Deny(no_good("invalid_api_key", "this API key is not known here")),
            Some(key) if self.account(key).expired(host::now_ms()) => {
                Verdict::Deny(no_good("expired_api_key", "this API key has expired"))
            }
            Some(key) => {
                Verdict::Allow(Grant { principal: self.principal(key), cache_for_ms: self.cache_for_ms })
            }
        }
    }
}

impl StaticKeys {
    /// Looks a key up by its digest and confirms it in constant time. An unknown key takes the same steps.
    fn find(&self, presented: &str) -> Option<&Key> {
        let digest = crypto::sha256(presented.as_bytes());
        let candidate = self.keys.get(self.keys.partition_point(|key| key.digest < digest));
        let stored = candidate.map_or([0; 32], |key| key.digest);
        crypto::equal(&stored, &digest).then_some(candidate).flatten()
    }

    /// No name has one: control characters are refused.
    const END_OF_NAME: char = '\n';

    fn name(&self, key: &Key) -> &str {
        let names = &self.names[key.name as usize..];
        names.split_once(Self::END_OF_NAME).map_or(names, |(name, _)| name)
    }

    fn account(&self, key: &Key) -> &Account {
        &self.accounts[key.account as usize]
    }

    fn principal(&self, key: &Key) -> Principal {
        let Account { tenant, roles, scopes, expires_ms } = self.account(key).clone();
        let name = self.name(key);
        Principal {
            subject: name.to_owned(),
            tenant,
            roles,
            scopes,
            expires_at: expires_ms,
            claims: vec![("key".to_owned(), name.to_owned())],
        }
    }
}

impl Account {
    fn expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }
}

const CHALLENGE: &str = r#"Bearer realm="mlx-gate""#;

/// The one key the request carries. Two headers that disagree are refused.
fn presented(head: &RequestHead) -> Result<Option<&str>, Denial> {
    let authorization = head.credential("authorization");
    let bearer = head.authorization("bearer");
    match (head.credential("x-api-key").map(str::trim), authorization) {
        (None, _) => Ok(bearer),
        (Some(key), None) => Ok(Some(key)),
        (Some(key), Some(_)) if bearer == Some(key) => Ok(Some(key)),
        (Some(_), Some(_)) => Err(Denial::conflicting_credentials()),
    }
}

fn no_good(code: &str, message: &str) -> Denial {
    Denial::unauthorized(code, message).with_challenge(format!(r#"{CHALLENGE}, error="invalid_token""#))
}

mlx_gate_plugin::export!(StaticKeys: authenticate);
