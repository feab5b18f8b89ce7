//! One call into a plugin: a fresh instance, a deadline, and a reason when it fails.

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::Failure;
use crate::host::State;
use crate::runtime::{Running, Runtime};

/// Component handles one instance may hold. The interface has none; this bounds what a guest makes for itself.
const HANDLES: usize = 64;

/// An instance with its store, alive for one request.
pub(crate) struct Fresh<'a> {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    _running: Running<'a>,
    _slot: tokio::sync::SemaphorePermit<'a>,
}

impl<'a> Fresh<'a> {
    /// Instantiates, as soon as there is a slot.
    pub(crate) async fn new(
        runtime: &'a Runtime,
        component: &InstancePre<State>,
        state: State,
    ) -> Result<Self, Failure> {
        let slot = runtime.slots.acquire().await.map_err(|closed| Failure::Trap(closed.to_string()))?;
        let running = runtime.ticker.running();
        let bounds = state.bounds();
        let mut store = Store::new(&runtime.engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(bounds.transfer);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        // Lets other tasks of this thread go on at every tick, so that a plugin that hangs delays nobody.
        store.epoch_deadline_callback(|store| {
            Ok(if store.data().overdue() { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        match component.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Self { store, instance, _running: running, _slot: slot }),
            Err(error) => Err(explain(&error, store.data())),
        }
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
