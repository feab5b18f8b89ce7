//! The key-value spaces behind the host interface `kv`: what a space can do, and where it is kept.

use mlx_gate_core::BoxFuture;

mod bucket;
mod memory;

pub(crate) use bucket::{Bucket, Level, Taken};
pub(crate) use memory::{Memory, Quota};

/// The longest key, in bytes.
pub(crate) const LONGEST_KEY: usize = 512;
/// The longest value, in bytes.
pub(crate) const LONGEST_VALUE: usize = 64 << 10;

/// One plugin's space. Values, counters and buckets are kinds apart: one key may name one of each. Every function is
/// atomic. Keys and values are within the bounds above when they come here.
pub(crate) trait Store: Send + Sync {
    /// Whether its answers are there as soon as they are asked for.
    fn answers_at_once(&self) -> bool;

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>>;

    /// An entry without a TTL stays.
    fn put<'a>(&'a self, key: &'a str, value: Vec<u8>, ttl_ms: Option<u64>) -> Answer<'a, ()>;

    /// Deletes the value, the counter and the bucket of this key.
    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()>;

    /// Adds to a counter. One that is 0 does not exist, and adding 0 changes nothing, the TTL included.
    fn increment<'a>(&'a self, key: &'a str, change: Change) -> Answer<'a, Counted>;

    /// Takes from a bucket, or only looks where the amount is 0.
    fn take<'a>(&'a self, key: &'a str, bucket: Bucket, amount: u64) -> Answer<'a, Taken>;

    /// Gives back to a bucket, or takes without asking where the amount is negative.
    fn adjust<'a>(&'a self, key: &'a str, bucket: Bucket, amount: i64) -> Answer<'a, Taken>;
}

/// What a store answers, as soon as it can.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Why a store did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The space is full.
    Quota,
}

/// An addition to a counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) by: i64,
    /// Nothing is added where the sum would be more.
    pub(crate) at_most: Option<i64>,
    pub(crate) ttl_ms: Option<u64>,
}

impl Change {
    /// The counter's value afterwards, and whether anything was added.
    pub(crate) fn apply(self, value: i64) -> Counted {
        let sum = value.checked_add(self.by);
        // A sum that no counter can hold is more than any bound; without a bound the counter stays at its end.
        let fits = self.at_most.is_none_or(|most| sum.is_some_and(|sum| sum <= most));
        if !fits {
            return Counted { value, added: false };
        }
        Counted { value: value.saturating_add(self.by).max(0), added: true }
    }
}

/// A counter after an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) value: i64,
    pub(crate) added: bool,
}

#[cfg(test)]
mod tests {
    use super::{Change, Counted};

    #[test]
    fn a_counter_stays_within_its_bounds() {
        for (value, by, at_most, after, added) in [
            (0, 5, None, 5, true),
            (5, 5, Some(10), 10, true),
            (5, 6, Some(10), 5, false),
            // The bound was lowered: the counter is above it, and even going down is judged by the sum.
            (20, -5, Some(10), 20, false),
            (20, -10, Some(10), 10, true),
            (3, -5, None, 0, true),
            (i64::MAX, 1, None, i64::MAX, true),
            (i64::MAX, 1, Some(i64::MAX), i64::MAX, false),
            (0, i64::MIN, None, 0, true),
            (7, 0, Some(7), 7, true),
            (0, 0, Some(-1), 0, false),
        ] {
            let change = Change { by, at_most, ttl_ms: None };
            assert_eq!(change.apply(value), Counted { value: after, added }, "{value} {by} {at_most:?}");
        }
    }
}
