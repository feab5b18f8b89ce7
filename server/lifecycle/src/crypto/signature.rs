//! Signatures as JWS writes them (RFC 7515, 7518, 8037).

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};

use super::jwk::Jwk;
use super::{Error, known};

/// JWS algorithms by RFC 7518 section 3.1 and RFC 8037 section 3.1. There is no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    /// Ed25519.
    EdDsa,
}

/// How an algorithm checks.
enum Scheme {
    Hmac(hmac::Algorithm),
    Rsa(&'static aws::RsaParameters),
    /// With the length of a coordinate in bytes.
    Curve(&'static dyn VerificationAlgorithm, usize),
    Edwards,
}

impl Algorithm {
    /// The name in a JWS header and a JWK's `alg`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The JWK `kty` it needs.
    pub(super) fn key_type(self) -> &'static str {
        match self.scheme() {
            Scheme::Hmac(_) => "oct",
            Scheme::Rsa(_) => "RSA",
            Scheme::Curve(..) => "EC",
            Scheme::Edwards => "OKP",
        }
    }

    /// The JWK `crv` it needs.
    pub(super) const fn curve(self) -> Option<&'static str> {
        match self {
            Self::Es256 => Some("P-256"),
            Self::Es384 => Some("P-384"),
            Self::Es512 => Some("P-521"),
            Self::EdDsa => Some("Ed25519"),
            _ => None,
        }
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Hs256 => Scheme::Hmac(hmac::HMAC_SHA256),
            Self::Hs384 => Scheme::Hmac(hmac::HMAC_SHA384),
            Self::Hs512 => Scheme::Hmac(hmac::HMAC_SHA512),
            Self::Rs256 => Scheme::Rsa(&aws::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Scheme::Rsa(&aws::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Scheme::Rsa(&aws::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Scheme::Rsa(&aws::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Scheme::Rsa(&aws::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Scheme::Rsa(&aws::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Scheme::Curve(&aws::ECDSA_P256_SHA256_FIXED, 32),
            Self::Es384 => Scheme::Curve(&aws::ECDSA_P384_SHA384_FIXED, 48),
            Self::Es512 => Scheme::Curve(&aws::ECDSA_P521_SHA512_FIXED, 66),
            Self::EdDsa => Scheme::Edwards,
        }
    }
}

/// Checks a signature. `key` is one JWK as JSON and has to fit the algorithm.
pub(crate) fn verify(
    algorithm: Algorithm,
    key: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    if let Scheme::Hmac(digest) = algorithm.scheme() {
        let key = secret_key(algorithm, digest, key)?;
        return Ok(hmac::verify(&key, message, signature).is_ok());
    }
    let key = known::key(algorithm, key, || public_key(algorithm, key))?;
    Ok(key.verify_sig(message, signature).is_ok())
}

fn secret_key(algorithm: Algorithm, digest: hmac::Algorithm, text: &str) -> Result<hmac::Key, Error> {
    let secret = Jwk::parse(text, algorithm)?.secret()?;
    // RFC 7518 section 3.2: "a key of the same size as the hash output or larger MUST be used".
    let least = digest.digest_algorithm().output_len();
    if secret.len() < least {
        return Err(Error::bad_key(format!("k: {} needs at least {least} bytes", algorithm.name())));
    }
    Ok(hmac::Key::new(digest, &secret))
}

fn public_key(algorithm: Algorithm, text: &str) -> Result<ParsedPublicKey, Error> {
    let key = Jwk::parse(text, algorithm)?;
    let read = match algorithm.scheme() {
        Scheme::Hmac(_) => return Err(Error::bad_key("kty: a symmetric key is nobody's public key")),
        Scheme::Rsa(parameters) => {
            let (n, e) = key.rsa()?;
            // RFC 7518 section 3.3: 2048 bits at the least. The upper bound keeps one check cheap.
            if !(256..=1024).contains(&n.len()) {
                return Err(Error::bad_key("n: an RSA key has 2048 to 8192 bits"));
            }
            RsaPublicKeyComponents { n: &n, e: &e }.to_parsed_public_key(parameters)
        }
        Scheme::Curve(curve, coordinate) => ParsedPublicKey::new(curve, key.point(coordinate)?),
        Scheme::Edwards => ParsedPublicKey::new(&aws::ED25519, key.edwards()?),
    };
    // For instance a point that is not on the curve (RFC 7518 section 6.2.1).
    read.map_err(|_| Error::bad_key(format!("not a public key for {}", algorithm.name())))
}

#[cfg(test)]
mod tests;
