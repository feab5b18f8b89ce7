//! Plugins as those who run the server see them, and what they may do to them while requests run.

use serde_json::{Map, Value};

use crate::{BoxFuture, Phase};

/// The plugins of a running gate.
pub trait PluginAdmin: Send + Sync {
    /// Every plugin, in the order in which they are asked.
    fn list(&self) -> Vec<PluginState>;

    /// What has been remembered, settled and logged since the start.
    fn counters(&self) -> GateCounters;

    /// Number of the generation in force: 1 after the start, one more with every change that takes effect.
    fn generation(&self) -> u64;

    /// Carries out a change of one plugin. The new plugin is compiled, configured and tested beside the one in force and
    /// takes its place in one step; where anything of that fails, the old one stays.
    fn change<'a>(
        &'a self,
        id: &'a str,
        change: PluginChange,
    ) -> BoxFuture<'a, Result<PluginState, PluginChangeError>>;
}

/// What can be done to a plugin while requests run.
#[derive(Debug, Clone, PartialEq)]
pub enum PluginChange {
    /// Read its code and files again, as they are now. Nothing happens where they are as they were. Code that takes part
    /// in fewer phases than the one in force is rejected: a phase must not be lost because a file was replaced.
    Reload,
    /// Take its code from elsewhere: a bundled name or a path. Its options stay. The new code may take part in fewer
    /// phases; that is for the person who asks to know.
    Source(String),
    /// Replace its own options. What it is granted and how it is run (`grant.` and `host.`) stays.
    Options(Map<String, Value>),
    /// Go back to what was in force before the last change that took effect.
    RollBack,
}

/// Why a change did not happen. What was in force still is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginChangeError {
    /// There is no plugin of this id.
    #[error("there is no plugin `{id}`; there are: {}", .known.join(", "))]
    Unknown {
        /// The id asked for.
        id: String,
        /// The ids there are.
        known: Vec<String>,
    },
    /// There is nothing to go back to.
    #[error("the plugin `{0}` has not changed since the start, so there is nothing to go back to")]
    NothingBefore(String),
    /// The new one cannot be used. The text is for the person who asked.
    #[error("{0}")]
    Rejected(String),
}

/// What a gate has remembered, settled and logged since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounters {
    /// Callers vouched for by an answer from before, without asking the plugin again.
    pub remembered: u64,
    /// Reservations settled.
    pub settled: u64,
    /// Reservations whose plugin failed in `settle`.
    pub settle_failures: u64,
    /// Events handed to the loggers, each counted once.
    pub logged: u64,
    /// Events dropped because the queue was full.
    pub log_dropped: u64,
    /// Events lost because a logger failed, counted for each logger.
    pub log_failures: u64,
}

/// Calls of one function of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCalls {
    /// Its name: `authenticate`, `authorize`, `admit`, `settle`, `tag` or `log`.
    pub function: &'static str,
    /// How often it was called. One that failed before it did anything and was made once more counts twice.
    pub calls: u64,
    /// Of these, calls without an answer that could be used.
    pub failures: u64,
    /// What they took together, in microseconds.
    pub total_us: u64,
    /// What the longest one took, in microseconds.
    pub longest_us: u64,
}

/// A plugin in force.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginState {
    /// Its name in this server, unique: what it calls itself, and a number where several are loaded.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Bundled name or path of its code.
    pub source: String,
    /// SHA-256 of its code, in hexadecimal.
    pub digest: String,
    /// Version of the interface it was built for.
    pub interface: &'static str,
    /// The phases it takes part in.
    pub phases: Vec<Phase>,
    /// The files followed for it: its code, where that is a file, and those its options name.
    pub files: Vec<String>,
    /// What it is granted: `kv`, `http https://auth.example.com`, `output access.jsonl`.
    pub grants: Vec<String>,
    /// What calls into it came to since the start, whichever code was in force.
    pub calls: Vec<FunctionCalls>,
    /// Number of the generation in which it took effect.
    pub generation: u64,
    /// When it took effect, in Unix milliseconds.
    pub since_ms: u64,
    /// Changes of it that took effect since the start.
    pub changes: u64,
    /// Changes of it that did not.
    pub failures: u64,
    /// Whether there is an earlier one to go back to.
    pub can_roll_back: bool,
    /// The last change that did not take effect since then: when, in Unix milliseconds, and why.
    pub last_failure: Option<(u64, String)>,
}
