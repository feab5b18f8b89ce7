//! The key-value space, on the fake clock.

use std::collections::HashMap;

use super::with_host;
use crate::kv::{Bucket, Counted, Error, Taken};

/// Everything a plugin keeps. Values, counters and buckets of one name do not meet.
#[derive(Default)]
pub(super) struct Space {
    values: HashMap<String, Lasting<Vec<u8>>>,
    counters: HashMap<String, Lasting<i64>>,
    buckets: HashMap<String, Level>,
    pub(super) failure: Option<Error>,
}

struct Lasting<T> {
    value: T,
    until_ms: Option<u64>,
}

impl<T> Lasting<T> {
    fn new(value: T, now_ms: u64, ttl_ms: Option<u64>) -> Self {
        Self { value, until_ms: ttl_ms.map(|ttl_ms| now_ms.saturating_add(ttl_ms)) }
    }
}

/// What is in a bucket, below 0 where it is in debt.
#[derive(Clone, Copy)]
struct Level {
    tokens: f64,
    at_ms: u64,
}

fn live<'a, T>(entries: &'a HashMap<String, Lasting<T>>, key: &str, now_ms: u64) -> Option<&'a T> {
    let entry = entries.get(key)?;
    entry.until_ms.is_none_or(|until_ms| now_ms < until_ms).then_some(&entry.value)
}

/// What sums of fractions may be off by. Without it, a caller who waits exactly as long as told could be sent away again.
const DUST: f64 = 1e-6;

impl Space {
    /// Lets an amount flow out, where it is there or nobody asks whether it is.
    fn flow(&mut self, now_ms: u64, key: &str, bucket: Bucket, amount: f64, asking: bool) -> Taken {
        let capacity = bucket.capacity as f64;
        let before = self.buckets.get(key).copied().unwrap_or(Level { tokens: capacity, at_ms: now_ms });
        let flown = now_ms.saturating_sub(before.at_ms) as f64 / 1000.0 * bucket.refill_per_second;
        let there = (before.tokens + flown).min(capacity);
        let allowed = !asking || there + DUST >= amount;
        let tokens = if allowed { (there - amount).min(capacity) } else { there };
        self.buckets.insert(key.to_owned(), Level { tokens, at_ms: now_ms });
        let until_ms = |wanted: f64| match wanted - tokens {
            missing if missing <= DUST => 0,
            missing => (missing / bucket.refill_per_second * 1000.0).ceil() as u64,
        };
        Taken {
            allowed,
            remaining: (tokens + DUST) as u64,
            retry_after_ms: match allowed {
                true => 0,
                false if amount > capacity => u64::MAX,
                false => until_ms(amount),
            },
            full_after_ms: until_ms(capacity),
        }
    }
}

fn with_space<T>(action: impl FnOnce(&mut Space, u64) -> T) -> Result<T, Error> {
    with_host(|host| match &host.kv.failure {
        Some(failure) => Err(failure.clone()),
        None => Ok(action(&mut host.kv, host.now_ms)),
    })
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    with_space(|space, now_ms| live(&space.values, key, now_ms).cloned())
}

pub(crate) fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    with_space(|space, now_ms| {
        space.values.insert(key.to_owned(), Lasting::new(value.to_owned(), now_ms, ttl_ms));
    })
}

pub(crate) fn delete(key: &str) -> Result<(), Error> {
    with_space(|space, _| {
        space.values.remove(key);
        space.counters.remove(key);
        space.buckets.remove(key);
    })
}

pub(crate) fn increment(
    key: &str,
    by: i64,
    at_most: Option<i64>,
    ttl_ms: Option<u64>,
) -> Result<Counted, Error> {
    with_space(|space, now_ms| {
        let value = live(&space.counters, key, now_ms).copied().unwrap_or(0);
        let sum = value.saturating_add(by).max(0);
        if at_most.is_some_and(|most| sum > most) {
            return Counted { value, added: false };
        }
        // Adding nothing does not prolong a life.
        if by != 0 {
            space.counters.insert(key.to_owned(), Lasting::new(sum, now_ms, ttl_ms));
        }
        Counted { value: sum, added: true }
    })
}

pub(crate) fn take(key: &str, bucket: Bucket, amount: u64) -> Result<Taken, Error> {
    let amount = amount as f64;
    with_space(|space, now_ms| space.flow(now_ms, key, bucket, amount, true))
}

pub(crate) fn adjust(key: &str, bucket: Bucket, amount: i64) -> Result<Taken, Error> {
    with_space(|space, now_ms| space.flow(now_ms, key, bucket, -(amount as f64), false))
}

#[cfg(test)]
mod tests {
    use crate::kv::{self, Bucket, Error};
    use crate::testing::FakeHost;

    const BUCKET: Bucket = Bucket { capacity: 10, refill_per_second: 2.0 };

    #[test]
    fn values_live_for_their_ttl() {
        FakeHost::set_now_ms(0);
        kv::put("a", b"1", Some(100)).expect("it is there");
        kv::put("b", b"2", None).expect("it is there");
        FakeHost::set_now_ms(99);
        assert_eq!(kv::get("a"), Ok(Some(b"1".to_vec())));
        FakeHost::set_now_ms(100);
        assert_eq!(kv::get("a"), Ok(None));
        assert_eq!(kv::get("b"), Ok(Some(b"2".to_vec())));
        kv::delete("b").expect("it is there");
        assert_eq!(kv::get("b"), Ok(None));
    }

    #[test]
    fn counters_are_bounded_and_live_from_each_addition() {
        FakeHost::set_now_ms(0);
        let add = |by, at_most| {
            let counted = kv::increment("a", by, at_most, Some(100)).expect("it is there");
            (counted.value, counted.added)
        };
        assert_eq!(add(1, Some(2)), (1, true));
        FakeHost::set_now_ms(60);
        assert_eq!(add(1, Some(2)), (2, true));
        assert_eq!(add(1, Some(2)), (2, false));
        FakeHost::set_now_ms(159);
        assert_eq!(add(-1, None), (1, true));
        assert_eq!(add(-5, None), (0, true));
        assert_eq!(add(7, None), (7, true));
        FakeHost::set_now_ms(258);
        assert_eq!(add(0, None), (7, true));
        FakeHost::set_now_ms(259);
        assert_eq!(add(1, None), (1, true));
    }

    #[test]
    fn a_bucket_fills_with_time_and_may_owe() {
        FakeHost::set_now_ms(0);
        let seen = |taken: Result<kv::Taken, Error>| {
            let taken = taken.expect("it is there");
            (taken.allowed, taken.remaining, taken.retry_after_ms, taken.full_after_ms)
        };
        assert_eq!(seen(kv::take("a", BUCKET, 0)), (true, 10, 0, 0));
        assert_eq!(seen(kv::take("a", BUCKET, 8)), (true, 2, 0, 4000));
        assert_eq!(seen(kv::take("a", BUCKET, 3)), (false, 2, 500, 4000));
        FakeHost::set_now_ms(500);
        assert_eq!(seen(kv::take("a", BUCKET, 3)), (true, 0, 0, 5000));
        assert_eq!(seen(kv::adjust("a", BUCKET, -4)), (true, 0, 0, 7000));
        assert_eq!(seen(kv::take("a", BUCKET, 1)), (false, 0, 2500, 7000));
        assert_eq!(seen(kv::take("a", BUCKET, 0)), (false, 0, 2000, 7000), "in debt, a look says so");
        assert_eq!(seen(kv::adjust("a", BUCKET, 100)), (true, 10, 0, 0));
        assert_eq!(seen(kv::take("a", BUCKET, 11)), (false, 10, u64::MAX, 0), "it will never hold so much");
    }

    #[test]
    fn it_can_be_made_to_fail() {
        FakeHost::fail_kv(Some(Error::Quota));
        assert_eq!(kv::get("a"), Err(Error::Quota));
        FakeHost::fail_kv(None);
        assert_eq!(kv::get("a"), Ok(None));
    }
}
