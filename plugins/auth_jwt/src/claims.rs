//! What the claims of a genuine token are worth: whether they are for us and for now, and whom they speak of.

use mlx_gate_plugin::Principal;
use serde_json::Value;

use crate::json::{self, Object};
use crate::refusal::Refusal;

/// Longest name, longest text, and most entries of a list that the host takes.
const LONGEST_NAME: usize = 256;
const LONGEST_TEXT: usize = 2048;
const MOST_ENTRIES: usize = 128;

/// What claims have to be, and where the principal is in them.
pub(crate) struct Rules {
    pub(crate) issuer: String,
    pub(crate) audience: Vec<String>,
    /// In seconds.
    pub(crate) leeway: u32,
    pub(crate) subject: String,
    /// Stands before the subject: what an issuer calls somebody is unique with that issuer only (RFC 7519 section 4.1.2).
    pub(crate) prefix: String,
    pub(crate) tenant: String,
    pub(crate) roles: String,
    /// The first that is there counts.
    pub(crate) scopes: Vec<String>,
    pub(crate) further: Vec<String>,
}

impl Rules {
    /// Whom the claims speak of, if they hold at this moment.
    pub(crate) fn principal(&self, claims: &Object, now_ms: u64) -> Result<Principal, Refusal> {
        let expires_at = self.check_time(claims, now_ms)?;
        self.check_parties(claims)?;
        let subject = name(claims, &self.subject)?
            .ok_or_else(|| Refusal::invalid(format!("the token has no `{}`", self.subject)))?;
        let subject = format!("{}{subject}", self.prefix);
        if !is_name(&subject) {
            let message = format!("`{}` is longer than {LONGEST_NAME} bytes with its prefix", self.subject);
            return Err(Refusal::invalid(message));
        }
        let scopes = self.scopes.iter().find(|path| json::lookup(claims, path).is_some());
        Ok(Principal {
            subject,
            tenant: name(claims, &self.tenant)?,
            roles: names(claims, &self.roles)?,
            scopes: scopes.map_or_else(|| Ok(Vec::new()), |path| names(claims, path))?,
            expires_at: Some(expires_at),
            claims: self.further(claims)?,
        })
    }

    /// When the token ends to hold, in Unix milliseconds. The leeway is in it: the host would otherwise end at once what was
    /// let in during that time.
    fn check_time(&self, claims: &Object, now_ms: u64) -> Result<u64, Refusal> {
        let (now, leeway) = (now_ms as f64 / 1000.0, f64::from(self.leeway));
        let end = date(claims, "exp")?.ok_or_else(|| Refusal::invalid("the token has no `exp`"))? + leeway;
        if now >= end {
            return Err(Refusal::new("expired_token", "the token has expired"));
        }
        for name in ["nbf", "iat"] {
            if date(claims, name)?.is_some_and(|start| start > now + leeway) {
                let message = format!("the token's `{name}` is in the future");
                return Err(Refusal::new("token_not_yet_valid", message));
            }
        }
        Ok((end * 1000.0) as u64)
    }

    fn check_parties(&self, claims: &Object) -> Result<(), Refusal> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(Refusal::wrong_issuer());
        }
        let audience = match claims.get("aud") {
            Some(Value::Array(audience)) => audience,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let meant = |name: &Value| self.audience.iter().any(|ours| name == ours);
        if !audience.iter().any(meant) {
            return Err(Refusal::new("wrong_audience", "the token is not for this server: see its `aud`"));
        }
        Ok(())
    }

    /// Claims as they are, texts without their quotes.
    fn further(&self, claims: &Object) -> Result<Vec<(String, String)>, Refusal> {
        let found = self.further.iter().filter_map(|path| Some((path, json::lookup(claims, path)?)));
        found
            .map(|(path, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let fits = text.len() <= LONGEST_TEXT;
                fits.then(|| (path.clone(), text))
                    .ok_or_else(|| Refusal::invalid(format!("`{path}` is longer than {LONGEST_TEXT} bytes")))
            })
            .collect()
    }
}

/// A NumericDate (RFC 7519 section 2): seconds since 1970, maybe with a fraction.
fn date(claims: &Object, name: &str) -> Result<Option<f64>, Refusal> {
    let number = |value: &Value| {
        value
            .as_f64()
            .ok_or_else(|| Refusal::invalid(format!("the token's `{name}` is not a number of seconds")))
    };
    claims.get(name).map(number).transpose()
}

fn name(claims: &Object, path: &str) -> Result<Option<String>, Refusal> {
    let text = |value: &Value| {
        let text = value.as_str().filter(|text| is_name(text)).map(str::to_owned);
        text.ok_or_else(|| Refusal::invalid(format!("`{path}` is not a text of 1 to {LONGEST_NAME} bytes")))
    };
    json::lookup(claims, path).map(text).transpose()
}

/// An array of names, or names with spaces between, as OAuth writes scopes (RFC 6749 section 3.3).
fn names(claims: &Object, path: &str) -> Result<Vec<String>, Refusal> {
    let wrong = |what: String| Refusal::invalid(format!("`{path}` {what}"));
    let names: Option<Vec<&str>> = match json::lookup(claims, path) {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(text.split_ascii_whitespace().collect()),
        Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    let names = names.filter(|names| names.iter().all(|name| is_name(name)));
    let names = names.ok_or_else(|| {
        wrong(format!("is neither an array of names of 1 to {LONGEST_NAME} bytes nor a text of them"))
    })?;
    if names.len() > MOST_ENTRIES {
        return Err(wrong(format!("has {} entries; at most {MOST_ENTRIES} are taken", names.len())));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && !text.contains(char::is_control)
}
