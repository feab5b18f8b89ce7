use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use mlx_gate_core::{BoxFuture, Lifecycle, Passage, Phase};

use crate::generation::Generation;
use crate::journal::{Counters, Journal};
use crate::passage::GatePassage;
use crate::plugin::Plugin;
use crate::runtime::Runtime;
use crate::{Bundled, Config, Error};

/// The plugins of a server, in the order in which they are asked.
pub struct Gate {
    current: ArcSwap<Generation>,
    journal: Arc<Journal>,
}

impl Gate {
    /// Loads all plugins. The first one that cannot be used stops it: a server with part of its gate is not what anybody
    /// asked for. Runs on tokio, and settles and logs on the same runtime.
    pub async fn load(config: &Config, bundled: &[Bundled]) -> Result<Self, Error> {
        let mut plugins = Vec::new();
        if !config.plugins.is_empty() {
            let runtime = Arc::new(Runtime::new()?);
            for spec in &config.plugins {
                let started = Instant::now();
                let plugin = Plugin::load(&runtime, spec, bundled, &config.limits).await?;
                let phases: Vec<_> = plugin.phases().iter().map(|phase| phase.as_str()).collect();
                tracing::info!(
                    plugin = plugin.name(),
                    version = plugin.description().version,
                    phases = phases.join(","),
                    took_ms = started.elapsed().as_millis(),
                    "plugin loaded"
                );
                plugins.push(Arc::new(plugin));
            }
        }
        let current = ArcSwap::from_pointee(Generation::new(1, plugins));
        Ok(Self { current, journal: Journal::start() })
    }

    /// What has been settled and logged so far.
    pub fn counters(&self) -> Counters {
        self.journal.counters()
    }
}

impl Lifecycle for Gate {
    fn begin(&self) -> Arc<dyn Passage> {
        Arc::new(GatePassage::new(self.current.load_full(), self.journal.clone()))
    }

    fn authenticates(&self) -> bool {
        self.current.load().has(Phase::Authenticate)
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.journal.drain())
    }
}
