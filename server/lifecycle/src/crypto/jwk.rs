//! JSON Web Keys (RFC 7517), as far as checking signatures needs them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Error;
use super::signature::Algorithm;

/// A key's public or symmetric members. Others (`x5c`, `kid`, ...) have no say: RFC 8725 section 3.10.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    intended_use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<Zeroizing<String>>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    /// Reads a key and checks that it is one for checking signatures by this algorithm.
    pub(super) fn parse(json: &str, algorithm: Algorithm) -> Result<Self, Error> {
        // The parser's own text may quote the key, so only the position is passed on.
        let key: Self = serde_json::from_str(json)
            .map_err(|error| Error::bad_key(format!("not a JWK: mistake at column {}", error.column())))?;
        key.fits(algorithm)?;
        Ok(key)
    }

    fn fits(&self, algorithm: Algorithm) -> Result<(), Error> {
        let name = algorithm.name();
        if self.kty != algorithm.key_type() {
            return Err(Error::bad_key(format!("kty: {name} needs `{}`", algorithm.key_type())));
        }
        if self.crv.as_deref() != algorithm.curve() {
            return Err(match algorithm.curve() {
                Some(curve) => Error::bad_key(format!("crv: {name} needs `{curve}`")),
                None => Error::bad_key(format!("crv: {name} has no curve")),
            });
        }
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return Err(Error::bad_key(format!("alg: the key is bound to another algorithm than {name}")));
        }
        if self.intended_use.as_deref().is_some_and(|value| value != "sig") {
            return Err(Error::bad_key("use: the key is not for signatures"));
        }
        if self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return Err(Error::bad_key("key_ops: the key is not for `verify`"));
        }
        Ok(())
    }

    /// The symmetric key `k`.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let text = self.k.as_ref().map(|text| text.as_str());
        decode("k", text).map(Zeroizing::new)
    }

    /// RSA modulus and exponent, big-endian without leading zeros.
    pub(super) fn rsa(&self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        Ok((unsigned(decode("n", self.n.as_deref())?), unsigned(decode("e", self.e.as_deref())?)))
    }

    /// A curve point, uncompressed (SEC 1 section 2.3.3). RFC 7518 section 6.2.1.2 fixes the length of a coordinate.
    pub(super) fn point(&self, coordinate: usize) -> Result<Vec<u8>, Error> {
        let mut point = vec![0x04];
        for (name, text) in [("x", &self.x), ("y", &self.y)] {
            point.extend(exactly(name, decode(name, text.as_deref())?, coordinate)?);
        }
        Ok(point)
    }

    /// An Edwards public key (RFC 8037 section 2).
    pub(super) fn edwards(&self) -> Result<Vec<u8>, Error> {
        exactly("x", decode("x", self.x.as_deref())?, 32)
    }
}

fn decode(name: &str, text: Option<&str>) -> Result<Vec<u8>, Error> {
    let text = text.ok_or_else(|| Error::bad_key(format!("{name}: missing")))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::bad_key(format!("{name}: not base64url without padding")))
}

fn exactly(name: &str, bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, Error> {
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(Error::bad_key(format!("{name}: {} bytes long, not {length}", bytes.len())))
    }
}

fn unsigned(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}
