//! The options.

use mlx_gate_plugin::{HostFile, Rejected};
use serde::Deserialize;

use crate::Jwt;
use crate::claims::Rules;
use crate::keys::{self, Allowed};

/// RFC 8725 leaves it at "no more than a few minutes" (RFC 7519 section 4.1.4); clocks are better today.
const MOST_LEEWAY: u32 = 60;

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    issuer: String,
    audience: Vec<String>,
    jwks: Option<HostFile>,
    secret_file: Option<HostFile>,
    secret: Option<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    typ: Option<String>,
    leeway: Option<u32>,
    subject_claim: Option<String>,
    tenant_claim: Option<String>,
    roles_claim: Option<String>,
    scopes_claim: Option<String>,
    #[serde(default)]
    claims: Vec<String>,
}

impl Config {
    pub(crate) fn resolve(self) -> Result<Jwt, Rejected> {
        let allowed = Allowed::new(&self.algorithms)?;
        let keys = match (&self.jwks, &self.secret_file, &self.secret) {
            (Some(set), None, None) => keys::from_set(set, &allowed)?,
            (None, Some(file), None) => {
                let secret = file.text()?;
                let secret = secret.strip_suffix('\n').unwrap_or(secret);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                vec![keys::from_secret(file, secret, &allowed)?]
            }
            (None, None, Some(secret)) => vec![keys::from_secret(&"`secret`", secret, &allowed)?],
            _ => return Err(Rejected::new("set one of `jwks`, `secret-file` and `secret`")),
        };
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
        let or = |path: Option<String>, usual: &str| path.unwrap_or_else(|| usual.to_owned());
        let rules = Rules {
            issuer: self.issuer,
            audience: self.audience,
            leeway,
            subject: or(self.subject_claim, "sub"),
            tenant: or(self.tenant_claim, "tenant"),
            roles: or(self.roles_claim, "roles"),
            scopes: self.scopes_claim.map_or_else(|| vec!["scope".into(), "scp".into()], |path| vec![path]),
            further: self.claims,
        };
        Ok(Jwt { keys, typ: self.typ, rules })
    }
}
