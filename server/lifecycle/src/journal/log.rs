//! The loggers' queue and what empties it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::join_all;
use mlx_gate_core::Phase;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Counts;
use crate::generation::Generation;
use crate::guest::{Completed, Log};

/// Events handed over at once, at the most.
const BATCH: usize = 128;

/// How long an event waits for others.
const PATIENCE: Duration = Duration::from_millis(100);

/// Dropped events are reported this often, at the most.
const REPORTING: Duration = Duration::from_secs(5);

pub(super) enum Entry {
    Event(Box<Event>),
    /// Answered once everything queued before has been handed over.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Event {
    pub(super) generation: Arc<Generation>,
    pub(super) completed: Completed,
}

/// Ends with the last sender.
pub(super) async fn run(mut entries: mpsc::Receiver<Entry>, counts: Arc<Counts>) {
    let mut drops = Drops::default();
    while let Some(first) = entries.recv().await {
        let (batch, flush) = gather(first, &mut entries).await;
        deliver(batch, &counts).await;
        drops.report(counts.log_dropped.load(Relaxed));
        if let Some(flush) = flush {
            // Whoever asked may have stopped waiting.
            let _ = flush.send(());
        }
    }
}

/// Takes what there is, up to a batch, and waits a little for more. A flush ends the wait.
async fn gather(
    first: Entry,
    entries: &mut mpsc::Receiver<Entry>,
) -> (Vec<Event>, Option<oneshot::Sender<()>>) {
    let until = Instant::now() + PATIENCE;
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(entry) = next {
        match entry {
            Entry::Flush(flush) => return (batch, Some(flush)),
            Entry::Event(event) => batch.push(*event),
        }
        if batch.len() == BATCH {
            break;
        }
        next = timeout_at(until, entries.recv()).await.ok().flatten();
    }
    (batch, None)
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
                if let Err(failure) = plugin.call_aside(&call).await {
                    counts.log_failures.fetch_add(call.events.len() as u64, Relaxed);
                    tracing::error!(
                        plugin = plugin.name(),
                        events = call.events.len(),
                        "the plugin {failure} in `log`; these events are lost to it"
                    );
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
