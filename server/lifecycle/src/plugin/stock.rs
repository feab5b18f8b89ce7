use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
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
    /// Nothing is kept while the plugin is not in force: its instances hold slots that others could use.
    is_closed: AtomicBool,
    /// By thread. An instance that another core made or used last costs a call some 10 us, as much as making one.
    shelves: Box<[Mutex<Vec<Instance>>]>,
}

impl Stock {
    pub(super) fn new(is_reused: bool) -> Self {
        let threads = available_parallelism().map_or(1, NonZero::get);
        Self {
            is_reused,
            is_closed: AtomicBool::new(false),
            shelves: (0..threads).map(|_| Mutex::default()).collect(),
        }
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
        // Looked at under the lock, so that nothing comes after the shelf has been cleared.
        if shelf.len() < self.most() && !self.is_closed() {
            shelf.push(instance);
        } else {
            // Tearing one down takes longer than the lock should be held.
            drop(shelf);
            drop(instance);
        }
    }

    /// Whether there is room on this thread's shelf.
    pub(super) fn is_short(&self) -> bool {
        !self.is_closed() && lock(&self.shelves[self.own()]).len() < self.most()
    }

    /// Lets go of all there is, and takes nothing until it is opened again.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Relaxed);
        for shelf in &self.shelves {
            let instances = std::mem::take(&mut *lock(shelf));
            drop(instances);
        }
    }

    pub(super) fn open(&self) {
        self.is_closed.store(false, Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Stock;
    use crate::call::{Instance, Pace};
    use crate::guest::Version;
    use crate::host::{Bounds, Services, State};
    use crate::runtime::Runtime;

    #[tokio::test]
    async fn what_is_not_in_force_holds_no_slots() {
        let runtime = Arc::new(Runtime::new(None).expect("a runtime"));
        let bytes = wat::parse_str("(component)").expect("valid text");
        let (sandbox, component) = runtime.compile(&bytes, 0).expect("it compiles");
        let component = sandbox.linker(Version::V0_1, Pace::Yielding).instantiate_pre(&component);
        let component = component.expect("it imports nothing");
        let services = Arc::new(Services::new());
        let instance = async || {
            let bounds = Bounds { time: Duration::from_mins(1), memory: 0, transfer: 0 };
            let state = State::new("p".into(), services.clone(), bounds);
            Instance::new(&sandbox, &component, state, Pace::Yielding).await.expect("an instance")
        };
        let free = || sandbox.slots.available_permits();
        let all = free();

        let stock = Stock::new(true);
        for _ in 0..3 {
            stock.put(instance().await);
        }
        let late = instance().await;
        assert_eq!(free(), all - 4);
        stock.close();
        assert_eq!(free(), all - 1);
        stock.put(late);
        assert_eq!(free(), all);
        assert!(!stock.is_short() && stock.take().is_none());

        stock.open();
        assert!(stock.is_short());
        stock.put(instance().await);
        assert!(stock.take().is_some());
    }
}
