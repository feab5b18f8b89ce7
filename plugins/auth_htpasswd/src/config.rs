//! The options.

use mlx_gate_plugin::{HostFile, Rejected, host};
use serde::Deserialize;

use crate::attempts::Attempts;
use crate::{Htpasswd, passwd};

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: HostFile,
    groups: Option<HostFile>,
    tenant: Option<String>,
    #[serde(default = "realm")]
    realm: String,
    #[serde(default = "cache_for_ms")]
    cache_for_ms: u64,
    #[serde(default = "failures_per_minute")]
    failures_per_minute: u64,
}

fn realm() -> String {
    "mlx-gate".to_owned()
}

/// Checking a password takes tens of milliseconds of a core, so most of a client's requests should do without.
fn cache_for_ms() -> u64 {
    60_000
}

/// More than people mistype, and so few that guessing a good password takes longer than anybody lives.
fn failures_per_minute() -> u64 {
    30
}

impl Config {
    pub(crate) fn resolve(self) -> Result<Htpasswd, Rejected> {
        let mut users = passwd::users(&self.file)?;
        if let Some(groups) = &self.groups {
            let strangers = passwd::add_roles(&mut users, groups)?;
            if strangers > 0 {
                let message = format!("{groups} names {strangers} users that are not in {}", self.file);
                host::log(host::Level::Warn, &message);
            }
        }
        if self.tenant.as_deref().is_some_and(|tenant| !passwd::is_name(tenant)) {
            return Err(Rejected::new("`tenant` has 1 to 256 bytes and no control characters"));
        }
        // What a quoted string takes without escapes (RFC 9110 section 5.6.4), so that every client reads it alike.
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if self.realm.len() > 256 || !self.realm.bytes().all(plain) {
            return Err(Rejected::new(
                "`realm` has at most 256 characters, printable ASCII without `\"` and `\\`",
            ));
        }
        Ok(Htpasswd {
            users,
            tenant: self.tenant,
            challenge: format!(r#"Basic realm="{}", charset="UTF-8""#, self.realm),
            cache_for_ms: (self.cache_for_ms > 0).then_some(self.cache_for_ms),
            attempts: Attempts::new(self.failures_per_minute),
        })
    }
}
