//! What a plugin may call. One module for each interface; this one holds the state of an instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mlx_gate_core::Secret;
use wasmtime::ResourceLimiter;

mod basic;
mod crypto;

/// What belongs to one instance: its bounds, and what host functions have to know of the call.
pub(crate) struct State {
    plugin: Arc<str>,
    bounds: Bounds,
    /// When the call is cut off.
    deadline: Instant,
    /// The memory the call was refused, in bytes. What follows is a trap of some kind, and this is its reason.
    refused_memory: Option<usize>,
    /// While `configure` runs.
    configuring: bool,
    /// Messages the call may still log.
    messages_left: u32,
    /// The request's credentials, which are blotted out of messages.
    credentials: Vec<Secret>,
}

/// What a call may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    /// In bytes, as is `transfer`.
    pub(crate) memory: usize,
    pub(crate) transfer: usize,
}

/// Messages one call may log.
const MESSAGES: u32 = 32;

impl State {
    pub(crate) fn new(plugin: Arc<str>, bounds: Bounds) -> Self {
        Self {
            plugin,
            bounds,
            deadline: Instant::now() + bounds.time,
            refused_memory: None,
            configuring: false,
            messages_left: MESSAGES,
            credentials: Vec::new(),
        }
    }

    /// The next call begins: its clock, its bounds, and the credentials its messages must not hold.
    pub(crate) fn begin(&mut self, bounds: Bounds, credentials: Vec<Secret>) {
        self.bounds = bounds;
        self.deadline = Instant::now() + bounds.time;
        self.refused_memory = None;
        self.messages_left = MESSAGES;
        self.credentials = credentials;
    }

    /// The call is over.
    pub(crate) fn end(&mut self) {
        self.credentials = Vec::new();
    }

    /// Forbids what must not end up in a snapshot.
    pub(crate) fn while_configuring(mut self) -> Self {
        self.configuring = true;
        self
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn overdue(&self) -> bool {
        Instant::now() >= self.deadline
    }

    pub(crate) fn refused_memory(&self) -> Option<usize> {
        self.refused_memory
    }
}

/// Bounds that no honest plugin meets. The pool has bounds of the same kind; these hold without it too.
const TABLE_ELEMENTS: usize = 20_000;
const CORE_INSTANCES: usize = 16;
const TABLES: usize = 8;
const MEMORIES: usize = 1;

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.bounds.memory;
        if !fits {
            self.refused_memory = Some(desired);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
