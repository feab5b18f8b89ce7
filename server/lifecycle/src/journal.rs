//! What happens after a request, off its path: reservations are settled, and what is written down is handed to the
//! loggers in batches.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mlx_gate_core::GateCounters;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::generation::Generation;
use crate::guest::Completed;

mod log;
mod settling;

use settling::Settling;
pub(crate) use settling::{Reserved, Settlement};

/// The background of a gate.
pub(crate) struct Journal {
    runtime: Handle,
    /// Those that settle, and admissions that nobody waits for any more.
    tasks: TaskTracker,
    settling: Arc<Settling>,
    events: Arc<log::Queue>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    remembered: AtomicU64,
    settled: AtomicU64,
    settle_failures: AtomicU64,
    logged: AtomicU64,
    log_dropped: AtomicU64,
    log_failures: AtomicU64,
}

impl Journal {
    /// Starts it on the current tokio runtime. It ends when nobody can write to it any more.
    pub(crate) fn start() -> Arc<Self> {
        let events = Arc::new(log::Queue::default());
        let counts = Arc::new(Counts::default());
        let runtime = Handle::current();
        runtime.spawn(log::run(events.clone(), counts.clone()));
        let tasks = TaskTracker::new();
        // Waiting for a tracker ends when it is empty and closed; a closed one still takes tasks.
        tasks.close();
        Arc::new(Self { runtime, tasks, settling: Arc::default(), events, counts })
    }

    /// Settles in the background.
    pub(crate) fn settle(&self, settlement: Settlement) {
        if self.settling.put(settlement) {
            let (settling, counts) = (self.settling.clone(), self.counts.clone());
            self.carry_on(async move { settling.run(&counts).await });
        }
    }

    /// Whether so many settlements wait that nothing more should be reserved.
    pub(crate) fn is_behind(&self) -> bool {
        self.settling.is_behind()
    }

    /// Runs work to its end that nobody waits for but [`drain`](Self::drain).
    pub(crate) fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Queues an event for the loggers of its generation.
    pub(crate) fn log(&self, generation: Arc<Generation>, completed: Completed) {
        if !self.events.put(log::Event { generation, completed }) {
            self.counts.log_dropped.fetch_add(1, Relaxed);
        }
    }

    /// Counts a caller whom no plugin had to be asked about.
    pub(crate) fn count_remembered(&self) {
        self.counts.remembered.fetch_add(1, Relaxed);
    }

    /// Waits until all that has been begun is done.
    pub(crate) async fn drain(&self) {
        self.tasks.wait().await;
        self.events.flush().await;
    }

    pub(crate) fn counters(&self) -> GateCounters {
        let counts = &self.counts;
        GateCounters {
            remembered: counts.remembered.load(Relaxed),
            settled: counts.settled.load(Relaxed),
            settle_failures: counts.settle_failures.load(Relaxed),
            logged: counts.logged.load(Relaxed),
            log_dropped: counts.log_dropped.load(Relaxed),
            log_failures: counts.log_failures.load(Relaxed),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.events.close();
    }
}
