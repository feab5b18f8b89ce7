//! The log on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};

/// The compiler of plugins writes down every instruction it makes. That is left out of `trace` unless asked for by name.
const QUIET: &str = "cranelift=info,regalloc2=info,wasmtime=info";

/// What a plugin's author is told: everything the plugin says, and what the server warns of.
const FOR_AUTHORS: &str = "warn,mlx_gate::plugin=debug";

/// Starts the log of the commands about plugins, of which some try one.
pub(crate) fn start_for_authors() {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(FOR_AUTHORS))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Failing means that a log is already there.
    let _ = builder.without_time().with_target(false).try_init();
}

/// Starts the log. Later calls in one process have no effect.
pub(crate) fn start(settings: &Settings) {
    // The filter was checked when the settings were resolved; what it cannot parse it leaves out.
    let wanted = &settings.log_filter;
    let talkative = ["debug", "trace"].iter().any(|level| wanted.contains(level));
    let filter = if talkative { format!("{QUIET},{wanted}") } else { wanted.clone() };
    let filter = EnvFilter::builder().parse_lossy(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Failing means that a log is already there, which is what was asked for.
    let _ = match settings.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
