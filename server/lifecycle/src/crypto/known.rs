//! Public keys that have been read before, so that reading them is not paid for with every signature.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::ParsedPublicKey;

use super::Error;
use super::signature::Algorithm;

/// The most keys that are remembered, of all plugins together; an issuer has a handful. When there are more, all are
/// forgotten: they are only read once more.
const MOST: usize = 512;

/// By SHA-256 of algorithm and text, so that a key is never taken for another.
static KEYS: LazyLock<RwLock<HashMap<[u8; 32], Arc<ParsedPublicKey>>>> = LazyLock::new(RwLock::default);

/// The key that `text` is, for this algorithm: remembered, else read.
pub(super) fn key(
    algorithm: Algorithm,
    text: &str,
    read: impl FnOnce() -> Result<ParsedPublicKey, Error>,
) -> Result<Arc<ParsedPublicKey>, Error> {
    let mut digest = Context::new(&SHA256);
    digest.update(algorithm.name().as_bytes());
    digest.update(text.as_bytes());
    let mut name = [0; 32];
    name.copy_from_slice(digest.finish().as_ref());
    // An insertion is not left half done.
    if let Some(key) = KEYS.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
        return Ok(key.clone());
    }
    let key = Arc::new(read()?);
    let mut keys = KEYS.write().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= MOST {
        keys.clear();
    }
    keys.insert(name, key.clone());
    Ok(key)
}
