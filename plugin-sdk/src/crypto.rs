//! The expensive or delicate primitives. The host runs them natively: an RSA signature takes 12 us there and 540 inside
//! WebAssembly.

#[cfg(not(target_arch = "wasm32"))]
use crate::testing as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::crypto as imports;

pub use crate::bindings::mlx_gate::plugin::crypto::{DigestAlgorithm, Error, SignatureAlgorithm};

/// The digest of the data: 32, 48 or 64 bytes.
pub fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
    imports::digest(algorithm, data)
}

/// The SHA-256 digest of the data.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(&digest(DigestAlgorithm::Sha256, data));
    sum
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone. Compare secrets with nothing else.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    imports::equal(a, b)
}

/// Checks a signature as JWS writes it. `key` is one JWK as JSON; the algorithm must fit it, so take the algorithm from
/// the configuration or the key and not from a token.
pub fn verify(
    algorithm: SignatureAlgorithm,
    key: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    imports::verify(algorithm, key, message, signature)
}

/// Checks a password against a hash in crypt(3) or htpasswd form.
pub fn verify_password(hash: &str, password: &str) -> Result<bool, Error> {
    imports::verify_password(hash, password)
}
