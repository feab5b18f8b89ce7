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
        let (capacity, refill_per_ms) = (bucket.capacity as f64, bucket.refill_per_second / 1000.0);
        let before = self.buckets.get(key).copied().unwrap_or(Level { tokens: capacity, at_ms: now_ms });
        // A clock that went back takes nothing out again.
        let now_ms = now_ms.max(before.at_ms);
        let flown = (now_ms - before.at_ms) as f64 * refill_per_ms;
        let there = (before.tokens + flown).min(capacity);
        let allowed = !asking || there + DUST >= amount;
        let tokens = if allowed { (there - amount).min(capacity) } else { there };
        self.buckets.insert(key.to_owned(), Level { tokens, at_ms: now_ms });
        let until_ms = |wanted: f64| match wanted - tokens {
            missing if missing <= DUST => 0,
            missing => (missing / refill_per_ms).ceil() as u64,
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
        // A sum that no counter can hold is more than any bound; without a bound the counter stays at its end.
        let within = |most| value.checked_add(by).is_some_and(|sum| sum <= most);
        if !at_most.is_none_or(within) {
            return Counted { value, added: false };
        }
        let sum = value.saturating_add(by).max(0);
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
    use crate::kv::{self, Bucket, Error, Taken};
    use crate::testing::FakeHost;

    /// The host has a test that reads the same table.
    #[test]
    fn it_does_what_the_hosts_does() {
        for line in include_str!("kv.cases").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (said, expected) = line.split_once(" = ").expect("a call and what it gives");
            let mut words = said.split_whitespace();
            FakeHost::set_now_ms(words.next().and_then(|word| word.parse().ok()).expect("a time"));
            assert_eq!(answer(&words.collect::<Vec<_>>()), expected, "{line}");
        }
    }

    fn answer(call: &[&str]) -> String {
        let number = |word: &str| word.parse().expect("a number");
        let ttl = |word: &str| (word != "-").then(|| word.parse().expect("a TTL"));
        let bucket = |capacity: &str, refill: &str| Bucket {
            capacity: capacity.parse().expect("a capacity"),
            refill_per_second: refill.parse().expect("an inflow"),
        };
        let level = |taken: Taken| {
            let Taken { allowed, remaining, retry_after_ms, full_after_ms } = taken;
            format!("{allowed} {remaining} {retry_after_ms} {full_after_ms}")
        };
        let answered = match call {
            ["get", key] => kv::get(key).map(|value| {
                value.map_or("none".to_owned(), |value| String::from_utf8(value).expect("text was put"))
            }),
            ["put", key, value, until] => {
                kv::put(key, value.as_bytes(), ttl(until)).map(|()| "ok".to_owned())
            }
            ["delete", key] => kv::delete(key).map(|()| "ok".to_owned()),
            ["increment", key, by, most, until] => {
                let most = (*most != "-").then(|| number(most));
                let counted = kv::increment(key, number(by), most, ttl(until));
                counted.map(|counted| format!("{} {}", counted.value, counted.added))
            }
            ["take", key, capacity, refill, amount] => {
                kv::take(key, bucket(capacity, refill), amount.parse().expect("an amount")).map(level)
            }
            ["adjust", key, capacity, refill, amount] => {
                kv::adjust(key, bucket(capacity, refill), number(amount)).map(level)
            }
            other => panic!("no call of a space: {other:?}"),
        };
        answered.expect("the space is there")
    }

    #[test]
    fn it_can_be_made_to_fail() {
        FakeHost::fail_kv(Some(Error::Quota));
        assert_eq!(kv::get("a"), Err(Error::Quota));
        FakeHost::fail_kv(None);
        assert_eq!(kv::get("a"), Ok(None));
    }
}
