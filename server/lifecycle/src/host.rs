//! What a plugin may call. One module for each interface; this one holds the state of an instance.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlx_gate_core::Secret;
use wasmtime::ResourceLimiter;

use undo::Taken;
use wasi::Wasi;

pub(crate) mod at_once;
mod basic;
mod crypto;
mod http;
mod jwks;
mod kv;
mod messages;
mod output;
mod services;
mod turns;
mod undo;
mod wasi;

pub(crate) use messages::Admitted;
pub(crate) use services::Services;

/// What belongs to one instance: its bounds, and what host functions have to know of the call.
pub(crate) struct State {
    plugin: Arc<str>,
    services: Arc<Services>,
    bounds: Bounds,
    /// When the call is cut off.
    deadline: Instant,
    /// When it is cut off if it has not done anything yet, where it runs on the thread's own stack.
    direct_deadline: Option<Instant>,
    /// The memories the instance has, together, in bytes, and what the last one to grow got more.
    memory: usize,
    grown: usize,
    /// The memory the call was refused, in bytes. What follows is a trap of some kind, and this is its reason.
    refused_memory: Option<usize>,
    /// While `configure` runs.
    configuring: bool,
    /// Whether the call has done something that it would do again if it were made once more.
    has_acted: bool,
    /// Whether the host had to wait, in a call that cannot.
    has_to_wait: bool,
    /// What the call has waited for granted I/O.
    waited: Duration,
    /// Messages the call may still log.
    messages_left: u32,
    /// The credentials the instance has seen, which are blotted out of messages: a plugin may keep them, and say them in a
    /// later call.
    credentials: VecDeque<Secret>,
    /// Who made the request, where the call is told.
    peer: Option<IpAddr>,
    /// What the call has taken, where that has to be put back if it fails.
    taken: Option<Taken>,
    room: Room,
    wasi: Option<Box<Wasi>>,
}

/// What a call may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    /// In bytes, as is `transfer`.
    pub(crate) memory: usize,
    pub(crate) transfer: usize,
}

/// What the host has to know of a call.
#[derive(Default)]
pub(crate) struct About {
    /// The request's credentials, which its messages must not hold.
    pub(crate) credentials: Vec<Secret>,
    /// Who made the request.
    pub(crate) peer: Option<IpAddr>,
    /// Whether it reserves something, which has to be put back where it fails.
    pub(crate) reserves: bool,
}

/// Credentials that are blotted out of an instance's messages: those of its request, or, where it is reused, of its last ones.
const MOST_CREDENTIALS: usize = 32;

/// Messages one call may log.
const MESSAGES: u32 = 32;

/// The longest one call may wait for granted I/O in all. The request's own time-out may be shorter.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);

impl State {
    pub(crate) fn new(plugin: Arc<str>, services: Arc<Services>, bounds: Bounds) -> Self {
        Self {
            plugin,
            services,
            bounds,
            deadline: Instant::now() + bounds.time,
            direct_deadline: None,
            memory: 0,
            grown: 0,
            refused_memory: None,
            configuring: false,
            has_acted: false,
            has_to_wait: false,
            waited: Duration::ZERO,
            messages_left: MESSAGES,
            credentials: VecDeque::new(),
            peer: None,
            taken: None,
            room: Room::default(),
            wasi: None,
        }
    }

    /// The next call begins: its clock, its bounds, and what it is about.
    pub(crate) fn begin(&mut self, bounds: Bounds, about: About) {
        self.bounds = bounds;
        self.deadline = Instant::now() + bounds.time;
        self.refused_memory = None;
        self.has_acted = false;
        self.has_to_wait = false;
        self.waited = Duration::ZERO;
        self.messages_left = MESSAGES;
        self.peer = about.peer;
        self.taken = about.reserves.then(Taken::default);
        self.hide(about.credentials);
    }

    /// Blots these credentials out of messages from now on, beside those of the calls before.
    fn hide(&mut self, credentials: Vec<Secret>) {
        for credential in credentials {
            if !self.credentials.iter().any(|known| known.expose() == credential.expose()) {
                self.credentials.push_back(credential);
            }
        }
        let too_many = self.credentials.len().saturating_sub(MOST_CREDENTIALS);
        self.credentials.drain(..too_many);
    }

    /// What follows runs on the thread's own stack and has so much of its time, or it runs on a stack of its own.
    pub(crate) fn run_directly(&mut self, time: Option<Duration>) {
        self.direct_deadline = time.map(|time| Instant::now() + time);
    }

    /// Whether it runs on the thread's own stack.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct_deadline.is_some()
    }

    /// The call is over.
    pub(crate) fn end(&mut self) {
        self.log_printed();
        self.taken = None;
    }

    /// Forbids what must not end up in a snapshot.
    pub(crate) fn while_configuring(mut self) -> Self {
        self.configuring = true;
        self
    }

    /// Gives the instance as much room as its sandbox has.
    pub(crate) fn with_room(mut self, room: Room) -> Self {
        self.room = room;
        self
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn overdue(&self) -> bool {
        let now = Instant::now();
        let is_to_move = |deadline| now >= deadline && !self.has_acted;
        now >= self.deadline || self.direct_deadline.is_some_and(is_to_move)
    }

    pub(crate) fn refused_memory(&self) -> Option<usize> {
        self.refused_memory
    }

    /// Whether anybody but the plugin can tell that the call was made.
    pub(crate) fn has_acted(&self) -> bool {
        self.has_acted
    }

    /// Whether it failed because the host had to wait.
    pub(crate) fn has_to_wait(&self) -> bool {
        self.has_to_wait
    }

    /// Waits for granted I/O. The wait is not the plugin's time.
    async fn waiting<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let outcome = work.await;
        let waited = began.elapsed();
        self.deadline += waited;
        self.waited += waited;
        outcome
    }

    /// How long the call may still wait.
    fn patience(&self) -> Duration {
        LONGEST_WAIT.saturating_sub(self.waited)
    }

    /// What the world outside says must not become part of the state that every request starts from, and a plugin that is
    /// only being tried must not change it.
    fn not_while_configuring(&self, interface: &str, function: &str) -> wasmtime::Result<()> {
        if self.configuring {
            wasmtime::bail!(
                "`{interface}.{function}` before the plugin is in force; use it when a request is asked about"
            );
        }
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.log_printed();
    }
}

/// What an instance may consist of, besides its memory: bounds that no honest plugin meets. The pool has bounds of the
/// same kind; these hold without it too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) table_elements: usize,
    pub(crate) core_instances: usize,
    pub(crate) tables: usize,
    /// They share the bound of one.
    pub(crate) memories: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { table_elements: 20_000, core_instances: 16, tables: 8, memories: 1 }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grown = desired.saturating_sub(current);
        let wanted = self.memory.saturating_add(self.grown);
        let fits = wanted <= self.bounds.memory;
        if fits {
            self.memory = wanted;
        } else {
            self.refused_memory = Some(wanted);
        }
        Ok(fits)
    }

    /// It was let, and the system had no more.
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        if self.refused_memory.is_none() {
            self.memory = self.memory.saturating_sub(std::mem::take(&mut self.grown));
        }
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.room.table_elements)
    }

    fn instances(&self) -> usize {
        self.room.core_instances
    }

    fn tables(&self) -> usize {
        self.room.tables
    }

    fn memories(&self) -> usize {
        self.room.memories
    }
}
