//! What plugins answer, in the server's own types, and the check of it. Nothing a plugin says is passed on unchecked: an
//! answer that breaks the rules is a failure of the plugin, not a decision.

use mlx_gate_core::{Constraints, Denial, Principal, Priority};

use crate::Failure;

mod headers;

/// What an authenticator decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing; with a value for `WWW-Authenticate`.
    Abstain(Option<String>),
    /// The caller is known.
    Allow(Grant),
    /// The credential is no good.
    Deny(Denial),
}

/// A caller vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is.
    pub principal: Principal,
    /// How long the same credentials may be answered without asking again.
    pub cache_for_ms: Option<u64>,
}

/// What an authorizer decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing.
    NoOpinion,
    /// Yes, within these bounds.
    Allow(Constraints),
    /// No.
    Deny(Denial),
}

/// What a rate limiter decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nothing to reserve.
    Pass,
    /// Yes; to be settled.
    Reserve(Reservation),
    /// Not now.
    Deny(Denial),
}

/// Something set aside, to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// What the plugin knows it by.
    pub ticket: u64,
    /// Response headers.
    pub headers: Vec<(String, String)>,
}

/// What one tagger says. `None` leaves it to the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagSet {
    /// The account.
    pub tenant: Option<String>,
    /// Scheduling class.
    pub priority: Option<Priority>,
    /// Share of the machine relative to other tenants.
    pub weight: Option<f32>,
    /// Adapter to answer with.
    pub adapter: Option<String>,
    /// Requests share cached prefixes only inside one scope.
    pub cache_scope: Option<String>,
    /// Labels for metrics and log.
    pub labels: Vec<(String, String)>,
    /// Headers to set towards an upstream.
    pub upstream_headers: Vec<(String, String)>,
}

/// Longest name of anything: a subject, a tenant, a role, the name of a claim.
const NAME: usize = 256;
/// Longest text: a message, a challenge, the value of a header or of a claim.
const TEXT: usize = 2048;
/// Most entries of any list but one of models or adapters.
const ENTRIES: usize = 128;
/// Most models or adapters of a list.
const MODELS: usize = 1024;
/// Shares of the machine that still mean something next to a usual one.
const WEIGHTS: std::ops::RangeInclusive<f32> = 0.001..=1000.0;

impl Authentication {
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        match &self {
            Self::Abstain(challenge) => headers::optional_value("challenge", challenge.as_deref())?,
            Self::Allow(grant) => principal(&grant.principal)?,
            Self::Deny(given) => denial(given)?,
        }
        Ok(self)
    }
}

impl Authorization {
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        match &self {
            Self::NoOpinion => {}
            Self::Allow(given) => constraints(given)?,
            Self::Deny(given) => denial(given)?,
        }
        Ok(self)
    }
}

impl Admission {
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        match &self {
            Self::Pass => {}
            Self::Reserve(reservation) => headers::of_response(&reservation.headers)?,
            Self::Deny(given) => denial(given)?,
        }
        Ok(self)
    }
}

impl TagSet {
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        self.tenant.iter().try_for_each(|tenant| named("the tenant", tenant))?;
        self.adapter.iter().try_for_each(|adapter| named("the adapter", adapter))?;
        self.cache_scope.iter().try_for_each(|scope| named("the cache scope", scope))?;
        if let Some(weight) = self.weight
            && !WEIGHTS.contains(&weight)
        {
            let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
            return Err(wrong(format!("the weight {weight}; weights are from {least} to {most}")));
        }
        few("labels", &self.labels, ENTRIES)?.iter().try_for_each(|(name, value)| label(name, value))?;
        headers::to_upstream(&self.upstream_headers)?;
        Ok(self)
    }
}

fn principal(given: &Principal) -> Result<(), Failure> {
    named("the subject", &given.subject)?;
    given.tenant.iter().try_for_each(|tenant| named("the tenant", tenant))?;
    few("roles", &given.roles, ENTRIES)?.iter().try_for_each(|role| named("a role", role))?;
    few("scopes", &given.scopes, ENTRIES)?.iter().try_for_each(|scope| named("a scope", scope))?;
    few("claims", &given.claims, ENTRIES)?.iter().try_for_each(|(name, value)| {
        named("a claim's name", name)?;
        within("a claim's value", value, TEXT)
    })
}

fn denial(given: &Denial) -> Result<(), Failure> {
    if !(400..=499).contains(&given.status) {
        return Err(wrong(format!("a denial with status {}; denials have 400 to 499", given.status)));
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=64).contains(&given.code.len()) || !given.code.bytes().all(fits) {
        return Err(wrong("a denial whose code is not 1 to 64 lower case letters, digits and `_`"));
    }
    within("a denial's message", &given.message, TEXT)?;
    headers::of_response(&given.headers)?;
    headers::optional_value("challenge", given.challenge.as_deref())
}

fn constraints(given: &Constraints) -> Result<(), Failure> {
    if given.max_output_tokens == Some(0) {
        return Err(wrong("an allowance of 0 tokens; deny what may not be answered"));
    }
    given.model.iter().try_for_each(|model| named("the model", model))?;
    for models in &given.models {
        few("models", models, MODELS)?.iter().try_for_each(|model| named("a model", model))?;
    }
    given.adapters.iter().try_for_each(|adapters| {
        few("adapters", adapters, MODELS)?.iter().try_for_each(|adapter| named("an adapter", adapter))
    })
}

/// Names as Prometheus and OpenTelemetry both take them.
fn label(name: &str, value: &str) -> Result<(), Failure> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins || name.len() > 64 || !name.bytes().all(fits) {
        return Err(wrong(
            "a label whose name is not 1 to 64 lower case letters, digits and `_`, a letter first",
        ));
    }
    named("a label's value", value)
}

fn named(what: &str, value: &str) -> Result<(), Failure> {
    if value.is_empty() || value.len() > NAME || value.contains(char::is_control) {
        return Err(wrong(format!(
            "{what} that is empty, longer than {NAME} bytes or has control characters"
        )));
    }
    Ok(())
}

fn within(what: &str, value: &str, most: usize) -> Result<(), Failure> {
    if value.len() > most {
        return Err(wrong(format!("{what} of {} bytes; at most {most} are allowed", value.len())));
    }
    Ok(())
}

fn few<'a, T>(what: &str, entries: &'a [T], most: usize) -> Result<&'a [T], Failure> {
    if entries.len() > most {
        return Err(wrong(format!("{} {what}; at most {most} are allowed", entries.len())));
    }
    Ok(entries)
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::Answer(what.into())
}

/// A plugin's message for a person, cut to a bearable length.
pub(crate) fn text(message: &str) -> String {
    let shown = &message[..message.floor_char_boundary(TEXT)];
    shown.replace(|letter: char| letter.is_control() && letter != '\n', " ")
}

#[cfg(test)]
mod tests;
