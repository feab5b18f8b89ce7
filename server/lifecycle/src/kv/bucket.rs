/// A token bucket's size and inflow. Made by [`Bucket::new`] alone, so both are sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    capacity: f64,
    refill_per_ms: f64,
}

/// How full a bucket was at some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    /// Below 0 the bucket is in debt.
    tokens: f64,
    at_ms: u64,
}

/// A bucket after it has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) allowed: bool,
    pub(crate) remaining: u64,
    /// `u64::MAX` where the amount will never be there, because it is more than the bucket holds.
    pub(crate) retry_after_ms: u64,
    pub(crate) full_after_ms: u64,
}

/// What sums of fractions may be off by. Without it, a caller who waits exactly as long as told could be sent away again.
const DUST: f64 = 1e-6;

impl Bucket {
    /// `None` where nothing sensible can be done with such numbers: no capacity, no inflow, or one that is no number.
    /// Amounts above 2^53 are rounded, as in any `f64`.
    pub(crate) fn new(capacity: u64, refill_per_second: f64) -> Option<Self> {
        let refill_per_ms = refill_per_second / 1000.0;
        let sound = capacity >= 1 && refill_per_ms.is_finite() && refill_per_ms > 0.0;
        sound.then_some(Self { capacity: capacity as f64, refill_per_ms })
    }

    /// A bucket starts full.
    pub(crate) fn full(&self, now_ms: u64) -> Level {
        Level { tokens: self.capacity, at_ms: now_ms }
    }

    /// Takes the amount if all of it is there. Returns the new level where it was.
    pub(crate) fn take(&self, level: Option<Level>, amount: u64, now_ms: u64) -> (Level, Taken) {
        let level = self.now(level, now_ms);
        let wanted = amount as f64;
        let allowed = level.tokens + DUST >= wanted;
        let left = if allowed { Level { tokens: level.tokens - wanted, ..level } } else { level };
        let retry_after_ms = match allowed {
            true => 0,
            false if wanted > self.capacity => u64::MAX,
            false => self.until(wanted, left),
        };
        (left, self.described(allowed, retry_after_ms, left))
    }

    /// Gives back, at most until the bucket is full, or takes into debt.
    pub(crate) fn adjust(&self, level: Option<Level>, amount: i64, now_ms: u64) -> (Level, Taken) {
        let level = self.now(level, now_ms);
        let tokens = (level.tokens + amount as f64).min(self.capacity);
        let left = Level { tokens, ..level };
        (left, self.described(true, 0, left))
    }

    /// What has flowed in since. A clock that went back, or a bucket that has become smaller, does no harm.
    fn now(&self, level: Option<Level>, now_ms: u64) -> Level {
        let Some(before) = level else { return self.full(now_ms) };
        let inflow = now_ms.saturating_sub(before.at_ms) as f64 * self.refill_per_ms;
        Level { tokens: (before.tokens + inflow).min(self.capacity), at_ms: now_ms.max(before.at_ms) }
    }

    fn described(&self, allowed: bool, retry_after_ms: u64, left: Level) -> Taken {
        let full_after_ms = self.until(self.capacity, left);
        // A cast of a negative number gives 0.
        Taken { allowed, remaining: (left.tokens + DUST) as u64, retry_after_ms, full_after_ms }
    }

    /// Milliseconds until so much is there. A cast of a number that is too large gives the largest.
    fn until(&self, wanted: f64, level: Level) -> u64 {
        let missing = wanted - level.tokens;
        if missing <= DUST { 0 } else { (missing / self.refill_per_ms).ceil() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Taken};

    fn taken(allowed: bool, remaining: u64, retry_after_ms: u64, full_after_ms: u64) -> Taken {
        Taken { allowed, remaining, retry_after_ms, full_after_ms }
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let bucket = Bucket::new(10, 2.0).unwrap();
        let (level, answer) = bucket.take(None, 0, 0);
        assert_eq!(answer, taken(true, 10, 0, 0));
        let (level, answer) = bucket.take(Some(level), 8, 0);
        assert_eq!(answer, taken(true, 2, 0, 4000));
        let (level, answer) = bucket.take(Some(level), 3, 0);
        assert_eq!(answer, taken(false, 2, 500, 4000));
        let (level, answer) = bucket.take(Some(level), 3, 499);
        assert_eq!(answer, taken(false, 2, 1, 3501));
        let (level, answer) = bucket.take(Some(level), 3, 500);
        assert_eq!(answer, taken(true, 0, 0, 5000));
        let (_, answer) = bucket.take(Some(level), 0, 3_600_000);
        assert_eq!(answer, taken(true, 10, 0, 0));
    }

    #[test]
    fn an_adjustment_gives_back_or_goes_into_debt() {
        let bucket = Bucket::new(100, 10.0).unwrap();
        let (level, answer) = bucket.adjust(None, -150, 0);
        assert_eq!(answer, taken(true, 0, 0, 15_000));
        let (level, answer) = bucket.take(Some(level), 1, 0);
        assert_eq!(answer, taken(false, 0, 5100, 15_000));
        let (_, answer) = bucket.take(Some(level), 0, 0);
        assert_eq!(answer, taken(false, 0, 5000, 15_000), "in debt, a look says so");
        let (_, answer) = bucket.adjust(Some(level), i64::MAX, 0);
        assert_eq!(answer, taken(true, 100, 0, 0));
        let (level, _) = bucket.adjust(Some(level), i64::MIN, 0);
        let (_, answer) = bucket.take(Some(level), 1, 1000);
        assert_eq!(answer.remaining, 0);
        assert!(!answer.allowed && answer.retry_after_ms > 1 << 40);
    }

    #[test]
    fn more_than_the_bucket_holds_is_never_there() {
        let bucket = Bucket::new(5, 0.5).unwrap();
        assert_eq!(bucket.take(None, 6, 0).1, taken(false, 5, u64::MAX, 0));
        assert_eq!(bucket.take(None, u64::MAX, 0).1.retry_after_ms, u64::MAX);
        assert_eq!(Bucket::new(1, f64::from_bits(1)), None, "a thousandth of the least number is nothing");
        let slow = Bucket::new(u64::MAX, 1e-300).unwrap();
        assert_eq!(slow.take(None, u64::MAX, 0).1, taken(true, 0, 0, u64::MAX));
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        for refill in [0.1, 1.0 / 3.0, 0.7, 7.0, 1234.567] {
            let bucket = Bucket::new(9, refill).unwrap();
            let (mut level, _) = bucket.take(None, 9, 0);
            let mut now = 0;
            for amount in [1, 2, 3, 9, 1] {
                let (after, answer) = bucket.take(Some(level), amount, now);
                assert!(!answer.allowed);
                now += answer.retry_after_ms;
                let (after, answer) = bucket.take(Some(after), amount, now);
                assert!(answer.allowed, "{refill} {amount}");
                // Whatever a millisecond let in beyond that is taken out again.
                level = bucket.take(Some(after), answer.remaining, now).0;
            }
        }
    }

    #[test]
    fn unsound_buckets_are_refused() {
        for (capacity, refill) in [
            (0, 1.0),
            (1, 0.0),
            (1, -0.0),
            (1, -1.0),
            (1, f64::NAN),
            (1, f64::INFINITY),
            (1, f64::NEG_INFINITY),
        ] {
            assert_eq!(Bucket::new(capacity, refill), None, "{capacity} {refill}");
        }
    }

    #[test]
    fn a_smaller_bucket_and_a_clock_that_went_back_do_no_harm() {
        let large = Bucket::new(100, 1.0).unwrap();
        let small = Bucket::new(10, 1.0).unwrap();
        let (level, _) = large.take(None, 1, 5000);
        let (level, answer) = small.take(Some(level), 1, 5000);
        assert_eq!(answer, taken(true, 9, 0, 1000));
        let (_, answer) = small.take(Some(level), 1, 1000);
        assert_eq!(answer, taken(true, 8, 0, 2000));
    }
}
