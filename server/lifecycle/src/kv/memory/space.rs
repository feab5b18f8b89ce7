use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kv::{Change, Counted, Error, Level, Taken};

/// How much one space may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) entries: usize,
    /// Keys, values and what is needed to keep them.
    pub(crate) bytes: usize,
}

impl Default for Quota {
    /// A few buckets for each of some 50,000 callers.
    fn default() -> Self {
        Self { entries: 200_000, bytes: 64 << 20 }
    }
}

/// Locks that callers of different keys spread over.
const SHARDS: usize = 16;

/// What an entry costs besides its key and its value: table slot, allocations, expiry.
const OVERHEAD: usize = 96;

/// A full space is searched for expired entries at most so often.
const SEARCH_EVERY_MS: u64 = 1000;

/// The tables. Time is handed in, in milliseconds since some start.
pub(super) struct Space {
    /// Keyed at random, so that nobody can choose keys that collide.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    held: Held,
    searched_at: AtomicU64,
}

#[derive(Default)]
struct Shard {
    values: Table<Vec<u8>>,
    counters: Table<i64>,
    buckets: Table<Level>,
}

type Table<T> = HashMap<Box<str>, Entry<T>>;

struct Entry<T> {
    what: T,
    expires_at: u64,
}

/// What is held now, against the quota.
struct Held {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    quota: Quota,
}

impl Space {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            held: Held { entries: AtomicUsize::new(0), bytes: AtomicUsize::new(0), quota },
            searched_at: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<Vec<u8>> {
        live(&self.shard(key).values, key, now).cloned()
    }

    pub(super) fn put(
        &self,
        key: &str,
        mut value: Vec<u8>,
        ttl_ms: Option<u64>,
        now: u64,
    ) -> Result<(), Error> {
        self.in_shard(key, now, |shard| {
            let bytes = value.len();
            let entry = || Entry { what: std::mem::take(&mut value), expires_at: expiry(ttl_ms, now) };
            self.held.insert(&mut shard.values, key, bytes, entry)
        })
    }

    pub(super) fn delete(&self, key: &str) {
        let mut shard = self.shard(key);
        self.held.remove(&mut shard.values, key);
        self.held.remove(&mut shard.counters, key);
        self.held.remove(&mut shard.buckets, key);
    }

    pub(super) fn increment(&self, key: &str, change: Change, now: u64) -> Result<Counted, Error> {
        self.in_shard(key, now, |shard| {
            let counted = change.apply(live(&shard.counters, key, now).copied().unwrap_or(0));
            if !counted.added || change.by == 0 {
                return Ok(counted);
            }
            let expires_at = expiry(change.ttl_ms, now);
            if counted.value == 0 {
                self.held.remove(&mut shard.counters, key);
            } else {
                self.held
                    .insert(&mut shard.counters, key, 0, || Entry { what: counted.value, expires_at })?;
            }
            Ok(counted)
        })
    }

    /// Asks a bucket. One that is full is not kept.
    pub(super) fn bucket(
        &self,
        key: &str,
        ask: impl Fn(Option<Level>) -> (Level, Taken),
        now: u64,
    ) -> Result<Taken, Error> {
        self.in_shard(key, now, |shard| {
            let (level, taken) = ask(live(&shard.buckets, key, now).copied());
            if taken.full_after_ms == 0 {
                self.held.remove(&mut shard.buckets, key);
            } else {
                let expires_at = now.saturating_add(taken.full_after_ms);
                self.held.insert(&mut shard.buckets, key, 0, || Entry { what: level, expires_at })?;
            }
            Ok(taken)
        })
    }

    /// Throws out what has expired.
    pub(super) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let shard = &mut *lock(shard);
            self.held.sweep(&mut shard.values, now);
            self.held.sweep(&mut shard.counters, now);
            self.held.sweep(&mut shard.buckets, now);
        }
    }

    /// Does something that may need room, and does it again where throwing out expired entries could make some.
    fn in_shard<T>(
        &self,
        key: &str,
        now: u64,
        mut work: impl FnMut(&mut Shard) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let first = work(&mut self.shard(key));
        if first.is_ok() {
            return first;
        }
        let searched_at = self.searched_at.load(Relaxed);
        let due = now.saturating_sub(searched_at) >= SEARCH_EVERY_MS || searched_at == 0;
        // Of several callers who find the space full, one searches it.
        if !due || self.searched_at.compare_exchange(searched_at, now.max(1), Relaxed, Relaxed).is_err() {
            return first;
        }
        self.sweep(now);
        work(&mut self.shard(key))
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.hasher.hash_one(key) as usize % SHARDS])
    }
}

impl Held {
    /// Inserts or replaces an entry, if there is room.
    fn insert<T: Size>(
        &self,
        table: &mut Table<T>,
        key: &str,
        bytes: usize,
        entry: impl FnOnce() -> Entry<T>,
    ) -> Result<(), Error> {
        if let Some(there) = table.get_mut(key) {
            let before = there.what.size();
            self.reserve(0, bytes.saturating_sub(before))?;
            self.bytes.fetch_sub(before.saturating_sub(bytes), Relaxed);
            *there = entry();
            return Ok(());
        }
        self.reserve(1, key.len() + bytes + OVERHEAD)?;
        table.insert(key.into(), entry());
        Ok(())
    }

    fn remove<T: Size>(&self, table: &mut Table<T>, key: &str) {
        if let Some(entry) = table.remove(key) {
            self.release(key, entry.what.size());
        }
    }

    fn sweep<T: Size>(&self, table: &mut Table<T>, now: u64) {
        table.retain(|key, entry| {
            let stays = entry.expires_at > now;
            if !stays {
                self.release(key, entry.what.size());
            }
            stays
        });
        // A flood leaves a table behind that is large and empty.
        if table.len() < table.capacity() / 4 {
            table.shrink_to(table.len() * 2);
        }
    }

    fn reserve(&self, entries: usize, bytes: usize) -> Result<(), Error> {
        add_within(&self.entries, entries, self.quota.entries)?;
        add_within(&self.bytes, bytes, self.quota.bytes).inspect_err(|_| {
            self.entries.fetch_sub(entries, Relaxed);
        })
    }

    fn release(&self, key: &str, bytes: usize) {
        self.entries.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(key.len() + bytes + OVERHEAD, Relaxed);
    }
}

/// What of an entry is kept outside its table.
trait Size {
    fn size(&self) -> usize;
}

impl Size for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for i64 {
    fn size(&self) -> usize {
        0
    }
}

impl Size for Level {
    fn size(&self) -> usize {
        0
    }
}

fn live<'t, T>(table: &'t Table<T>, key: &str, now: u64) -> Option<&'t T> {
    table.get(key).filter(|entry| entry.expires_at > now).map(|entry| &entry.what)
}

fn expiry(ttl_ms: Option<u64>, now: u64) -> u64 {
    ttl_ms.map_or(u64::MAX, |ttl| now.saturating_add(ttl))
}

fn add_within(total: &AtomicUsize, amount: usize, most: usize) -> Result<(), Error> {
    let sum = |held: usize| held.checked_add(amount).filter(|sum| *sum <= most);
    if amount == 0 {
        return Ok(());
    }
    total.fetch_update(Relaxed, Relaxed, sum).map(drop).map_err(|_| Error::Quota)
}

/// A panic while a table was locked left it as sound as it was: nothing in here is half done when something can fail.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
