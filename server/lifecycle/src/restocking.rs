//! Cleaning up after requests, and making instances for the next ones. Both together take longer than the call between them,
//! so they are done beside the requests' path: a request finds its instance ready and leaves it behind with its answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use crate::call::Instance;
use crate::plugin::Plugin;

/// Used instances that may wait. Further ones are cleaned up by the request that used them: where nobody else has the time,
/// requests must not come in faster than that.
const BACKLOG: usize = 64;

/// Instances after which others of the thread get their turn: those of one request, as a rule.
const AT_ONCE: usize = 8;

/// The work of all plugins of a sandbox, done in one task that runs while there is some.
#[derive(Default)]
pub(crate) struct Restocking(Mutex<Work>);

#[derive(Default)]
struct Work {
    used: VecDeque<(Arc<Plugin>, Instance)>,
    is_running: bool,
}

impl Restocking {
    /// Takes over an instance that must not serve another request.
    pub(crate) fn take_over(&self, plugin: &Arc<Plugin>, used: Instance) {
        // Outside a runtime it is dropped here and now, as it is when there is too much to do.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut work = self.work();
        if work.used.len() >= BACKLOG {
            drop(work);
            return drop(used);
        }
        work.used.push_back((plugin.clone(), used));
        let was_running = std::mem::replace(&mut work.is_running, true);
        drop(work);
        if !was_running {
            // Runs on this very thread as soon as the request waits for something, unless another one has nothing to do.
            runtime.spawn(run(plugin.clone()));
        }
    }

    fn next(&self) -> Option<(Arc<Plugin>, Instance)> {
        let mut work = self.work();
        let next = work.used.pop_front();
        work.is_running = next.is_some();
        next
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(first: Arc<Plugin>) {
    let mut done = 0;
    while let Some((plugin, used)) = first.sandbox().restocking.next() {
        drop(used);
        plugin.restock().await;
        done += 1;
        if done % AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
}
