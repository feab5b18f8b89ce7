//! The log on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};

/// Starts the log. Later calls in one process have no effect.
pub(crate) fn start(settings: &Settings) {
    // The filter was checked when the settings were resolved; what it cannot parse it leaves out.
    let filter = EnvFilter::builder().parse_lossy(&settings.log_filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Failing means that a log is already there, which is what was asked for.
    let _ = match settings.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
