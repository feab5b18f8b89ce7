//! A space in the server's memory: for one server, and gone when it stops.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::{Answer, Bucket, Change, Counted, Store, Taken};

mod space;

pub(crate) use space::Quota;
use space::Space;

/// How often expired entries that nobody asks for are thrown out.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// See [`Store`].
pub(crate) struct Memory {
    space: Arc<Space>,
    since: Instant,
    sweeper: AbortHandle,
}

impl Memory {
    /// An empty space. Runs on tokio, which throws out expired entries until this is dropped.
    pub(crate) fn new(quota: Quota) -> Self {
        let space = Arc::new(Space::new(quota));
        let since = Instant::now();
        let sweeper = tokio::spawn(sweep(Arc::downgrade(&space), since)).abort_handle();
        Self { space, since, sweeper }
    }

    fn now_ms(&self) -> u64 {
        millis(self.since)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

async fn sweep(space: Weak<Space>, since: Instant) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(space) = space.upgrade() else { return };
        space.sweep(millis(since));
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Nothing here waits: a lock is held for a look into a table.
impl Store for Memory {
    fn answers_at_once(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(self.space.get(key, self.now_ms())) })
    }

    fn put<'a>(&'a self, key: &'a str, value: Vec<u8>, ttl_ms: Option<u64>) -> Answer<'a, ()> {
        Box::pin(async move { self.space.put(key, value, ttl_ms, self.now_ms()) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async {
            self.space.delete(key);
            Ok(())
        })
    }

    fn increment<'a>(&'a self, key: &'a str, change: Change) -> Answer<'a, Counted> {
        Box::pin(async move { self.space.increment(key, change, self.now_ms()) })
    }

    fn take<'a>(&'a self, key: &'a str, bucket: Bucket, amount: u64) -> Answer<'a, Taken> {
        Box::pin(async move {
            let now = self.now_ms();
            self.space.bucket(key, |level| bucket.take(level, amount, now), now)
        })
    }

    fn adjust<'a>(&'a self, key: &'a str, bucket: Bucket, amount: i64) -> Answer<'a, Taken> {
        Box::pin(async move {
            let now = self.now_ms();
            self.space.bucket(key, |level| bucket.adjust(level, amount, now), now)
        })
    }
}
