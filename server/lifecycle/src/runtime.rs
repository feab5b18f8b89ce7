//! wasmtime, set up for plugins: fresh instances in microseconds, and no call that cannot be stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::Error;
use crate::bindings::v0_1::mlx_gate::plugin as v0_1;
use crate::host::State;

mod functions;
mod ticker;

use functions::Functions;
pub(crate) use ticker::{Running, Ticker};

/// Calls that may run at the same time: the slots of the instance pool.
const SLOTS: u32 = 500;

/// The largest memory an instance in the pool can have. [`Limits`](crate::Limits) set the bound that counts.
const SLOT_MEMORY: usize = 64 << 20;

/// Machine code of functions that is kept for the next compilation, in bytes. The bundled plugins have some 8 MiB.
const FUNCTIONS: usize = 32 << 20;

/// The stack wasm code may use, and that of the fiber it runs on, which host functions share.
const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 1 << 20;

/// Shared by all plugins, in all their generations.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    /// What plugins built for version 0.1 of the interface may call.
    pub(crate) linker: Linker<State>,
    pub(crate) ticker: Ticker,
    /// One permit for each slot of the pool. A request waits for its turn rather than failing.
    pub(crate) slots: Arc<Semaphore>,
}

impl Runtime {
    pub(crate) fn new() -> Result<Self, Error> {
        let functions = Arc::new(Functions::new(FUNCTIONS));
        let engine = |pooled| settings(pooled, &functions).and_then(|settings| Engine::new(&settings));
        let engine = engine(true).or_else(|error| {
            // The pool reserves gigabytes of addresses, which `ulimit -v` and some containers refuse.
            tracing::warn!(
                "plugins run without the instance pool, some ten times slower: {error:#}. Is there a limit on virtual memory?"
            );
            engine(false)
        });
        let engine = engine.map_err(|error| Error::Runtime(format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        v0_1::host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)
            .and_then(|()| v0_1::crypto::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state))
            .map_err(|error| Error::Runtime(format!("{error:#}")))?;
        let ticker = Ticker::start(&engine, Duration::from_millis(1))
            .map_err(|error| Error::Runtime(format!("no thread for the clock: {error}")))?;
        Ok(Self { engine, linker, ticker, slots: Arc::new(Semaphore::new(SLOTS as usize)) })
    }

    /// Whether more than half of the slots are free.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.available_permits() > SLOTS as usize / 2
    }
}

fn settings(pooled: bool, functions: &Arc<Functions>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .enable_incremental_compilation(functions.clone())?
        .epoch_interruption(true)
        // A third of the time of every call, for asynchronous components, which the interface does not have.
        .concurrency_support(false)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(SLOTS)
            .total_core_instances(SLOTS * 4)
            .total_memories(SLOTS)
            .total_tables(SLOTS * 2)
            .total_stacks(SLOTS)
            .max_memory_size(SLOT_MEMORY)
            .max_unused_warm_slots(256)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10);
        // Lets the kernel say which pages a call wrote, so that only those are restored. Without it (Linux before 6.7,
        // other systems) keeping pages resident costs more than it saves.
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Yes);
        } else {
            pool.linear_memory_keep_resident(0);
        }
        config.memory_reservation(SLOT_MEMORY as u64);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    Ok(config)
}
