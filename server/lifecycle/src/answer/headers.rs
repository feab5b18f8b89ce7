//! Headers that plugins may set, and those that are not theirs.

use super::{ENTRIES, TEXT, few, wrong};
use crate::Failure;

/// Hop-by-hop headers (RFC 9110 section 7.6.1) and those that frame a message (sections 6.6, 7.2, 8 and 10.1.1). They
/// belong to whoever writes it, in either direction.
const FRAMING: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "date",
    "server",
];

/// Headers of a response that have a field of their own in an answer, or that the server sets itself.
const OF_RESPONSE: [&str; 5] =
    ["proxy-authenticate", "retry-after", "set-cookie", "www-authenticate", "x-request-id"];

/// Credentials towards an upstream are the server's own, and who is asking goes there from the principal. On whose account
/// and how urgently is a tagger's to say: `x-tenant-id`, `x-priority`.
const OF_UPSTREAM: [&str; 17] = [
    "api-key",
    "authorization",
    "cookie",
    "forwarded",
    "proxy-authorization",
    "remote-user",
    "via",
    "x-api-key",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-goog-api-key",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-roles",
    "x-tenant",
    "x-user-id",
];
const FORWARDED: &str = "x-forwarded-";

/// Headers for the response.
pub(super) fn of_response(headers: &[(String, String)]) -> Result<(), Failure> {
    check(headers, |name| FRAMING.contains(&name) || OF_RESPONSE.contains(&name))
}

/// Headers towards an upstream.
pub(super) fn to_upstream(headers: &[(String, String)]) -> Result<(), Failure> {
    check(headers, |name| {
        FRAMING.contains(&name) || OF_UPSTREAM.contains(&name) || name.starts_with(FORWARDED)
    })
}

pub(super) fn optional_value(what: &str, text: Option<&str>) -> Result<(), Failure> {
    text.map_or(Ok(()), |text| value(what, text))
}

fn check(headers: &[(String, String)], is_reserved: impl Fn(&str) -> bool) -> Result<(), Failure> {
    for (name, text) in few("headers", headers, ENTRIES)? {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(wrong("a header whose name is not 1 to 64 lower case letters, digits and `-`"));
        }
        if is_reserved(name) {
            return Err(wrong(format!("the header `{name}`, which is not a plugin's to set")));
        }
        value("a header's value", text)?;
    }
    Ok(())
}

/// Visible ASCII and spaces: with a line break a plugin could write headers of its own.
fn value(what: &str, text: &str) -> Result<(), Failure> {
    if text.len() > TEXT || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(wrong(format!("{what} that is not printable ASCII, or longer than {TEXT} bytes")));
    }
    Ok(())
}
