//! The loggers' queue and what empties it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mlx_gate_core::Phase;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Counts;
use crate::generation::Generation;
use crate::guest::{Completed, Log};

/// Events that may wait for the loggers. Those that come on top are dropped.
const MOST: usize = 8192;

/// Events handed over at once, at the most.
const BATCH: usize = 128;

/// How long an event waits for others.
const PATIENCE: Duration = Duration::from_millis(100);

/// Dropped events are reported this often, at the most.
const REPORTING: Duration = Duration::from_secs(5);

/// Events on their way to the loggers.
///
/// Whoever empties it is woken by the first event and by the one that fills a batch, and not by each: waking a thread takes
/// longer than writing an event down, and requests would pay for it.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Events that were put in, ever.
    put: u64,
    /// Each is answered once so many events have been handed over.
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    is_closed: bool,
}

pub(super) struct Event {
    pub(super) generation: Arc<Generation>,
    pub(super) completed: Completed,
}

impl Queue {
    /// Whether there was room for the event.
    pub(super) fn put(&self, event: Event) -> bool {
        let mut waiting = self.waiting();
        if waiting.events.len() >= MOST {
            return false;
        }
        waiting.events.push_back(event);
        waiting.put += 1;
        let is_news = matches!(waiting.events.len(), 1 | BATCH);
        drop(waiting);
        if is_news {
            self.changed.notify_one();
        }
        true
    }

    /// Waits until everything that is in it by now has been handed over.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            let put = waiting.put;
            waiting.flushes.push((put, done));
        }
        self.changed.notify_one();
        // An error says that the loggers' task is gone, and nothing is left to wait for.
        let _ = flushed.await;
    }

    /// What is in it is still handed over, and then its task ends.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.changed.notify_one();
    }

    /// The next batch: full, or as large as it is when its first event has waited long enough. `None` is the end.
    async fn batch(&self) -> Option<Vec<Event>> {
        self.until(|waiting| waiting.is_due() || !waiting.events.is_empty()).await;
        // Where it takes too long, what is there is enough.
        let _ = timeout_at(Instant::now() + PATIENCE, self.until(Waiting::is_due)).await;
        let mut waiting = self.waiting();
        if waiting.events.is_empty() && waiting.is_closed {
            return None;
        }
        let count = waiting.events.len().min(BATCH);
        Some(waiting.events.drain(..count).collect())
    }

    async fn until(&self, holds: impl Fn(&Waiting) -> bool) {
        while !holds(&self.waiting()) {
            self.changed.notified().await;
        }
    }

    /// Answers those who wait for no more than has been handed over.
    fn answer_flushes(&self) {
        let mut waiting = self.waiting();
        let handed_over = waiting.put - waiting.events.len() as u64;
        for (_, done) in waiting.flushes.extract_if(.., |(put, _)| *put <= handed_over) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that is done under the lock leaves it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether a batch should go out at once, however small.
    fn is_due(&self) -> bool {
        self.events.len() >= BATCH || !self.flushes.is_empty() || self.is_closed
    }
}

/// Hands batches over until the queue is closed and empty.
pub(super) async fn run(queue: Arc<Queue>, counts: Arc<Counts>) {
    let mut drops = Drops::default();
    while let Some(batch) = queue.batch().await {
        deliver(batch, &counts).await;
        drops.report(counts.log_dropped.load(Relaxed));
        queue.answer_flushes();
    }
}

/// Hands a batch to the loggers. Each request goes to those of its generation, in the order in which requests ended.
async fn deliver(mut batch: Vec<Event>, counts: &Counts) {
    batch.sort_by_key(|event| event.generation.number);
    for group in batch.chunk_by(|a, b| a.generation.number == b.generation.number) {
        let events: Vec<&Completed> = group.iter().map(|event| &event.completed).collect();
        let loggers = group[0].generation.chain(Phase::Log);
        join_all(loggers.map(|(_, plugin)| {
            let call = Log { events: &events };
            async move {
                if let Err(failure) = plugin.call_aside(None, &call).await {
                    counts.log_failures.fetch_add(call.events.len() as u64, Relaxed);
                    plugin.say_failed(|| {
                        tracing::error!(
                            plugin = plugin.name(),
                            events = call.events.len(),
                            "the plugin {failure} in `log`; these events are lost to it"
                        );
                    });
                }
            }
        }))
        .await;
        counts.logged.fetch_add(events.len() as u64, Relaxed);
    }
}

#[derive(Default)]
struct Drops {
    reported: u64,
    last: Option<Instant>,
}

impl Drops {
    fn report(&mut self, dropped: u64) {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= REPORTING);
        if dropped > self.reported && is_due {
            tracing::warn!(
                dropped = dropped - self.reported,
                "the loggers do not keep up: events of ended requests were dropped"
            );
            self.reported = dropped;
            self.last = Some(Instant::now());
        }
    }
}
