use mlx_gate_core::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The admin key, as its SHA-256: memory holds nothing that could be presented, and comparing digests tells nothing
/// about how much of a guess is right.
pub(super) struct KeyHash([u8; 32]);

impl KeyHash {
    pub(super) fn of(key: &Secret) -> Self {
        Self(Sha256::digest(key.expose()).into())
    }

    /// Whether this is the key.
    pub(super) fn matches(&self, presented: &[u8]) -> bool {
        Sha256::digest(presented).ct_eq(&self.0).into()
    }
}
