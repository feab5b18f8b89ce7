use std::sync::Arc;

use mlx_gate_core::{
    BoxFuture, GateCounters, Lifecycle, Passage, Phase, PluginAdmin, PluginChange, PluginChangeError,
    PluginState,
};

use crate::journal::Journal;
use crate::passage::GatePassage;
use crate::registry::Registry;
use crate::{Bundled, Config, Error};

/// The plugins of a server, in the order in which they are asked.
pub struct Gate {
    registry: Arc<Registry>,
    journal: Arc<Journal>,
}

impl Gate {
    /// Loads all plugins. The first one that cannot be used stops it: a server with part of its gate is not what anybody
    /// asked for. From then on their files are followed, and changes take effect while requests run.
    ///
    /// Runs on tokio, and settles and logs on the same runtime.
    pub async fn load(config: &Config, bundled: &[Bundled]) -> Result<Self, Error> {
        let registry = Registry::load(config, bundled).await?;
        Ok(Self { registry, journal: Journal::start() })
    }

    /// Reads all plugins, their files and outputs again. What fails is logged, and leaves its plugin as it is.
    pub async fn reload(&self) {
        self.registry.reload().await;
    }
}

impl Lifecycle for Gate {
    fn begin(&self) -> Arc<dyn Passage> {
        Arc::new(GatePassage::new(self.registry.current(), self.journal.clone()))
    }

    fn authenticates(&self) -> bool {
        self.registry.peek().has(Phase::Authenticate)
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.journal.drain())
    }
}

impl PluginAdmin for Gate {
    fn list(&self) -> Vec<PluginState> {
        self.registry.list()
    }

    fn counters(&self) -> GateCounters {
        self.journal.counters()
    }

    fn generation(&self) -> u64 {
        self.registry.generation()
    }

    fn change<'a>(
        &'a self,
        id: &'a str,
        change: PluginChange,
    ) -> BoxFuture<'a, Result<PluginState, PluginChangeError>> {
        self.registry.change(id, change)
    }
}
