use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlx_gate_core::{EngineError, Priority};

use super::row::{Branch, Family, Job};

/// How long a job waits in one class before it rises into the next, so that none waits for ever below a busy class.
const RISES_AFTER: Duration = Duration::from_secs(10);

/// The classes in the order of their turn.
pub(super) const CLASSES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Batch];

/// What waits for a row: strict classes, and inside a class first come, first served.
///
/// The order is decided in [`take_next`](Self::take_next) alone, which is where fair shares between tenants belong.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
}

/// Somebody who waits for a row.
pub(super) enum Entry {
    /// A prompt that is to be read.
    Job(Job),
    /// An answer to a prompt that is read already, and stays on the device until the last one has had its turn.
    Branch(Branch),
}

impl Entry {
    /// Index of the model.
    pub(super) fn model(&self) -> usize {
        match self {
            Self::Job(job) => job.model,
            Self::Branch(branch) => branch.family.model,
        }
    }

    /// What keys and values of its row will take at most.
    pub(super) fn kv_bytes(&self) -> u64 {
        match self {
            Self::Job(job) => job.kv_bytes,
            Self::Branch(branch) => branch.family.kv_bytes,
        }
    }

    pub(super) fn queued(&self) -> Instant {
        match self {
            Self::Job(job) => job.queued,
            Self::Branch(branch) => branch.family.queued,
        }
    }

    fn class(&self, now: Instant) -> Priority {
        let priority = match self {
            Self::Job(job) => job.priority,
            Self::Branch(branch) => branch.family.priority,
        };
        class_of(priority, self.queued(), now)
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Self::Job(job) => job.is_cancelled(),
            Self::Branch(branch) => branch.choice.is_cancelled(),
        }
    }

    pub(super) fn fail(self, error: &EngineError) {
        match self {
            Self::Job(job) => job.fail(error),
            Self::Branch(mut branch) => branch.choice.fail(error.clone()),
        }
    }
}

/// Whether somebody who waits can have a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It can.
    Now,
    /// It cannot, and others may overtake it: its model has no row free, or it is a branch, which gets a row of its own
    /// prompt at the latest when that has nothing else to do.
    Waits,
    /// Its keys and values do not fit. Nobody may overtake it, or a stream of small jobs would keep it out for ever.
    Blocks,
}

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        self.entries.push_back(Entry::Job(job));
    }

    /// Lets answers wait whose prompt was admitted before anything that waits now.
    pub(super) fn push_branches(&mut self, branches: Vec<Branch>) {
        for branch in branches.into_iter().rev() {
            self.entries.push_front(Entry::Branch(branch));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes out the entry whose turn it is at this time.
    pub(super) fn take_next(&mut self, now: Instant, fit: impl Fn(&Entry) -> Fit) -> Option<Entry> {
        let turn = CLASSES.iter().flat_map(|class| {
            self.entries.iter().enumerate().filter(move |(_, entry)| entry.class(now) == *class)
        });
        let mut next = None;
        for (index, entry) in turn {
            match fit(entry) {
                Fit::Now => {
                    next = Some(index);
                    break;
                }
                Fit::Waits => {}
                Fit::Blocks => break,
            }
        }
        self.entries.remove(next?)
    }

    /// Takes out the first branch of a family that somebody still waits for.
    pub(super) fn take_branch(&mut self, family: Family) -> Option<Branch> {
        let wanted = |entry: &Entry| matches!(entry, Entry::Branch(branch) if branch.family == family);
        let first = self.entries.iter().position(|entry| wanted(entry) && !entry.is_cancelled())?;
        match self.entries.remove(first)? {
            Entry::Branch(branch) => Some(branch),
            Entry::Job(_) => None,
        }
    }

    pub(super) fn forget_cancelled(&mut self) {
        self.entries.retain(|entry| !entry.is_cancelled());
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.entries.drain(..)
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
