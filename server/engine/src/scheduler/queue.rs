use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlx_gate_core::Priority;

use super::row::Job;

/// How long a job waits in one class before it rises into the next, so that none waits for ever below a busy class.
const RISES_AFTER: Duration = Duration::from_secs(10);

/// The classes in the order of their turn.
pub(super) const CLASSES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Batch];

/// Jobs that wait for a row: strict classes, and inside a class first come, first served.
///
/// The order is decided in [`take_next`](Self::take_next) alone, which is where fair shares between tenants belong.
#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<Job>,
}

/// Whether a job can have a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It can.
    Now,
    /// Its model has no row free. Jobs of other models may overtake it.
    NoRow,
    /// Its keys and values do not fit. Nobody may overtake it, or a stream of small jobs would keep it out for ever.
    NoMemory,
}

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes out the job whose turn it is at this time.
    pub(super) fn take_next(&mut self, now: Instant, fit: impl Fn(&Job) -> Fit) -> Option<Job> {
        let turn = CLASSES.iter().flat_map(|class| {
            self.jobs
                .iter()
                .enumerate()
                .filter(move |(_, job)| class_of(job.priority, job.queued, now) == *class)
        });
        let mut next = None;
        for (index, job) in turn {
            match fit(job) {
                Fit::Now => {
                    next = Some(index);
                    break;
                }
                Fit::NoRow => {}
                Fit::NoMemory => break,
            }
        }
        self.jobs.remove(next?)
    }

    pub(super) fn forget_cancelled(&mut self) {
        self.jobs.retain(|job| !job.is_cancelled());
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.jobs.drain(..)
    }
}

/// The class that work of a priority is in after the time it has waited.
pub(super) fn class_of(priority: Priority, queued: Instant, now: Instant) -> Priority {
    let waited = now.saturating_duration_since(queued);
    let risen = waited.as_secs() / RISES_AFTER.as_secs();
    match (priority, risen) {
        (Priority::Batch, 0) => Priority::Batch,
        (Priority::Batch, 1) | (Priority::Normal, 0) => Priority::Normal,
        _ => Priority::High,
    }
}

/// Counts waiting jobs, on both sides of the channel to the device thread, so that a full queue is known at once.
#[derive(Debug)]
pub(crate) struct Waiting {
    count: AtomicUsize,
    most: usize,
}

/// A job's place in the queue, given back on drop.
#[derive(Debug)]
pub(crate) struct Place(Arc<Waiting>);

impl Waiting {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { count: AtomicUsize::new(0), most })
    }

    /// Takes a place, or says how many wait where there is none.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, usize> {
        // The counter guards no other memory, so its order against other accesses does not matter.
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.most).then_some(count + 1)
            })
            .map(|_| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
