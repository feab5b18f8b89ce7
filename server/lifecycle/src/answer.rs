//! What plugins answer, checked and turned into the server's own types. Nothing a plugin says is passed on unchecked: an
//! answer that breaks the rules is a failure of the plugin, not a decision.

use mlx_gate_core::{Denial, Principal};

use crate::Failure;
use crate::bindings::v0_1::exports::mlx_gate::plugin::authenticate::{self as v0_1, Verdict};

/// What an authenticator decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// Nothing; with a value for `WWW-Authenticate`.
    Abstain(Option<String>),
    Allow(T),
    Deny(Denial),
}

/// Longest name of anything: a subject, a tenant, a role, the name of a claim.
const NAME: usize = 256;
/// Longest text: a message, a challenge, the value of a header or of a claim.
const TEXT: usize = 2048;
/// Most entries of any list.
const ENTRIES: usize = 128;

pub(crate) fn authentication(plugin: &str, verdict: Verdict) -> Result<Answer<Principal>, Failure> {
    match verdict {
        Verdict::Abstain(challenge) => Ok(Answer::Abstain(header("challenge", challenge)?)),
        Verdict::Allow(grant) => Ok(Answer::Allow(principal(plugin, grant.principal)?)),
        Verdict::Deny(denial) => Ok(Answer::Deny(self::denial(denial)?)),
    }
}

fn principal(plugin: &str, given: v0_1::Principal) -> Result<Principal, Failure> {
    named("the subject", &given.subject)?;
    given.tenant.iter().try_for_each(|tenant| named("the tenant", tenant))?;
    few("roles", &given.roles)?.iter().try_for_each(|role| named("a role", role))?;
    few("scopes", &given.scopes)?.iter().try_for_each(|scope| named("a scope", scope))?;
    few("claims", &given.claims)?.iter().try_for_each(|(name, value)| {
        named("a claim's name", name)?;
        within("a claim's value", value, TEXT)
    })?;
    Ok(Principal {
        subject: given.subject,
        tenant: given.tenant,
        roles: given.roles,
        scopes: given.scopes,
        expires_at_ms: given.expires_at,
        claims: given.claims,
        authenticated_by: plugin.to_owned(),
    })
}

fn denial(given: v0_1::Denial) -> Result<Denial, Failure> {
    if !(400..=499).contains(&given.status) {
        return Err(wrong(format!("a denial with status {}; denials have 400 to 499", given.status)));
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=64).contains(&given.code.len()) || !given.code.bytes().all(fits) {
        return Err(wrong("a denial whose code is not 1 to 64 lower case letters, digits and `_`"));
    }
    within("a denial's message", &given.message, TEXT)?;
    for (name, value) in few("headers", &given.headers)? {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(wrong("a header whose name is not 1 to 64 lower case letters, digits and `-`"));
        }
        header_value("a header's value", value)?;
    }
    Ok(Denial {
        status: given.status,
        code: given.code,
        message: given.message,
        challenge: header("challenge", given.challenge)?,
        retry_after_ms: given.retry_after_ms,
        headers: given.headers,
    })
}

fn header(what: &str, value: Option<String>) -> Result<Option<String>, Failure> {
    value.iter().try_for_each(|value| header_value(what, value))?;
    Ok(value)
}

/// Visible ASCII and spaces: with a line break a plugin could write headers of its own.
fn header_value(what: &str, value: &str) -> Result<(), Failure> {
    if value.len() > TEXT || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(wrong(format!("{what} that is not printable ASCII, or longer than {TEXT} bytes")));
    }
    Ok(())
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

fn few<'a, T>(what: &str, entries: &'a [T]) -> Result<&'a [T], Failure> {
    if entries.len() > ENTRIES {
        return Err(wrong(format!("{} {what}; at most {ENTRIES} are allowed", entries.len())));
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
