//! An instance of a plugin with what bounds it, and the reason when a call into it fails.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{self, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::Failure;
use crate::host::{About, Bounds, State};
use crate::runtime::{Running, Sandbox};

/// On which stack an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// On the thread's own, which is in its caches. Nobody else has the thread until the call is over, so there is not much
    /// time for it, and host functions must not wait.
    Direct,
    /// On one of its own, which it leaves at every tick of the clock and while the host waits.
    Yielding,
}

impl Pace {
    /// What a call may take of its thread's time. After that it is given up if it has not done anything yet, to be made on a
    /// stack of its own.
    const fn time(self) -> Option<Duration> {
        match self {
            Self::Direct => Some(Duration::from_millis(2)),
            Self::Yielding => None,
        }
    }
}

/// An instance with its store, alive for one or more calls.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) inner: component::Instance,
    /// What its imports are linked for. Where they may wait, it has a stack of its own in every call.
    made_for: Pace,
    /// While it may be cut off; `None` between calls.
    running: Option<Running>,
    _slot: OwnedSemaphorePermit,
}

impl Instance {
    /// Instantiates, as soon as there is a slot. The component is linked for calls of this pace.
    pub(crate) async fn new(
        sandbox: &Sandbox,
        component: &InstancePre<State>,
        state: State,
        pace: Pace,
    ) -> Result<Self, Failure> {
        let slot = sandbox.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|closed| Failure::Trap(closed.to_string()))?;
        let running = Some(sandbox.ticker.running());
        let bounds = state.bounds();
        let mut store = Store::new(&sandbox.engine, state.with_room(sandbox.room));
        store.limiter(|state| state);
        store.set_hostcall_fuel(bounds.transfer);
        store.set_max_component_handles(sandbox.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| Ok(at_tick(store.data())));
        store.data_mut().run_directly(pace.time());
        let inner = match pace {
            Pace::Direct => component.instantiate(&mut store),
            Pace::Yielding => component.instantiate_async(&mut store).await,
        };
        store.data_mut().run_directly(None);
        match inner {
            Ok(inner) => Ok(Self { store, inner, made_for: pace, running, _slot: slot }),
            Err(error) => Err(explain(&error, store.data())),
        }
    }

    /// Starts the clock of the next call, and says what it is about. Returns how the call will be made: in this way, if the
    /// instance is made for it.
    pub(crate) fn begin(&mut self, sandbox: &Sandbox, bounds: Bounds, about: About, pace: Pace) -> Pace {
        let pace = if self.made_for == Pace::Yielding { Pace::Yielding } else { pace };
        self.running.get_or_insert_with(|| sandbox.ticker.running());
        self.store.data_mut().begin(bounds, about);
        self.store.data_mut().run_directly(pace.time());
        self.store.set_epoch_deadline(1);
        pace
    }

    /// How the call is to be made.
    pub(crate) fn pace(&self) -> Pace {
        if self.store.data().is_direct() { Pace::Direct } else { Pace::Yielding }
    }

    /// Between calls nothing has to be cut off.
    pub(crate) fn rest(&mut self) {
        self.running = None;
        self.store.data_mut().end();
    }

    /// Puts a failed call into words.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> Failure {
        explain(error, self.store.data())
    }
}

/// What becomes of a call that is still at work. One on a stack of its own lets others have the thread, so that a plugin that
/// hangs delays nobody.
fn at_tick(state: &State) -> UpdateDeadline {
    if state.overdue() {
        UpdateDeadline::Interrupt
    } else if state.is_direct() {
        UpdateDeadline::Continue(1)
    } else {
        UpdateDeadline::Yield(1)
    }
}

fn explain(error: &wasmtime::Error, state: &State) -> Failure {
    let bounds = state.bounds();
    // A refused allocation traps in a way that depends on the guest's language, so this comes first.
    if let Some(wanted) = state.refused_memory() {
        return Failure::Memory { wanted, limit: bounds.memory };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Timeout(bounds.time),
        Some(Trap::StackOverflow) => Failure::Stack,
        Some(trap) => Failure::Trap(trap.to_string()),
        None if exceeds_transfer(error) => Failure::Transfer(bounds.transfer),
        None => Failure::Trap(error.root_cause().to_string()),
    }
}

/// wasmtime keeps the type of this error to itself, so its text has to do. Should the text change, the call still fails,
/// with that text as its reason.
fn exceeds_transfer(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}
