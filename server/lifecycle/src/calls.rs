//! What calls into one plugin came to since the start, function by function.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mlx_gate_core::FunctionCalls;

/// The functions of the phases, in the order of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Authenticate,
    Authorize,
    Admit,
    Settle,
    Tag,
    Log,
}

const FUNCTIONS: [(Function, &str); 6] = [
    (Function::Authenticate, "authenticate"),
    (Function::Authorize, "authorize"),
    (Function::Admit, "admit"),
    (Function::Settle, "settle"),
    (Function::Tag, "tag"),
    (Function::Log, "log"),
];

/// The counts of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Calls([Tally; FUNCTIONS.len()]);

#[derive(Debug, Default)]
struct Tally {
    calls: AtomicU64,
    failures: AtomicU64,
    total_ns: AtomicU64,
    longest_ns: AtomicU64,
}

impl Calls {
    /// Counts a call that took so long, the making of its instance and its wait for granted I/O included.
    pub(crate) fn count(&self, function: Function, took: Duration, failed: bool) {
        let tally = &self.0[function as usize];
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        tally.calls.fetch_add(1, Relaxed);
        tally.total_ns.fetch_add(ns, Relaxed);
        // Most calls are shorter than one before, and a look costs less than a write that all threads have to see.
        if tally.longest_ns.load(Relaxed) < ns {
            tally.longest_ns.fetch_max(ns, Relaxed);
        }
        if failed {
            tally.failures.fetch_add(1, Relaxed);
        }
    }

    /// Those of functions that were called.
    pub(crate) fn all(&self) -> Vec<FunctionCalls> {
        let all = FUNCTIONS.iter().zip(&self.0).map(|((_, function), tally)| FunctionCalls {
            function,
            calls: tally.calls.load(Relaxed),
            failures: tally.failures.load(Relaxed),
            total_us: tally.total_ns.load(Relaxed) / 1000,
            longest_us: tally.longest_ns.load(Relaxed) / 1000,
        });
        all.filter(|function| function.calls > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mlx_gate_core::FunctionCalls;

    use super::{Calls, FUNCTIONS, Function};

    #[test]
    fn calls_are_counted_under_their_function() {
        for (place, (function, _)) in FUNCTIONS.into_iter().enumerate() {
            assert_eq!(function as usize, place);
        }
        let calls = Calls::default();
        for (us, failed) in [(5, false), (9, true), (2, false)] {
            calls.count(Function::Settle, Duration::from_micros(us), failed);
        }
        let expected =
            FunctionCalls { function: "settle", calls: 3, failures: 1, total_us: 16, longest_us: 9 };
        assert_eq!(calls.all(), [expected]);
    }
}
