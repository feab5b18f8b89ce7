//! An instance of a plugin with what bounds it, and the reason when a call into it fails.

use mlx_gate_core::Secret;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{self, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::Failure;
use crate::host::{Bounds, State};
use crate::runtime::{Running, Sandbox};

/// An instance with its store, alive for one or more calls.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) inner: component::Instance,
    /// While it may be cut off; `None` between calls.
    running: Option<Running>,
    _slot: OwnedSemaphorePermit,
}

impl Instance {
    /// Instantiates, as soon as there is a slot.
    pub(crate) async fn new(
        sandbox: &Sandbox,
        component: &InstancePre<State>,
        state: State,
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
        // Lets other tasks of this thread go on at every tick, so that a plugin that hangs delays nobody.
        store.epoch_deadline_callback(|store| {
            Ok(if store.data().overdue() { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        match component.instantiate_async(&mut store).await {
            Ok(inner) => Ok(Self { store, inner, running, _slot: slot }),
            Err(error) => Err(explain(&error, store.data())),
        }
    }

    /// Starts the clock of the next call, and says what its messages must not hold.
    pub(crate) fn begin(&mut self, sandbox: &Sandbox, bounds: Bounds, credentials: Vec<Secret>) {
        self.running.get_or_insert_with(|| sandbox.ticker.running());
        self.store.data_mut().begin(bounds, credentials);
        self.store.set_epoch_deadline(1);
    }

    /// Between calls nothing has to be cut off, and nothing of the last one is kept.
    pub(crate) fn rest(&mut self) {
        self.running = None;
        self.store.data_mut().end();
    }

    /// Puts a failed call into words.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> Failure {
        explain(error, self.store.data())
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
