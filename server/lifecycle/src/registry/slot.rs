use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mlx_gate_core::PluginState;

use crate::plugin::{Code, Plugin, hex};
use crate::{Grants, PluginSpec};

/// The place of one `--plugin`, whatever plugin is in it.
pub(super) struct Slot {
    /// Unique, and for good: what the first plugin called itself.
    pub(super) id: String,
    /// What the configuration that the server was started with grants it. No change gives it more.
    pub(super) granted: Grants,
    state: Mutex<State>,
}

/// A plugin with what it was made of.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) spec: PluginSpec,
    pub(super) plugin: Arc<Plugin>,
    generation: u64,
    since_ms: u64,
}

struct State {
    in_force: InForce,
    /// What was in force before the last change.
    former: Option<InForce>,
    change: Change,
    changes: u64,
    failures: u64,
    last_failure: Option<(u64, String)>,
}

/// How the plugin in force came to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is a new one.
    Made,
    /// The one after it was taken back.
    TakenBack,
}

impl InForce {
    pub(super) fn new(spec: PluginSpec, plugin: Arc<Plugin>, generation: u64) -> Self {
        Self { spec, plugin, generation, since_ms: now_ms() }
    }
}

impl Slot {
    pub(super) fn new(id: String, in_force: InForce) -> Self {
        let granted = in_force.plugin.services().grants().clone();
        let state = State {
            in_force,
            former: None,
            change: Change::Made,
            changes: 0,
            failures: 0,
            last_failure: None,
        };
        Self { id, granted, state: Mutex::new(state) }
    }

    pub(super) fn plugin(&self) -> Arc<Plugin> {
        self.lock().in_force.plugin.clone()
    }

    pub(super) fn in_force(&self) -> InForce {
        self.lock().in_force.clone()
    }

    pub(super) fn former(&self) -> Option<InForce> {
        self.lock().former.clone()
    }

    /// The plugin that a rollback put out of force, while what it brought back is in force.
    pub(super) fn taken_back(&self) -> Option<Arc<Plugin>> {
        let state = self.lock();
        let former = state.former.as_ref().filter(|_| state.change == Change::TakenBack)?;
        Some(former.plugin.clone())
    }

    /// The compiled code at hand, which a new plugin of the same code need not compile.
    pub(super) fn codes(&self) -> Vec<Arc<Code>> {
        let state = self.lock();
        let former = state.former.iter();
        former.chain([&state.in_force]).map(|plugin| plugin.plugin.code().clone()).collect()
    }

    /// Another plugin is in force.
    pub(super) fn replace(&self, in_force: InForce, change: Change) {
        in_force.plugin.enter();
        let mut state = self.lock();
        state.changes += 1;
        state.change = change;
        state.last_failure = None;
        let before = std::mem::replace(&mut state.in_force, in_force);
        let left = before.plugin.clone();
        let gone = state.former.replace(before);
        drop(state);
        left.leave();
        // Unless a request still uses it, its machine code is unmapped now, which is nothing to do under the lock.
        drop(gone);
    }

    /// A change failed.
    pub(super) fn failed(&self, reason: &str) {
        let mut state = self.lock();
        state.failures += 1;
        state.last_failure = Some((now_ms(), reason.to_owned()));
    }

    /// A file cannot be read.
    pub(super) fn troubled(&self, reason: String) {
        self.lock().last_failure = Some((now_ms(), reason));
    }

    /// All files can be read, and hold what is in force.
    pub(super) fn recovered(&self) {
        self.lock().last_failure = None;
    }

    pub(super) fn state(&self) -> PluginState {
        let state = self.lock();
        let InForce { spec, plugin, generation, since_ms } = &state.in_force;
        PluginState {
            id: self.id.clone(),
            name: plugin.name().to_owned(),
            version: plugin.description().version.clone(),
            source: spec.source.to_string(),
            digest: hex(plugin.code().digest()),
            interface: plugin.code().interface(),
            phases: plugin.phases().to_vec(),
            files: plugin.files().iter().map(|(path, _)| path.display().to_string()).collect(),
            grants: plugin.grants(),
            calls: plugin.services().calls.all(),
            generation: *generation,
            since_ms: *since_ms,
            changes: state.changes,
            failures: state.failures,
            can_roll_back: state.former.is_some(),
            last_failure: state.last_failure.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
