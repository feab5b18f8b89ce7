//! The plugins inside the binary.

use mlx_gate_lifecycle::Bundled;

/// Name and component of each bundled plugin, sorted by name.
static PLUGINS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Each bundled plugin, sorted by name.
pub(crate) fn plugins() -> Vec<Bundled> {
    PLUGINS.iter().map(|&(name, bytes)| Bundled { name, bytes }).collect()
}
