//! Writes down every request that has ended, one JSON object a line, by the names of OpenTelemetry's semantic conventions.

mod config;
mod line;
mod privacy;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::logging::Logging;
use mlx_gate_plugin::output::{self, Error};
use mlx_gate_plugin::pattern::Pattern;
use mlx_gate_plugin::{Completed, Description, Plugin, Rejected, crypto, host};

pub use config::Config;
use privacy::Privacy;

/// The plugin: which fields of which requests, and how much of whom.
pub struct AccessLog {
    fields: Option<Vec<Pattern>>,
    privacy: Privacy,
    /// Which part of the successes is written, from 0 to 1.
    sample: f64,
}

impl Plugin for AccessLog {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "access_log",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &[],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }
}

impl Logging for AccessLog {
    fn log(&self, events: Vec<Completed>) {
        let events = events.iter().filter(|event| self.is_written(event));
        let lines: Vec<_> = events.map(|event| line::write(event, self)).collect();
        if !lines.is_empty() {
            append(&lines);
        }
    }
}

impl AccessLog {
    /// Whether the request is one of those to write. Failures always are; of the successes the request's id decides, so that
    /// other programs that sample by it keep the same ones.
    fn is_written(&self, event: &Completed) -> bool {
        let failed =
            event.status >= 400 || matches!(event.outcome.as_str(), "cancelled" | "denied" | "error");
        let [a, b, c, d, ..] = crypto::sha256(event.id.as_bytes());
        failed || f64::from(u32::from_be_bytes([a, b, c, d])) < self.sample * 2_f64.powi(32)
    }
}

/// Writes lines, in halves where they are too many for the host. What cannot be written is lost, and counted where somebody
/// looks.
fn append(lines: &[String]) {
    let why = match output::write(lines) {
        Ok(()) => return,
        Err(Error::TooLarge) if lines.len() > 1 => {
            let (first, second) = lines.split_at(lines.len() / 2);
            append(first);
            return append(second);
        }
        Err(Error::TooLarge) => "longer than the host writes".to_owned(),
        Err(Error::Unavailable(why)) => why,
    };
    host::log(host::Level::Error, &format!("{} lines are lost: {why}", lines.len()));
}

mlx_gate_plugin::export!(AccessLog: logging);
