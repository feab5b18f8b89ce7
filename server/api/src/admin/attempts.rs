//! How often somebody may guess the admin key.
//!
//! Each wrong key costs the place it comes from a token, and all places together another. Who has none left is not
//! heard, not even with the right key: otherwise the bound would hold up nobody who finds it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong keys from one place in a row, and the time after which one more is heard.
const OF_A_PLACE: Bucket = Bucket { most: 10, each: Duration::from_secs(6) };

/// The same for all places together.
const OF_ALL: Bucket = Bucket { most: 100, each: Duration::from_millis(600) };

/// Most places that are remembered. What all may guess together fills a fifth of it: a place with nothing against it is
/// forgotten.
const PLACES: usize = 1024;

/// The wrong keys of late.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Ledger>);

#[derive(Default)]
struct Ledger {
    all: Level,
    places: HashMap<u128, Place>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    level: Level,
    /// The right key came from here. What strangers do elsewhere cannot lock its holder out.
    proven: bool,
}

/// A token bucket, as the instant at which it will be full again. `None` is full.
#[derive(Clone, Copy, Default)]
struct Level(Option<Instant>);

struct Bucket {
    most: u32,
    each: Duration,
}

impl Attempts {
    /// Judges a key from an address: whether it is right, or how long nothing from there will be heard. Only one is
    /// judged at a time, so that no number of simultaneous guesses gets past the bound.
    pub(super) fn judge(
        &self,
        from: Option<IpAddr>,
        is_right: impl FnOnce() -> bool,
    ) -> Result<bool, Duration> {
        let from = from.map_or(0, network);
        let now = Instant::now();
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Place { level, proven } = ledger.places.get(&from).copied().unwrap_or_default();
        let mut wait = OF_A_PLACE.wait(level, now);
        if !proven {
            wait = wait.max(OF_ALL.wait(ledger.all, now));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        let right = is_right();
        if right && !proven {
            ledger.remember(from, Place { level, proven: true }, now);
        } else if !right {
            ledger.remember(from, Place { level: OF_A_PLACE.take(level, now), proven }, now);
            ledger.all = OF_ALL.take(ledger.all, now);
        }
        Ok(right)
    }
}

impl Ledger {
    fn remember(&mut self, from: u128, place: Place, now: Instant) {
        if self.places.len() >= PLACES && !self.places.contains_key(&from) {
            self.places.retain(|_, place| place.level.0.is_some_and(|full| full > now));
        }
        if self.places.len() < PLACES || self.places.contains_key(&from) {
            self.places.insert(from, place);
        }
    }
}

impl Bucket {
    /// The time until there is a token.
    fn wait(&self, level: Level, now: Instant) -> Duration {
        let until_full = level.0.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        (until_full + self.each).saturating_sub(self.each * self.most)
    }

    fn take(&self, level: Level, now: Instant) -> Level {
        Level(Some(level.0.map_or(now, |full| full.max(now)) + self.each))
    }
}

/// What one person has to change to come from elsewhere: an IPv4 address, or the /64 that an IPv6 host picks its from.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}
