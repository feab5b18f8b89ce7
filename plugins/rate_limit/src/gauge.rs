//! One limit for one account: where it is counted, and how much of it a request takes.

use std::fmt::Write as _;

use mlx_gate_plugin::kv::{self, Counted, Error, Taken};

use crate::limit::{Limit, Measure};
use crate::rule::Rule;

/// A counter of requests in flight that nobody has touched for so long is forgotten: what it still counts was never
/// settled. Few requests last so long, and one that does only stops to count.
const LOST_AFTER_MS: u64 = 60 * 60 * 1000;

/// A day's counter outlives the day, so that whatever the clocks of replicas say it is there to the end.
const DAY_LASTS_MS: u64 = 25 * 60 * 60 * 1000;

/// How long somebody waits who waits for others to end, which nobody can foretell.
const SOON_MS: u64 = 1000;

pub(crate) struct Gauge<'r> {
    pub(crate) rule: &'r Rule,
    pub(crate) limit: Limit,
    /// What the request reserves.
    pub(crate) amount: u64,
    key: String,
}

/// How a gauge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) allowed: bool,
    pub(crate) remaining: u64,
    /// When asking again makes sense.
    pub(crate) retry_after_ms: u64,
    /// When all of the limit will be there.
    pub(crate) reset_after_ms: u64,
}

impl<'r> Gauge<'r> {
    pub(crate) fn new(rule: &'r Rule, limit: Limit, account: &str, tokens: u64, day: u64) -> Self {
        let mut key = [limit.kind.name(), "/", account].concat();
        if matches!(limit.measure(), Measure::Daily) {
            // Writing to a string does not fail.
            let _ = write!(key, "/{day}");
        }
        Self { rule, limit, amount: if limit.kind.counts_tokens() { tokens } else { 1 }, key }
    }

    /// Takes the amount, if all of it is there.
    pub(crate) fn take(&self, day_ends_ms: u64) -> Result<Standing, Error> {
        self.ask(self.amount, Some(self.limit.most as i64), day_ends_ms)
    }

    /// Takes nothing.
    pub(crate) fn look(&self, day_ends_ms: u64) -> Result<Standing, Error> {
        self.ask(0, None, day_ends_ms)
    }

    fn ask(&self, amount: u64, at_most: Option<i64>, day_ends_ms: u64) -> Result<Standing, Error> {
        match self.limit.measure() {
            Measure::Bucket(bucket) => kv::take(&self.key, bucket, amount).map(|taken| {
                let Taken { allowed, remaining, retry_after_ms, full_after_ms } = taken;
                Standing { allowed, remaining, retry_after_ms, reset_after_ms: full_after_ms }
            }),
            Measure::Daily => self
                .count(amount as i64, at_most)
                .map(|counted| self.standing(counted, day_ends_ms, day_ends_ms)),
            Measure::Concurrent => {
                self.count(amount as i64, at_most).map(|counted| self.standing(counted, SOON_MS, 0))
            }
        }
    }

    fn standing(&self, counted: Counted, retry_after_ms: u64, reset_after_ms: u64) -> Standing {
        let used = u64::try_from(counted.value).unwrap_or(0);
        let remaining = self.limit.most.saturating_sub(used);
        Standing { allowed: counted.added, remaining, retry_after_ms, reset_after_ms }
    }

    /// The request did not run: all of it is given back.
    pub(crate) fn give_back(&self) -> Result<(), Error> {
        self.add(self.amount as i64)
    }

    /// The request ran and took so many tokens.
    pub(crate) fn correct(&self, tokens: u64) -> Result<(), Error> {
        match self.limit.measure() {
            Measure::Concurrent => self.give_back(),
            _ if self.limit.kind.counts_tokens() => {
                let used = tokens.min(Limit::MOST) as i64;
                self.add(self.amount as i64 - used)
            }
            _ => Ok(()),
        }
    }

    /// Adds to what is left, or takes from it whether it is there or not.
    fn add(&self, amount: i64) -> Result<(), Error> {
        if amount == 0 {
            return Ok(());
        }
        match self.limit.measure() {
            Measure::Bucket(bucket) => kv::adjust(&self.key, bucket, amount).map(drop),
            Measure::Daily | Measure::Concurrent => self.count(-amount, None).map(drop),
        }
    }

    fn count(&self, by: i64, at_most: Option<i64>) -> Result<Counted, Error> {
        let ttl_ms = match self.limit.measure() {
            Measure::Concurrent => LOST_AFTER_MS,
            _ => DAY_LASTS_MS,
        };
        kv::increment(&self.key, by, at_most, Some(ttl_ms))
    }
}
