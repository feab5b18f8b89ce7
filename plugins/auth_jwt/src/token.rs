//! A token in JWS compact serialization (RFC 7515 section 7.1), up to the point where its signature has been checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mlx_gate_plugin::crypto;

use crate::json::{self, Object};
use crate::keys::Key;
use crate::refusal::Refusal;

/// Longer tokens are refused unread. Those of large companies, with a list of groups inside, have some thousand bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// In bytes.
const LONGEST_KID: usize = 256;

/// What a header says that matters here. Where else the key might be (`jku`, `jwk`, `x5u`, `x5c`) does not: RFC 8725 section
/// 3.10.
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

/// The claims of a token that one of the keys signed.
pub(crate) fn verified(token: &str, keys: &[Key], typ: Option<&str>) -> Result<Object, Refusal> {
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
    let (header, payload, signature) = (Header::read(&header?)?, payload?, signature?);

    if let Some(wanted) = typ
        && !header.typ.as_deref().is_some_and(|typ| same_type(typ, wanted))
    {
        return Err(Refusal::invalid(format!("the token's `typ` is not `{wanted}`")));
    }
    let mut keys = keys.iter().filter(|key| header.may_use(key)).peekable();
    if keys.peek().is_none() {
        return Err(Refusal::invalid("there is no key for the token's `kid` and `alg`"));
    }
    if !keys.any(|key| is_signed(signed, &signature, key)) {
        return Err(Refusal::invalid("the token's signature is wrong"));
    }
    json::object(&payload)
        .ok_or_else(|| Refusal::invalid("the token's claims are not a JSON object of unique names"))
}

fn is_signed(signed: &str, signature: &[u8], key: &Key) -> bool {
    crypto::verify(key.algorithm.id, &key.jwk, signed.as_bytes(), signature)
        // The host took the key when the plugin was configured. It makes a 503 of a panic.
        .unwrap_or_else(|error| panic!("a signature by {} cannot be checked: {error:?}", key.algorithm.name))
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
    fn may_use(&self, key: &Key) -> bool {
        let named = self.kid.is_none() || key.kid.is_none() || self.kid == key.kid;
        named && key.algorithm.name == self.alg
    }
}

/// Media types, whose `application/` may be left out (RFC 7515 section 4.1.9).
fn same_type(one: &str, other: &str) -> bool {
    let short = |text: &str| {
        let lower = text.to_ascii_lowercase();
        lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
    };
    short(one) == short(other)
}
