use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use crate::call::Instance;

/// Untouched instances that lie ready on a shelf. Enough that two requests at once find one each; few, because the one that
/// was made last has its memory in the processor's caches.
const READY: usize = 2;

/// Reused instances on a shelf. Each holds a slot of the pool.
const REUSED: usize = 32;

/// A plugin's instances between calls: untouched ones, or, where instances are reused, those that have served before.
pub(super) struct Stock {
    is_reused: bool,
    /// By thread. An instance that another core made or used last costs a call some 10 us, as much as making one.
    shelves: Box<[Mutex<Vec<Instance>>]>,
}

impl Stock {
    pub(super) fn new(is_reused: bool) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self { is_reused, shelves: (0..threads).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Of this thread's instances the one that came last, else one of another thread's.
    pub(super) fn take(&self) -> Option<Instance> {
        let (others, from_own) = self.shelves.split_at(self.own());
        from_own.iter().chain(others).find_map(|shelf| lock(shelf).pop())
    }

    pub(super) fn put(&self, instance: Instance) {
        let mut shelf = lock(&self.shelves[self.own()]);
        if shelf.len() < self.most() {
            shelf.push(instance);
        } else {
            // Tearing one down takes longer than the lock should be held.
            drop(shelf);
            drop(instance);
        }
    }

    /// Whether there is room on this thread's shelf.
    pub(super) fn is_short(&self) -> bool {
        lock(&self.shelves[self.own()]).len() < self.most()
    }

    fn most(&self) -> usize {
        if self.is_reused { REUSED } else { READY }
    }

    /// The place of this thread's shelf.
    fn own(&self) -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Relaxed));
        NUMBER.with(|number| number % self.shelves.len())
    }
}

fn lock(shelf: &Mutex<Vec<Instance>>) -> MutexGuard<'_, Vec<Instance>> {
    // A push or a pop is not left half done.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
