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

/// HMAC with SHA-256 (RFC 2104): a digest that only the key's owners can make. For what is easily guessed, addresses say, a
/// bare digest hides nothing.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&sha256(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8, message: &[u8]| sha256(&[&padded.map(|byte| byte ^ pad), message].concat());
    keyed(0x5c, &keyed(0x36, message))
}

/// Bytes as hexadecimal digits, lower case.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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

#[cfg(test)]
mod tests {
    use super::{hex, hmac_sha256};

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Test cases 1, 2 and 6.
        for (key, message, expected) in [
            (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac_sha256(key, message.as_bytes())), expected);
        }
    }
}
