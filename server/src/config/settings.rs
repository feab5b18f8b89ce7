use std::path::PathBuf;

use mlx_gate_core::Secret;
use mlx_gate_engine::text::Parsers;
use mlx_gate_lifecycle::PluginSpec;
use mlx_gate_models::{ModelRef, WeightType};

use crate::admin::AdminSettings;

/// What the server is to do. Every value is checked as far as that is possible without loading models and plugins.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Models in the order given. Empty is the demo model.
    pub models: Vec<ModelRef>,
    /// Number format of the weights.
    pub dtype: WeightType,
    /// How answers are taken apart.
    pub parsers: Parsers,
    /// Address or name to listen on.
    pub host: String,
    /// Port to listen on; 0 is any.
    pub port: u16,
    /// Limits of the HTTP side.
    pub api: mlx_gate_api::Config,
    /// Limits of the engine.
    pub engine: mlx_gate_engine::Config,
    /// Plugins in the order they are asked.
    pub plugins: Vec<PluginSpec>,
    /// Where compiled plugins are kept.
    pub cache_dir: Option<PathBuf>,
    /// The one key of `--api-key`.
    pub api_key: Option<Secret>,
    /// The limit of `--rate-limit`.
    pub requests_per_minute: Option<u64>,
    /// Whether a public address may be served without an authenticator.
    pub allow_anonymous: bool,
    /// The admin API, where there is to be one.
    pub admin: Option<AdminSettings>,
    /// How the log looks.
    pub log_format: LogFormat,
    /// What the log holds, as a `tracing` filter.
    pub log_filter: String,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
