//! What happens after a request, off its path: reservations are settled, and what is written down is handed to the
//! loggers in batches.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mlx_gate_core::{GateCounters, Operation, Principal, Usage};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::generation::Generation;
use crate::guest::{Completed, Settle};
use crate::plugin::Plugin;

mod log;

/// Events that may wait for the loggers. Those that come on top are dropped.
const QUEUE: usize = 8192;

/// Settles that run at a time. Each takes a slot of the instance pool, which belongs to requests in the first place.
const SETTLING: usize = 64;

/// The background of a gate.
pub(crate) struct Journal {
    runtime: Handle,
    /// Settles, and admissions that nobody waits for any more.
    tasks: TaskTracker,
    settling: Arc<Semaphore>,
    queue: mpsc::Sender<log::Entry>,
    counts: Arc<Counts>,
}

/// What became of a request's reservations.
pub(crate) struct Settlement {
    pub(crate) request: Arc<str>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) reserved: Vec<Reserved>,
    pub(crate) ran: bool,
    pub(crate) usage: Usage,
}

/// One plugin's reservation, with what it was made for.
pub(crate) struct Reserved {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) operation: Arc<Operation>,
    pub(crate) ticket: u64,
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
        let (queue, entries) = mpsc::channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let runtime = Handle::current();
        runtime.spawn(log::run(entries, counts.clone()));
        let tasks = TaskTracker::new();
        // Waiting for a tracker ends when it is empty and closed; a closed one still takes tasks.
        tasks.close();
        Arc::new(Self { runtime, tasks, settling: Arc::new(Semaphore::new(SETTLING)), queue, counts })
    }

    /// Settles in the background.
    pub(crate) fn settle(&self, settlement: Settlement) {
        let (settling, counts) = (self.settling.clone(), self.counts.clone());
        self.carry_on(async move {
            for reserved in &settlement.reserved {
                let _turn = settling.acquire().await;
                settle(&settlement, reserved, &counts).await;
            }
        });
    }

    /// Runs work to its end that nobody waits for but [`drain`](Self::drain).
    pub(crate) fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Queues an event for the loggers of its generation.
    pub(crate) fn log(&self, generation: Arc<Generation>, completed: Completed) {
        let event = log::Event { generation, completed };
        if self.queue.try_send(log::Entry::Event(Box::new(event))).is_err() {
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
        let (done, flushed) = oneshot::channel();
        if self.queue.send(log::Entry::Flush(done)).await.is_ok() {
            // An error says that the loggers' task is gone, and nothing is left to wait for.
            let _ = flushed.await;
        }
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

/// In an instance of its own, and once: a settle that ran out of time may have done its work.
async fn settle(settlement: &Settlement, reserved: &Reserved, counts: &Counts) {
    let call = Settle {
        principal: settlement.principal.as_deref(),
        operation: &reserved.operation,
        ticket: reserved.ticket,
        ran: settlement.ran,
        usage: settlement.usage,
    };
    match reserved.plugin.call_aside(&call).await {
        Ok(()) => {
            counts.settled.fetch_add(1, Relaxed);
        }
        Err(failure) => {
            counts.settle_failures.fetch_add(1, Relaxed);
            tracing::error!(
                plugin = reserved.plugin.name(),
                request = &*settlement.request,
                "the plugin {failure} in `settle`; what it reserved for the request may stay reserved"
            );
        }
    }
}
