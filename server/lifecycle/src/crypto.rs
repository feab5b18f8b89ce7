//! The primitives behind the plugins' `crypto` interface, run natively on aws-lc. No wasmtime here: `host` binds them.

mod jwk;
mod known;
pub(crate) mod password;
pub(crate) mod signature;

use aws_lc_rs::{constant_time, digest};

/// Digests by FIPS 180-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// Why a key or hash cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// No such algorithm, kind of key or kind of hash here.
    Unsupported,
    /// Cannot be read, or does not fit the algorithm. The text names the field and never holds its value.
    BadKey(String),
}

impl Error {
    fn bad_key(message: impl Into<String>) -> Self {
        Self::BadKey(message.into())
    }
}

/// The digest: 32, 48 or 64 bytes.
pub(crate) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => &digest::SHA256,
        DigestAlgorithm::Sha384 => &digest::SHA384,
        DigestAlgorithm::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, data).as_ref().to_vec()
}

/// Equality in a time that depends on the lengths alone.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
