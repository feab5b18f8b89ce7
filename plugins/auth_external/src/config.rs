//! The options.

use mlx_gate_plugin::Rejected;
use serde::Deserialize;

use crate::source::{Source, Sources};
use crate::{CREDENTIALS, External};

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    url: String,
    #[serde(default = "timeout_ms")]
    timeout_ms: u32,
    forward: Option<Vec<String>>,
    #[serde(default)]
    always: bool,
    challenge: Option<String>,
    #[serde(default = "cache_for_ms")]
    cache_for_ms: u64,
    subject: Option<String>,
    tenant: Option<String>,
    roles: Option<String>,
    scopes: Option<String>,
    expires: Option<String>,
    #[serde(default)]
    claims: Vec<String>,
}

fn timeout_ms() -> u32 {
    2_000
}

fn cache_for_ms() -> u64 {
    60_000
}

impl Config {
    pub(crate) fn resolve(self) -> Result<External, Rejected> {
        if !(1..=10_000).contains(&self.timeout_ms) {
            return Err(Rejected::new("`timeout-ms` is 1 to 10000"));
        }
        let forward = match &self.forward {
            // Those of API clients. Cookies are what browsers send, by themselves and from anywhere.
            None => vec!["authorization", "x-api-key"],
            Some(names) => names.iter().map(|name| forwarded(name)).collect::<Result<_, _>>()?,
        };
        if forward.is_empty() && !self.always {
            return Err(Rejected::new(
                "`forward` is empty, so nobody would be asked about; set `always=true` or name a header",
            ));
        }
        let challenge = self.challenge.unwrap_or_else(|| r#"Bearer realm="mlx-gate""#.to_owned());
        if challenge.len() > 1024 || !challenge.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Rejected::new("`challenge` has at most 1024 characters of printable ASCII"));
        }
        if self.claims.len() > 32 {
            return Err(Rejected::new("`claims` has at most 32 entries"));
        }
        let source = |option: &str, given: Option<String>| {
            Source::read(option, &given.unwrap_or_else(|| format!("x-auth-{option}")))
        };
        let sources = Sources {
            subject: source("subject", self.subject)?,
            tenant: source("tenant", self.tenant)?,
            roles: source("roles", self.roles)?,
            scopes: source("scopes", self.scopes)?,
            expires: source("expires", self.expires)?,
            claims: self.claims.iter().map(|text| Source::read("claims", text)).collect::<Result<_, _>>()?,
        };
        Ok(External {
            url: self.url,
            timeout_ms: self.timeout_ms,
            forward,
            always: self.always,
            challenge: Some(challenge).filter(|challenge| !challenge.is_empty()),
            sources,
            most_cache_ms: self.cache_for_ms,
        })
    }
}

fn forwarded(name: &str) -> Result<&'static str, Rejected> {
    CREDENTIALS.into_iter().find(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
        Rejected::new(format_args!("`forward`: `{name}` is none of {}", CREDENTIALS.join(", ")))
    })
}
