use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Instance;

/// Instances kept for the next call. Each holds a slot of the pool.
const MOST: usize = 32;

/// Instances of a plugin that serve one request after another.
#[derive(Default)]
pub(super) struct Warm(Mutex<Vec<Instance>>);

impl Warm {
    /// The one that served last: the processor's caches know it best.
    pub(super) fn take(&self) -> Option<Instance> {
        self.instances().pop()
    }

    pub(super) fn put(&self, instance: Instance) {
        let mut instances = self.instances();
        if instances.len() < MOST {
            instances.push(instance);
        } else {
            // Tearing one down takes longer than the lock should be held.
            drop(instances);
            drop(instance);
        }
    }

    fn instances(&self) -> MutexGuard<'_, Vec<Instance>> {
        // A push or a pop is not left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
