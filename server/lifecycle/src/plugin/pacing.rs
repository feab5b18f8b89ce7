use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::call::Pace;

/// How long a plugin that has held up its thread is called on a stack of its own.
const DISTRUST: Duration = Duration::from_secs(1);

/// How a plugin is to be called.
pub(super) struct Pacing {
    /// Whether it can be called on the thread's own stack: what it imports answers at once, as a rule.
    can_be_direct: bool,
    since: Instant,
    /// When it may be called so again, in milliseconds since then.
    direct_from_ms: AtomicU64,
}

impl Pacing {
    pub(super) fn new(can_be_direct: bool) -> Self {
        Self { can_be_direct, since: Instant::now(), direct_from_ms: AtomicU64::new(0) }
    }

    /// For the next call.
    pub(super) fn pace(&self) -> Pace {
        let from_ms = self.direct_from_ms.load(Relaxed);
        // The clock is only looked at after it has been too slow.
        if self.can_be_direct && (from_ms == 0 || self.now_ms() >= from_ms) {
            Pace::Direct
        } else {
            Pace::Yielding
        }
    }

    /// It was too slow for the thread's own stack.
    pub(super) fn distrust(&self) {
        self.direct_from_ms.store(self.now_ms() + DISTRUST.as_millis() as u64, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, Pacing};

    #[test]
    fn one_that_was_too_slow_gets_a_stack_of_its_own() {
        let pacing = Pacing::new(true);
        assert_eq!(pacing.pace(), Pace::Direct);
        pacing.distrust();
        assert_eq!(pacing.pace(), Pace::Yielding);
        // When the time is over.
        pacing.direct_from_ms.store(1, super::Relaxed);
        while pacing.now_ms() < 1 {}
        assert_eq!(pacing.pace(), Pace::Direct);
        assert_eq!(Pacing::new(false).pace(), Pace::Yielding);
    }
}
