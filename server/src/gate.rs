//! From `--plugin`, `--api-key` and `--rate-limit` to a gate.

use std::net::SocketAddr;

use mlx_gate_core::Lifecycle;
use mlx_gate_lifecycle::{Config, Gate, PluginSpec, static_keys};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::config::Settings;
use crate::{bundled, listen};

/// The subject of whoever presents the key of `--api-key`.
const ONE_KEY: &str = "api-key";

/// The plugin that `--rate-limit` stands for.
pub(crate) const RATE_LIMIT: &str = "rate_limit";

/// Why there is no gate to serve behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A plugin.
    #[error(transparent)]
    Plugins(#[from] mlx_gate_lifecycle::Error),
    /// Anybody could walk in.
    #[error(
        "other machines can reach {0}, and no plugin asks them who they are; load an authenticator with --plugin (see \
         `mlx-gate key new --help` for keys), set one key with MLX_GATE_API_KEY or --api-key, or say --allow-anonymous"
    )]
    OpenDoor(SocketAddr),
}

/// Loads the plugins, and refuses a public address that none of them guards.
pub(crate) fn open(settings: &Settings, address: SocketAddr, runtime: &Runtime) -> Result<Gate, Error> {
    let plugins = plugins(settings);
    let config = Config { plugins, cache_dir: settings.cache_dir.clone(), ..Config::default() };
    let gate = runtime.block_on(Gate::load(&config, &bundled::plugins()))?;
    if listen::is_public(address) && !gate.authenticates() && !settings.allow_anonymous {
        return Err(Error::OpenDoor(address));
    }
    Ok(gate)
}

/// The plugins as they were named, in the order they are asked.
pub(crate) fn names(settings: &Settings) -> Vec<String> {
    plugins(settings).iter().map(|plugin| plugin.source.to_string()).collect()
}

/// The one key comes last: its plugin refuses keys it does not know, and others would never be asked.
fn plugins(settings: &Settings) -> Vec<PluginSpec> {
    let one_key = settings.api_key.as_ref().map(|key| static_keys::with_one_key(ONE_KEY, key));
    let rate_limit = settings
        .requests_per_minute
        .map(|most| PluginSpec::bundled(RATE_LIMIT, [("requests-per-minute".to_owned(), json!(most))]));
    settings.plugins.iter().cloned().chain(one_key).chain(rate_limit).collect()
}
