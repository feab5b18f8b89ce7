use std::sync::atomic::{AtomicU64, Ordering};

use mlx_gate_core::{Ended, Outcome};

/// What became of the requests since the start. Sums that nothing else depends on, so their order does not matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    answered: AtomicU64,
    cancelled: AtomicU64,
    denied: AtomicU64,
    failed: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

/// The sums at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) answered: u64,
    pub(crate) cancelled: u64,
    pub(crate) denied: u64,
    pub(crate) failed: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Counters {
    /// A request has ended.
    pub(crate) fn count(&self, ended: &Ended) {
        let requests = match ended.outcome {
            Outcome::Ok | Outcome::Finished(_) => &self.answered,
            Outcome::Cancelled => &self.cancelled,
            Outcome::Denied => &self.denied,
            Outcome::Error => &self.failed,
        };
        requests.fetch_add(1, Ordering::Relaxed);
        self.input_tokens.fetch_add(ended.usage.input_tokens.into(), Ordering::Relaxed);
        self.output_tokens.fetch_add(ended.usage.output_tokens.into(), Ordering::Relaxed);
    }

    /// The sums so far.
    pub(crate) fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            answered: read(&self.answered),
            cancelled: read(&self.cancelled),
            denied: read(&self.denied),
            failed: read(&self.failed),
            input_tokens: read(&self.input_tokens),
            output_tokens: read(&self.output_tokens),
        }
    }
}
