//! Settling reservations after their requests, in the background.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlx_gate_core::{Operation, Principal, Usage};

use super::Counts;
use crate::call::Instance;
use crate::guest::Settle;
use crate::plugin::Plugin;

/// Tasks that settle at a time. Each takes a slot of the instance pool, which belongs to requests in the first place.
const TASKS: usize = 64;

/// Settlements that wait for each task before there is one more.
const FOR_EACH_TASK: usize = 4;

/// Settlements after which others of the thread get their turn.
const AT_ONCE: usize = 8;

/// Settlements that may wait before no more is reserved. A plugin that is so far behind answers too slowly for its server.
const BACKLOG: usize = 10_000;

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
    /// The one that made it, where it could be kept.
    pub(crate) instance: Option<Instance>,
}

/// Settlements to be made, by as many tasks as it takes.
#[derive(Default)]
pub(super) struct Settling(Mutex<Work>);

#[derive(Default)]
struct Work {
    waiting: VecDeque<Settlement>,
    tasks: usize,
}

impl Settling {
    /// Puts a settlement in line. Whether one more task is to [`run`](Self::run).
    pub(super) fn put(&self, settlement: Settlement) -> bool {
        let mut work = self.work();
        work.waiting.push_back(settlement);
        let wants_task = work.waiting.len() > work.tasks * FOR_EACH_TASK && work.tasks < TASKS;
        work.tasks += usize::from(wants_task);
        wants_task
    }

    /// Whether so many wait that nothing more should be reserved.
    pub(super) fn is_behind(&self) -> bool {
        self.work().waiting.len() >= BACKLOG
    }

    /// Settles until nothing waits any more.
    pub(super) async fn run(&self, counts: &Counts) {
        let _at_work = AtWork(self);
        let mut done = 0;
        while let Some(Settlement { request, principal, reserved, ran, usage }) = self.next() {
            for Reserved { plugin, operation, ticket, instance } in reserved {
                let principal = principal.as_deref();
                let call = Settle { principal, operation: &operation, ticket, ran, usage };
                match plugin.call_aside(instance, &call).await {
                    Ok(()) => {
                        counts.settled.fetch_add(1, Relaxed);
                    }
                    Err(failure) => {
                        counts.settle_failures.fetch_add(1, Relaxed);
                        plugin.say_failed(|| {
                            tracing::error!(
                                plugin = plugin.name(),
                                request = &*request,
                                "the plugin {failure} in `settle`; what it reserved for the request may stay reserved"
                            );
                        });
                    }
                }
            }
            done += 1;
            if done % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next one. Without one the task is over.
    fn next(&self) -> Option<Settlement> {
        let mut work = self.work();
        let next = work.waiting.pop_front();
        work.tasks -= usize::from(next.is_none());
        next
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task. One that ends by a panic makes room for another, which settles what still waits.
struct AtWork<'a>(&'a Settling);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.work().tasks -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mlx_gate_core::Usage;

    use super::{Counts, Settlement, Settling};

    /// Nothing that was reserved is forgotten, so somebody has to wait where settling takes longer than reserving.
    #[tokio::test]
    async fn it_is_behind_while_ten_thousand_wait() {
        let settling = Settling::default();
        let mut tasks = 0;
        for _ in 0..10_000 {
            assert!(!settling.is_behind());
            tasks += u32::from(settling.put(Settlement {
                request: "req-1".into(),
                principal: None,
                reserved: Vec::new(),
                ran: true,
                usage: Usage::default(),
            }));
        }
        assert!(settling.is_behind());
        assert_eq!(tasks, 64);
        for _ in 0..tasks {
            settling.run(&Counts::default()).await;
        }
        assert!(!settling.is_behind());
        assert_eq!(settling.work().tasks, 0);
    }
}
