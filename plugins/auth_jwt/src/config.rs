//! The options.

use std::net::Ipv4Addr;

use mlx_gate_plugin::{HostFile, Rejected, host};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::{Map, Value};

use crate::Jwt;
use crate::claims::Rules;
use crate::issuer::{Issuer, Keys};
use crate::keys::{self, Allowed};

/// RFC 8725 leaves it at "no more than a few minutes" (RFC 7519 section 4.1.4); clocks are better today.
const MOST_LEEWAY: u32 = 60;

/// Most issuers one plugin trusts.
const MOST_ISSUERS: usize = 16;

/// The options: those of one issuer, or a list of issuers with such options.
pub struct Config {
    issuers: Vec<RawIssuer>,
    cache_for_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawIssuer {
    issuer: String,
    audience: Vec<String>,
    jwks: Option<HostFile>,
    jwks_url: Option<String>,
    secret_file: Option<HostFile>,
    secret: Option<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    typ: Option<String>,
    leeway: Option<u32>,
    subject_claim: Option<String>,
    subject_prefix: Option<String>,
    tenant_claim: Option<String>,
    roles_claim: Option<String>,
    scopes_claim: Option<String>,
    #[serde(default)]
    claims: Vec<String>,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut options = Map::deserialize(deserializer)?;
        let cache_for_ms = match options.remove("cache-for-ms") {
            None => 60_000,
            Some(value) => read("cache-for-ms", value)?,
        };
        let issuers = match options.remove("issuers") {
            None => vec![read("", options.into())?],
            Some(list) if options.is_empty() => read("issuers", list)?,
            Some(_) => {
                let mut names: Vec<_> = options.keys().map(|name| format!("`{name}`")).collect();
                names.sort();
                let message =
                    format!("beside `issuers`, {} would be nobody's; put it inside", names.join(", "));
                return Err(D::Error::custom(message));
            }
        };
        Ok(Self { issuers, cache_for_ms })
    }
}

/// Reads an option; an error says where in it.
fn read<T: DeserializeOwned, E: Error>(option: &str, value: Value) -> Result<T, E> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = match error.path().to_string() {
            path if path == "." => option.to_owned(),
            path if option.is_empty() || path.starts_with('[') => format!("{option}{path}"),
            path => format!("{option}.{path}"),
        };
        let error = error.into_inner();
        if place.is_empty() { E::custom(error) } else { E::custom(format_args!("`{place}`: {error}")) }
    })
}

impl Config {
    pub(crate) fn resolve(self) -> Result<Jwt, Rejected> {
        if self.issuers.is_empty() || self.issuers.len() > MOST_ISSUERS {
            return Err(Rejected::new(format_args!("`issuers` has 1 to {MOST_ISSUERS} entries")));
        }
        let several = self.issuers.len() > 1;
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, issuer) in self.issuers.into_iter().enumerate() {
            let named = |error: Rejected| {
                if several { Rejected::new(format_args!("issuers {}, {error}", index + 1)) } else { error }
            };
            if several && issuer.subject_prefix.is_none() {
                return Err(named(Rejected::new(
                    "`subject-prefix` is missing: a subject is one person's within its issuer only, and each issuer could name \
                     the others' users; `\"\"` says that they all mean the same people",
                )));
            }
            let issuer = issuer.resolve().map_err(named)?;
            if issuers.iter().any(|other| other.rules.issuer == issuer.rules.issuer) {
                return Err(named(Rejected::new("`issuer` is that of another entry too")));
            }
            let clashes = |other: &str, ours: &str| !other.is_empty() && ours.starts_with(other);
            let (ours, others) = (&issuer.rules.prefix, issuers.iter().map(|other| &other.rules.prefix));
            if let Some(other) = others.into_iter().find(|other| clashes(other, ours) || clashes(ours, other))
            {
                let message =
                    format_args!("`subject-prefix` `{ours}` and another entry's `{other}` begin alike");
                return Err(named(Rejected::new(message)));
            }
            issuers.push(issuer);
        }
        Ok(Jwt { issuers, cache_for_ms: (self.cache_for_ms > 0).then_some(self.cache_for_ms) })
    }
}

impl RawIssuer {
    fn resolve(self) -> Result<Issuer, Rejected> {
        let keys = self.keys()?;
        if self.issuer.is_empty() {
            return Err(Rejected::new("`issuer` is empty"));
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            return Err(Rejected::new("`audience` needs at least one name, and none that is empty"));
        }
        let leeway = self.leeway.unwrap_or(30);
        if leeway > MOST_LEEWAY {
            return Err(Rejected::new(format_args!("`leeway` is at most {MOST_LEEWAY} seconds")));
        }
        if self.claims.len() > 128 || self.claims.iter().any(|path| path.is_empty() || path.len() > 256) {
            return Err(Rejected::new("`claims` has at most 128 names of 1 to 256 bytes"));
        }
        let prefix = self.subject_prefix.unwrap_or_default();
        if prefix.len() > 64 || prefix.contains(char::is_control) {
            return Err(Rejected::new("`subject-prefix` has at most 64 bytes and no control characters"));
        }
        let or = |path: Option<String>, usual: &str| path.unwrap_or_else(|| usual.to_owned());
        let rules = Rules {
            issuer: self.issuer,
            audience: self.audience,
            leeway,
            subject: or(self.subject_claim, "sub"),
            prefix,
            tenant: or(self.tenant_claim, "tenant"),
            roles: or(self.roles_claim, "roles"),
            scopes: self.scopes_claim.map_or_else(|| vec!["scope".into(), "scp".into()], |path| vec![path]),
            further: self.claims,
        };
        Ok(Issuer { keys, typ: self.typ, rules })
    }

    fn keys(&self) -> Result<Keys, Rejected> {
        let allowed = Allowed::new(&self.algorithms)?;
        let configured = match (&self.jwks, &self.jwks_url, &self.secret_file, &self.secret) {
            (Some(set), None, None, None) => keys::from_set(set, &allowed)?,
            (None, Some(url), None, None) => {
                if !is_private(url) {
                    let message = "`jwks-url` is not https: whoever is on the way can add keys of their own";
                    host::log(host::Level::Warn, message);
                }
                return Ok(Keys::Fetched { url: url.clone(), allowed });
            }
            (None, None, Some(file), None) => {
                let secret = file.text()?;
                let secret = secret.strip_suffix('\n').unwrap_or(secret);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                vec![keys::from_secret(file, secret, &allowed)?]
            }
            (None, None, None, Some(secret)) => vec![keys::from_secret(&"`secret`", secret, &allowed)?],
            _ => return Err(Rejected::new("set one of `jwks`, `jwks-url`, `secret-file` and `secret`")),
        };
        Ok(Keys::Configured(configured))
    }
}

/// Whether nobody between here and there can change what is fetched.
fn is_private(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(name, _)| name);
    name == "localhost"
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}
