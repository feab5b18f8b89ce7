//! The plugins of a server while it runs: each in its place, changed one at a time beside the requests.
//!
//! A change makes a whole new plugin (code, grants, configuration, self-test) off the requests' path. Only then is a new
//! generation put in force, by storing one pointer; it shares the other plugins with the one before. Requests keep the
//! generation they began with, and the last of them to end lets go of it. Where anything fails, nothing has happened.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use mlx_gate_core::{BoxFuture, Phase, PluginChange, PluginChangeError, PluginState};
use tokio::sync::Mutex;

use crate::generation::Generation;
use crate::host::Services;
use crate::plugin::{Loader, Plugin};
use crate::runtime::Runtime;
use crate::watch::{Digest, Report, Watcher};
use crate::{Bundled, Config, Error, Grants, OptionValue, Source};

mod follow;
mod slot;

use slot::{Change, InForce, Slot};

/// Every plugin of a gate in its place.
pub(crate) struct Registry {
    /// `None` where there are no plugins, and none can come.
    loader: Option<Loader>,
    /// In the order in which they are asked. Places never move.
    slots: Vec<Slot>,
    current: ArcSwap<Generation>,
    /// Held while a change is made: each builds on the one before.
    turn: Mutex<()>,
    watcher: OnceLock<Watcher>,
}

impl Registry {
    /// Loads all plugins and follows their files. The first one that cannot be used stops it.
    pub(crate) async fn load(config: &Config, bundled: &[Bundled]) -> Result<Arc<Self>, Error> {
        let mut slots: Vec<Slot> = Vec::new();
        let mut loader = None;
        if !config.plugins.is_empty() {
            let loader = loader.insert(Loader {
                runtime: Arc::new(Runtime::new(config.cache_dir.as_deref())?),
                bundled: bundled.to_vec(),
                limits: config.limits.clone(),
            });
            for spec in &config.plugins {
                let started = Instant::now();
                let prepared = loader.prepare(spec, &[]).await?;
                let plugin = Arc::new(prepared.finish(&Services::new()).await?);
                let id = unique(plugin.name(), &slots);
                tracing::info!(
                    plugin = id,
                    version = plugin.description().version,
                    phases = names(plugin.phases()),
                    took_ms = started.elapsed().as_millis() as u64,
                    "plugin loaded"
                );
                slots.push(Slot::new(id, InForce::new(spec.clone(), plugin, 1)));
            }
        }
        let plugins = slots.iter().map(Slot::plugin).collect();
        let current = ArcSwap::from_pointee(Generation::new(1, plugins));
        let registry = Self { loader, slots, current, turn: Mutex::new(()), watcher: OnceLock::new() };
        let registry = Arc::new(registry);
        follow::start(&registry);
        Ok(registry)
    }

    /// The plugins in force.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// The same, for a look that does not last.
    pub(crate) fn peek(&self) -> arc_swap::Guard<Arc<Generation>> {
        self.current.load()
    }

    /// Reads everything again: code, files, outputs. Failures are logged, and leave their plugins as they are.
    pub(crate) async fn reload(&self) {
        let (mut changed, mut failed) = (0, 0);
        for slot in &self.slots {
            let before = slot.state().changes;
            match self.change_one(&slot.id, Asked::ByFiles).await {
                Ok(after) => changed += after.changes - before,
                Err(_) => failed += 1,
            }
        }
        tracing::info!(changed, failed, "plugins and their files read again");
    }

    async fn change_one(&self, id: &str, asked: Asked) -> Result<PluginState, PluginChangeError> {
        let place = self.slots.iter().position(|slot| slot.id == id).ok_or_else(|| {
            let known = self.slots.iter().map(|slot| slot.id.clone()).collect();
            PluginChangeError::Unknown { id: id.to_owned(), known }
        })?;
        let slot = &self.slots[place];
        let _turn = self.turn.lock().await;
        let outcome = caught(async {
            match asked {
                Asked::By(PluginChange::RollBack) => self.roll_back(place, slot),
                asked => self.replace(place, slot, asked).await.map_err(PluginChangeError::Rejected),
            }
        });
        let outcome = outcome.await.unwrap_or_else(|panic| Err(PluginChangeError::Rejected(panic)));
        if let Err(PluginChangeError::Rejected(reason)) = &outcome {
            slot.failed(reason);
            tracing::error!(
                plugin = slot.id,
                "the plugin is not changed, and what was in force stays: {reason}"
            );
        }
        outcome.map(|()| slot.state())
    }

    /// Makes a new plugin and puts it in force.
    async fn replace(&self, place: usize, slot: &Slot, asked: Asked) -> Result<(), String> {
        let started = Instant::now();
        let Some(loader) = &self.loader else { return Ok(()) };
        let before = slot.in_force();
        let is_reload = matches!(asked, Asked::ByFiles | Asked::By(PluginChange::Reload));
        let taken_back = slot.taken_back().filter(|_| matches!(asked, Asked::ByFiles));
        let may_lose_phases = matches!(asked, Asked::By(PluginChange::Source(_)));
        let mut spec = before.spec.clone();
        match asked {
            Asked::By(PluginChange::Source(source)) => spec.source = Source::from(&*source),
            Asked::By(PluginChange::Options(options)) => {
                spec.options =
                    options.into_iter().map(|(name, value)| (name, OptionValue::Json(value))).collect();
            }
            Asked::By(PluginChange::Reload | PluginChange::RollBack) | Asked::ByFiles => {}
        }
        let explain = |error: Error| error.to_string();
        let prepared = match loader.prepare(&spec, &slot.codes()).await {
            Ok(prepared) => prepared,
            Err(error) => {
                // What is in force goes on, and a rotation of its log must not wait for its other files to be right.
                if is_reload && let Err(problem) = before.plugin.services().reopen().await {
                    tracing::error!(plugin = slot.id, "{problem}");
                }
                return Err(explain(error));
            }
        };
        let is_known = |plugin: &Plugin| prepared.fingerprint() == plugin.fingerprint();
        if is_reload && (is_known(&before.plugin) || taken_back.is_some_and(|plugin| is_known(&plugin))) {
            before.plugin.services().reopen().await.map_err(|problem| problem.to_string())?;
            slot.recovered();
            return Ok(());
        }
        self.expect_phases(&before.plugin, prepared.phases(), may_lose_phases)?;
        expect_grants(&slot.granted, prepared.grants())?;
        let plugin = Arc::new(prepared.finish(before.plugin.services()).await.map_err(explain)?);
        let version = plugin.description().version.clone();
        let generation = self.put(place, plugin.clone());
        slot.replace(InForce::new(spec, plugin, generation), Change::Made);
        self.follow(place, slot, &[]);
        tracing::info!(
            plugin = slot.id,
            version,
            was = before.plugin.description().version,
            generation,
            took_ms = started.elapsed().as_millis() as u64,
            "plugin changed"
        );
        Ok(())
    }

    /// Puts what was in force before the last change in force again, as it was: it needs nothing but the pointer. Files that
    /// both were made of are followed from where they are now, so that the change which was taken back does not come again
    /// by itself.
    fn roll_back(&self, place: usize, slot: &Slot) -> Result<(), PluginChangeError> {
        let nothing = || PluginChangeError::NothingBefore(slot.id.clone());
        let former = slot.former().ok_or_else(nothing)?;
        let taken_back = slot.plugin();
        self.expect_phases(&taken_back, former.plugin.phases(), true).map_err(PluginChangeError::Rejected)?;
        let generation = self.put(place, former.plugin.clone());
        slot.replace(InForce::new(former.spec, former.plugin, generation), Change::TakenBack);
        self.follow(place, slot, taken_back.files());
        tracing::info!(plugin = slot.id, generation, "plugin rolled back");
        Ok(())
    }

    /// What a plugin decides must not stop being decided by accident, and never may a server stop asking who is there.
    fn expect_phases(&self, before: &Plugin, after: &[Phase], may_lose: bool) -> Result<(), String> {
        let lost: Vec<Phase> =
            before.phases().iter().copied().filter(|phase| !after.contains(phase)).collect();
        let authenticators = self.peek().chain(Phase::Authenticate).count();
        if lost.contains(&Phase::Authenticate) && authenticators == 1 {
            return Err("the new code does not authenticate, and no other plugin does: everybody could walk in. Start the \
                        server anew to run it without authentication"
                .to_owned());
        }
        if lost.is_empty() || may_lose {
            return Ok(());
        }
        Err(format!(
            "the new code does not take part in {}, and the one in force does. If that is meant, ask for it: `mlx-gate \
             plugin swap`, or the admin API with the source",
            names(&lost)
        ))
    }

    /// Puts a generation with this plugin in its place in force, and gives its number.
    fn put(&self, place: usize, plugin: Arc<Plugin>) -> u64 {
        let current = self.current.load();
        let mut plugins = current.plugins.clone();
        plugins[place] = plugin;
        let number = current.number + 1;
        self.current.store(Arc::new(Generation::new(number, plugins)));
        number
    }

    /// Follows the files that the plugin in force was made of. Those of the known that hold what they are known to hold are no
    /// news.
    fn follow(&self, place: usize, slot: &Slot, known: &[(PathBuf, Digest)]) {
        let InForce { spec, plugin, .. } = slot.in_force();
        let Some(watcher) = self.watcher.get() else { return };
        let mut files = if spec.host.watch { plugin.files().to_vec() } else { Vec::new() };
        for (path, digest) in &mut files {
            if let Some((_, seen)) = known.iter().find(|(known, _)| known == path) {
                *digest = *seen;
            }
        }
        watcher.follow(place, files);
    }

    /// What the watcher says about the files of one place.
    async fn take(&self, place: usize, report: Report) {
        let Some(slot) = self.slots.get(place) else { return };
        match report {
            Report::Changed(paths) => {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                tracing::info!(
                    plugin = slot.id,
                    files = paths.join(", "),
                    "files of the plugin have changed"
                );
                // Logged and kept where it was found.
                let _ = self.change_one(&slot.id, Asked::ByFiles).await;
            }
            Report::Trouble(path, reason) => {
                let reason = format!("{} cannot be read any more: {reason}", path.display());
                tracing::error!(plugin = slot.id, "{reason}; what was read from it before stays in force");
                slot.troubled(reason);
            }
            Report::Recovered(path) => {
                tracing::info!(plugin = slot.id, "{} is again as it was when it was read", path.display());
                // Another file may have changed meanwhile, and could not take effect without this one.
                let _ = self.change_one(&slot.id, Asked::ByFiles).await;
            }
        }
    }
}

/// Who wants a change.
enum Asked {
    /// Somebody, of this plugin.
    By(PluginChange),
    /// Its files, or SIGHUP: what was taken back is not meant.
    ByFiles,
}

/// What [`PluginAdmin`](mlx_gate_core::PluginAdmin) asks for.
impl Registry {
    pub(crate) fn list(&self) -> Vec<PluginState> {
        self.slots.iter().map(Slot::state).collect()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.peek().number
    }

    pub(crate) fn change<'a>(
        &'a self,
        id: &'a str,
        change: PluginChange,
    ) -> BoxFuture<'a, Result<PluginState, PluginChangeError>> {
        Box::pin(self.change_one(id, Asked::By(change)))
    }
}

/// Options may be grants, and whoever may change options must not come to write to any file of the server's user, or to ask any
/// server that it can reach, by that.
fn expect_grants(granted: &Grants, wanted: &Grants) -> Result<(), String> {
    let beyond = wanted.beyond(granted).describe();
    if beyond.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it would be granted {}, which the configuration that the server was started with does not grant it, and no change gives \
         it more than that. Write it there and start the server anew",
        beyond.join(", ")
    ))
}

/// What a change comes to, or the text of the panic that ended it: a mistake in the code that makes one plugin must not end
/// the task that follows the files of all of them. What is in force is replaced at the very end of a change and in one
/// piece, so that a panic leaves nothing half done.
async fn caught<T>(change: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(change).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!("the server's own code failed while it was made: {}", text.unwrap_or("it panicked"))
    })
}

/// The name, with a number where it is taken.
fn unique(name: &str, slots: &[Slot]) -> String {
    let taken = |id: &str| slots.iter().any(|slot| slot.id == id);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|id| !taken(id)).unwrap_or_default()
}

fn names(phases: &[Phase]) -> String {
    phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[tokio::test]
    async fn a_panic_is_a_change_that_failed() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        for (panics, text) in [(true, "no 1"), (false, "none")] {
            let outcome = caught(async { if panics { panic!("no {}", 1) } else { panic!("none") } });
            let expected = format!("the server's own code failed while it was made: {text}");
            assert_eq!(outcome.await, Err::<(), _>(expected));
        }
    }
}
