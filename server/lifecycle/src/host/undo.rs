//! What a call has taken in `kv`, put back where the call fails: it has no ticket by which the plugin could settle it.

use super::State;
use crate::kv::{Bucket, Change, Store};

/// Changes that are put back. One call of an honest limiter takes from a few counters.
const MOST: usize = 256;

/// What one call has taken and not given back by itself, by key.
#[derive(Default)]
pub(super) struct Taken {
    counters: Vec<Counted>,
    buckets: Vec<Drawn>,
}

struct Counted {
    key: String,
    by: i64,
    /// The last one said. It is the counter's, and putting back must not change it.
    ttl_ms: Option<u64>,
}

struct Drawn {
    key: String,
    bucket: Bucket,
    amount: i64,
}

impl Taken {
    fn count(&mut self, key: &str, change: Change) {
        let Change { by, ttl_ms, .. } = change;
        if let Some(counted) = self.counters.iter_mut().find(|counted| counted.key == key) {
            counted.by = counted.by.saturating_add(by);
            counted.ttl_ms = ttl_ms;
        } else if self.counters.len() < MOST {
            self.counters.push(Counted { key: key.to_owned(), by, ttl_ms });
        }
    }

    fn draw(&mut self, key: &str, bucket: Bucket, amount: i64) {
        let known = self.buckets.iter_mut().find(|drawn| drawn.key == key && drawn.bucket == bucket);
        if let Some(drawn) = known {
            drawn.amount = drawn.amount.saturating_add(amount);
        } else if self.buckets.len() < MOST {
            self.buckets.push(Drawn { key: key.to_owned(), bucket, amount });
        }
    }

    /// Puts back what is left of it. What the call gave back beyond what it took stays given: it was another's.
    async fn put_back(self, store: &dyn Store) {
        for Counted { key, by, ttl_ms } in self.counters.into_iter().filter(|counted| counted.by > 0) {
            // Going down needs no room, so nothing is in its way.
            let _ = store.increment(&key, Change { by: -by, at_most: None, ttl_ms }).await;
        }
        for Drawn { key, bucket, amount } in self.buckets.into_iter().filter(|drawn| drawn.amount > 0) {
            let _ = store.adjust(&key, bucket, amount).await;
        }
    }
}

impl State {
    /// Takes note of an addition to a counter.
    pub(super) fn has_counted(&mut self, key: &str, change: Change) {
        if let Some(taken) = &mut self.taken {
            taken.count(key, change);
        }
    }

    /// Takes note of what was taken from a bucket, or, where it is negative, given back.
    pub(super) fn has_drawn(&mut self, key: &str, bucket: Bucket, amount: i64) {
        if let Some(taken) = &mut self.taken {
            taken.draw(key, bucket, amount);
        }
    }

    /// Puts back what the call has taken, which has failed.
    pub(crate) async fn put_back(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.put_back(&*self.services.kv).await;
        }
    }
}
