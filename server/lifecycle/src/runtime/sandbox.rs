use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::functions::Functions;
use super::ticker::Ticker;
use crate::bindings::v0_1::mlx_gate::plugin as v0_1;
use crate::call::Pace;
use crate::guest::Version;
use crate::host::{LONGEST_WAIT, Room, State, at_once};
use crate::restocking::Restocking;
use crate::{Error, Failure};

/// The largest memory an instance in the pool can have. [`Limits`](crate::Limits) set the bound that counts.
pub(super) const POOLED_MEMORY: usize = 64 << 20;

/// What an instance outside the pool may have, unless somebody has written down otherwise: an interpreter with its
/// standard library, and room to work.
const ROOMY_MEMORY: usize = 256 << 20;

/// Calls that may run at the same time: the slots of the instance pool, and as many as the memory of a machine bears
/// outside it.
const POOLED_SLOTS: u32 = 500;
const ROOMY_SLOTS: u32 = 32;

/// What components of an instance the pool has, for each slot on average.
const POOLED_CORE_INSTANCES: u32 = 4;
const POOLED_TABLES: u32 = 2;

/// Free slots that keep what is left of a plugin's instances, for the next one of the same, before a new plugin gets a slot that
/// was never used. More of them would only mean that every reload takes new memory, until all slots have been used.
const WARM_SLOTS: u32 = 32;

/// Machine code of functions that is kept for the next compilation, in bytes. The bundled plugins have some 8 MiB. That of
/// interpreters is not kept: they are compiled once.
const FUNCTIONS: usize = 8 << 20;

/// The stack wasm code may use, and that of the fiber it runs on, which host functions share. Interpreters recurse.
const POOLED_STACKS: (usize, usize) = (512 << 10, 1 << 20);
const ROOMY_STACKS: (usize, usize) = (2 << 20, 3 << 20);

/// An engine, what components may call in it, and what bounds them.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    /// What plugins built for version 0.1 of the interface may call.
    v0_1: Linker<State>,
    /// The same for calls that cannot wait.
    v0_1_at_once: Linker<State>,
    pub(crate) ticker: Ticker,
    /// One permit for each instance. A request waits for its turn rather than failing.
    pub(crate) slots: Arc<Semaphore>,
    slots_in_all: usize,
    pub(crate) restocking: Restocking,
    pub(crate) room: Room,
    /// Component handles one instance may hold. The interface has none, WASI has; this bounds what a guest makes for
    /// itself.
    pub(crate) handles: usize,
    /// The memory of an instance where nobody has written down any, in bytes.
    pub(crate) usual_memory: usize,
    /// Whether it has WASI.
    wasi: bool,
    /// Machine code for the next compilation.
    functions: Option<Arc<Functions>>,
}

impl Sandbox {
    /// For components compiled to the point: memory, tables and stacks lie ready.
    pub(super) fn pooled() -> Result<Self, Error> {
        let functions = Arc::new(Functions::new(FUNCTIONS));
        let engine = |pooled| pooled_settings(pooled, &functions).and_then(|settings| Engine::new(&settings));
        let engine = engine(true).or_else(|error| {
            // The pool reserves gigabytes of addresses, which `ulimit -v` and some containers refuse.
            tracing::warn!(
                "plugins run without the instance pool, some ten times slower: {error:#}. Is there a limit on virtual memory?"
            );
            engine(false)
        });
        let engine = engine.map_err(|error| Error::Runtime(format!("{error:#}")))?;
        Ok(Self {
            room: Room::default(),
            handles: 64,
            usual_memory: 0,
            functions: Some(functions),
            ..Self::around(engine, POOLED_SLOTS, false)?
        })
    }

    /// For whole interpreters: room for an instance is made when it is.
    pub(super) fn roomy() -> Result<Self, Error> {
        let engine =
            Engine::new(&settings(ROOMY_STACKS)).map_err(|error| Error::Runtime(format!("{error:#}")))?;
        Ok(Self {
            room: Room { table_elements: 100_000, core_instances: 256, tables: 256, memories: 16 },
            handles: 1024,
            usual_memory: ROOMY_MEMORY,
            ..Self::around(engine, ROOMY_SLOTS, true)?
        })
    }

    fn around(engine: Engine, slots: u32, wasi: bool) -> Result<Self, Error> {
        let linker =
            |pace| linker_v0_1(&engine, wasi, pace).map_err(|error| Error::Runtime(format!("{error:#}")));
        let (v0_1, v0_1_at_once) = (linker(Pace::Yielding)?, linker(Pace::Direct)?);
        let ticker = Ticker::start(&engine, Duration::from_millis(1))
            .map_err(|error| Error::Runtime(format!("no thread for the clock: {error}")))?;
        let slots_in_all = slots as usize;
        let slots = Arc::new(Semaphore::new(slots_in_all));
        Ok(Self {
            engine,
            v0_1,
            v0_1_at_once,
            ticker,
            slots,
            slots_in_all,
            restocking: Restocking::default(),
            room: Room::default(),
            handles: 0,
            usual_memory: 0,
            wasi,
            functions: None,
        })
    }

    /// Compiles the component of a new plugin, and keeps its machine code for the compilations that follow.
    pub(super) fn compile_new(&self, component: &[u8]) -> wasmtime::Result<Component> {
        let _learning = self.functions.as_ref().map(|functions| functions.learn());
        Component::from_binary(&self.engine, component)
    }

    /// What plugins built for this version of the interface may call.
    pub(crate) fn linker(&self, version: Version, pace: Pace) -> &Linker<State> {
        match (version, pace) {
            (Version::V0_1, Pace::Yielding) => &self.v0_1,
            (Version::V0_1, Pace::Direct) => &self.v0_1_at_once,
        }
    }

    /// Whether more than half of the slots are free.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.available_permits() > self.slots_in_all / 2
    }

    /// Whether so many slots are free that some may be held for as long as a generation takes. They never come to those
    /// that [`has_room`](Self::has_room) is about.
    pub(crate) fn is_roomy(&self) -> bool {
        self.slots.available_permits() > self.slots_in_all / 4 * 3
    }

    /// Whether the pool has what an instance of this component needs.
    pub(super) fn fits(&self, component: &Component) -> bool {
        const PAGE: u64 = 64 << 10;
        component.resources_required().is_some_and(|needed| {
            needed.num_memories <= self.room.memories as u32
                && needed.num_tables <= self.room.tables as u32
                && needed.max_initial_memory_size.unwrap_or(0) * PAGE <= POOLED_MEMORY as u64
                && needed.max_initial_table_size.unwrap_or(0) <= self.room.table_elements as u64
        })
    }

    /// Makes a call, and gives it up where the guest sleeps for ever: WASI lets it, and while it sleeps no epoch ends it.
    pub(crate) async fn bounded<T>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if !self.wasi {
            return call.await;
        }
        tokio::time::timeout(time + LONGEST_WAIT, call).await.unwrap_or(Err(Failure::Timeout(time)))
    }
}

fn linker_v0_1(engine: &Engine, wasi: bool, pace: Pace) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    v0_1::host::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    v0_1::crypto::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    match pace {
        Pace::Direct => at_once::link(&mut linker)?,
        Pace::Yielding => {
            v0_1::kv::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            v0_1::http::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            v0_1::jwks::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            v0_1::output::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        }
    }
    if wasi {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    Ok(linker)
}

fn settings((wasm_stack, fiber_stack): (usize, usize)) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // A third of the time of every call, for asynchronous components, which the interface does not have.
        .concurrency_support(false)
        .memory_init_cow(true)
        .max_wasm_stack(wasm_stack)
        .async_stack_size(fiber_stack);
    config
}

fn pooled_settings(pooled: bool, functions: &Arc<Functions>) -> wasmtime::Result<Config> {
    let mut config = settings(POOLED_STACKS);
    config.enable_incremental_compilation(functions.clone())?;
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(POOLED_SLOTS)
            .total_core_instances(POOLED_SLOTS * POOLED_CORE_INSTANCES)
            .total_memories(POOLED_SLOTS)
            .total_tables(POOLED_SLOTS * POOLED_TABLES)
            .total_stacks(POOLED_SLOTS)
            .max_memory_size(POOLED_MEMORY)
            .max_unused_warm_slots(WARM_SLOTS)
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
        config.memory_reservation(POOLED_MEMORY as u64);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    Ok(config)
}
