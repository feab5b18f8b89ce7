use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::kv::{Bucket, Level};

/// Messages of one plugin: so many a second, and so many at once. All instances of the plugin share them.
const PER_SECOND: f64 = 100.0;
const BURST: u64 = 200;

/// What the server says of calls that failed: each refuses a request, and who can make them fail could fill a disk.
const FAILURES_PER_SECOND: f64 = 10.0;
const FAILURES_BURST: u64 = 100;

/// Keeps a plugin, or whoever makes it fail, from drowning the server's log.
pub(crate) struct Messages {
    bucket: Bucket,
    since: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    level: Option<Level>,
    dropped: u64,
}

/// Whether a message is logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is, and so many before it were not.
    Yes {
        dropped_before: u64,
    },
    No,
}

impl Messages {
    /// Those that a plugin writes.
    pub(super) fn of_plugin() -> Self {
        Self::new(BURST, PER_SECOND)
    }

    /// Those that say a call of it failed.
    pub(super) fn of_failures() -> Self {
        Self::new(FAILURES_BURST, FAILURES_PER_SECOND)
    }

    fn new(burst: u64, per_second: f64) -> Self {
        let bucket = Bucket::new(burst, per_second).expect("both are above 0");
        Self { bucket, since: Instant::now(), state: Mutex::default() }
    }

    pub(super) fn admit(&self) -> Admitted {
        self.admit_at(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn admit_at(&self, now_ms: u64) -> Admitted {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, taken) = self.bucket.take(state.level, 1, now_ms);
        state.level = Some(level);
        if taken.allowed {
            Admitted::Yes { dropped_before: std::mem::take(&mut state.dropped) }
        } else {
            state.dropped += 1;
            Admitted::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Admitted, BURST, Messages};

    #[test]
    fn a_flood_is_cut_and_counted() {
        let messages = Messages::of_plugin();
        for _ in 0..BURST {
            assert_eq!(messages.admit_at(0), Admitted::Yes { dropped_before: 0 });
        }
        assert_eq!(messages.admit_at(0), Admitted::No);
        assert_eq!(messages.admit_at(9), Admitted::No);
        assert_eq!(messages.admit_at(10), Admitted::Yes { dropped_before: 2 });
        assert_eq!(messages.admit_at(10), Admitted::No);
        assert_eq!(messages.admit_at(20), Admitted::Yes { dropped_before: 1 });
    }
}
