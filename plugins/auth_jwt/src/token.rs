//! A token in JWS compact serialization (RFC 7515 section 7.1), up to its signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::{self, Object};
use crate::keys::Key;
use crate::refusal::Refusal;

/// Longer tokens are refused unread. Those of large companies, with a list of groups inside, have some thousand bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// In bytes.
const LONGEST_KID: usize = 256;

/// What a header says that matters here. Where else the key might be (`jku`, `jwk`, `x5u`, `x5c`) does not: RFC 8725 section
/// 3.10.
pub(crate) struct Header {
    alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

/// A token whose signature nobody has looked at yet.
pub(crate) struct Token<'a> {
    pub(crate) header: Header,
    /// What the signature is over.
    pub(crate) signed: &'a str,
    payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::invalid(format!("the token is longer than {LONGEST_TOKEN} bytes")));
        }
        let malformed = || Refusal::invalid("the token is not three parts in base64url");
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let [header, payload, signature] =
            [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed()));
        Ok(Self { header: Header::read(&header?)?, signed, payload: payload?, signature: signature? })
    }

    /// What it says of itself, for whoever has checked the signature.
    pub(crate) fn claims(&self) -> Result<Object, Refusal> {
        json::object(&self.payload)
            .ok_or_else(|| Refusal::invalid("the token's claims are not a JSON object of unique names"))
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let members = json::object(bytes)
            .ok_or_else(|| Refusal::invalid("the token's header is not a JSON object of unique names"))?;
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(Refusal::invalid(format!("`{name}` in the token's header is not a string"))),
            },
        };
        // Extensions that must be understood; none are (RFC 7515 section 4.1.11).
        if members.contains_key("crit") {
            return Err(Refusal::invalid("the token's header has `crit`, and no extension is known here"));
        }
        let alg = text("alg")?.ok_or_else(|| Refusal::invalid("the token's header has no `alg`"))?;
        let (kid, typ) = (text("kid")?, text("typ")?);
        if kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(Refusal::invalid(format!("the token's `kid` is longer than {LONGEST_KID} bytes")));
        }
        Ok(Self { alg, kid, typ })
    }

    /// Whether this may be the key: of the same name, where both have one, and for this very algorithm.
    pub(crate) fn may_use(&self, key: &Key) -> bool {
        let named = self.kid.is_none() || key.kid.is_none() || self.kid == key.kid;
        named && key.algorithm.name == self.alg
    }
}

/// Media types, whose `application/` may be left out (RFC 7515 section 4.1.9).
pub(crate) fn same_type(one: &str, other: &str) -> bool {
    let short = |text: &str| {
        let lower = text.to_ascii_lowercase();
        lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
    };
    short(one) == short(other)
}
