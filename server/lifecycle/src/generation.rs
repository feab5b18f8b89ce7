use std::sync::Arc;

use mlx_gate_core::Phase;

use crate::plugin::Plugin;

/// Plugins that were put in force together. A request keeps the generation it began with.
pub(crate) struct Generation {
    /// Counts up from 1 with every change.
    pub(crate) number: u64,
    /// In the order in which they are asked.
    pub(crate) plugins: Vec<Arc<Plugin>>,
    /// Of all plugins, sorted, each once.
    pub(crate) credential_headers: Vec<String>,
    /// The plugins of each phase, as places in `plugins`.
    chains: [Vec<usize>; 5],
}

impl Generation {
    pub(crate) fn new(number: u64, plugins: Vec<Arc<Plugin>>) -> Self {
        let mut credential_headers: Vec<_> = plugins
            .iter()
            .flat_map(|plugin| plugin.description().credential_headers.iter().cloned())
            .collect();
        credential_headers.sort_unstable();
        credential_headers.dedup();
        let mut chains: [Vec<usize>; 5] = Default::default();
        for (place, plugin) in plugins.iter().enumerate() {
            for phase in plugin.phases() {
                chains[*phase as usize].push(place);
            }
        }
        Self { number, plugins, credential_headers, chains }
    }

    /// The plugins that take part in a phase, in order, with their places.
    pub(crate) fn chain(&self, phase: Phase) -> impl Iterator<Item = (usize, &Arc<Plugin>)> {
        self.chains[phase as usize].iter().map(|&place| (place, &self.plugins[place]))
    }

    /// Whether any plugin takes part in a phase.
    pub(crate) fn has(&self, phase: Phase) -> bool {
        !self.chains[phase as usize].is_empty()
    }
}
