//! This plugin's own key-value space, which outlives instances, reloads and swaps. By grant.
//!
//! It lies in the server's memory, or in a store that several replicas share. Every function is atomic, for all replicas, so
//! count with [`increment`], [`take`] and [`adjust`] and not with [`get`] and [`put`].

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::kv as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::kv as imports;

pub use crate::bindings::mlx_gate::plugin::kv::{Bucket, Counted, Error, Taken};

/// The value that was last [`put`] under the key, while it lives.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    imports::get(key)
}

/// Keeps a value, for so many milliseconds from now or for good.
pub fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    imports::put(key, value, ttl_ms)
}

/// Forgets what is under the key, of whatever kind; that nothing is there is no error.
pub fn delete(key: &str) -> Result<(), Error> {
    imports::delete(key)
}

/// Adds to a counter, which starts at 0 and lives for so many milliseconds from each addition. Where the sum would be more
/// than `at_most`, nothing is added. A sum below 0 becomes 0.
pub fn increment(key: &str, by: i64, at_most: Option<i64>, ttl_ms: Option<u64>) -> Result<Counted, Error> {
    imports::increment(key, by, at_most, ttl_ms)
}

/// Takes the amount from a token bucket if all of it is there. Amount 0 only looks.
pub fn take(key: &str, bucket: Bucket, amount: u64) -> Result<Taken, Error> {
    imports::take(key, bucket, amount)
}

/// Corrects an earlier [`take`]: gives back a positive amount, or takes the missing amount of a negative one without asking,
/// into debt if need be.
pub fn adjust(key: &str, bucket: Bucket, amount: i64) -> Result<Taken, Error> {
    imports::adjust(key, bucket, amount)
}
