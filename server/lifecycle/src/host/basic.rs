//! `host`: log, clock, randomness.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use super::State;
use super::messages::Admitted;
use crate::bindings::v0_1::mlx_gate::plugin::host::{Host, Level};

/// The most bytes of one message.
const LONGEST_MESSAGE: usize = 2048;

/// The most bytes one call of `random` gives.
const MOST_RANDOM_BYTES: u32 = 4096;

/// Shorter pieces of a credential header are not blotted out, unless they are all of it or all behind its first word: they are
/// words such as `Basic`, and blotting them out would maim messages without protecting anything.
const SHORTEST_PIECE: usize = 7;

/// Shorter credentials are not either: a credential of one letter would take that letter out of all messages.
const SHORTEST: usize = 4;

impl Host for State {
    fn log(&mut self, level: Level, message: String) {
        self.write_message(level, &message);
    }

    fn now_ms(&mut self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if self.configuring {
            wasmtime::bail!("`random` during `configure`: every request would start with the same bytes");
        }
        if len > MOST_RANDOM_BYTES {
            wasmtime::bail!("`random` for {len} bytes; at most {MOST_RANDOM_BYTES} are given at once");
        }
        let mut bytes = vec![0; len as usize];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| wasmtime::format_err!("the system's random generator failed"))?;
        Ok(bytes)
    }
}

impl State {
    /// Logs a message, within the bounds of the call and of the plugin.
    fn write_message(&mut self, level: Level, message: &str) {
        let Some(left) = self.messages_left.checked_sub(1) else { return };
        self.messages_left = left;
        let plugin = &*self.plugin;
        match self.services.messages.admit() {
            Admitted::No => return,
            Admitted::Yes { dropped_before: 0 } => {}
            Admitted::Yes { dropped_before } => {
                tracing::warn!(target: "mlx_gate::plugin", plugin, "{dropped_before} messages before this one were dropped");
            }
        }
        let message = self.presentable(message);
        match level {
            Level::Trace => tracing::trace!(target: "mlx_gate::plugin", plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "mlx_gate::plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "mlx_gate::plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "mlx_gate::plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "mlx_gate::plugin", plugin, "{message}"),
        }
        if left == 0 {
            tracing::warn!(target: "mlx_gate::plugin", plugin, "further messages of this call are dropped");
        }
    }

    /// Logs what has been printed to WASI's standard output and error.
    pub(super) fn log_printed(&mut self) {
        let lines = self.wasi.as_ref().map(|wasi| wasi.take_lines()).unwrap_or_default();
        for (level, line) in lines {
            self.write_message(level, &line);
        }
    }

    /// The message without credentials and line breaks, cut to a bearable length.
    fn presentable<'m>(&self, message: &'m str) -> Cow<'m, str> {
        let mut shown = Cow::Borrowed(message);
        for credential in &self.credentials {
            let whole = credential.expose();
            let pieces = whole.split_ascii_whitespace().filter(|piece| piece.len() >= SHORTEST_PIECE);
            let behind_scheme = whole.split_once(' ').map(|(_, rest)| rest.trim());
            for secret in std::iter::once(whole).chain(behind_scheme).chain(pieces) {
                if secret.len() >= SHORTEST && shown.contains(secret) {
                    shown = Cow::Owned(shown.replace(secret, "[redacted]"));
                }
            }
        }
        if shown.contains(char::is_control) {
            shown = Cow::Owned(shown.replace(char::is_control, " "));
        }
        if shown.len() > LONGEST_MESSAGE {
            let end = shown.floor_char_boundary(LONGEST_MESSAGE);
            shown = Cow::Owned(format!("{}... ({} bytes)", &shown[..end], message.len()));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mlx_gate_core::Secret;

    use std::sync::Arc;

    use super::State;
    use crate::host::{About, Bounds, MOST_CREDENTIALS, Services};

    #[tokio::test]
    async fn messages_are_made_presentable() {
        let bounds = Bounds { time: Duration::ZERO, memory: 0, transfer: 0 };
        let mut state = State::new("p".into(), Arc::new(Services::new()), bounds);
        let credentials = ["Bearer sk-secret-1", "abc123", "Basic dTpw", "e"].map(Secret::new).to_vec();
        state.begin(bounds, About { credentials, ..About::default() });
        assert_eq!(state.presentable("who sent sk-secret-1?"), "who sent [redacted]?");
        assert_eq!(state.presentable("got `Bearer sk-secret-1`"), "got `[redacted]`");
        assert_eq!(state.presentable("a Basic Bearer"), "a Basic Bearer");
        assert_eq!(state.presentable("abc123, dTpw, Basic dTpw"), "[redacted], [redacted], [redacted]");
        assert_eq!(state.presentable("one\nfake line\u{1b}[31m"), "one fake line [31m");
        let long = state.presentable(&"ä".repeat(2000)).into_owned();
        assert!(long.ends_with("ä... (4000 bytes)") && long.len() < 2100, "{}", long.len());
    }

    #[tokio::test]
    async fn credentials_of_earlier_calls_stay_hidden() {
        let bounds = Bounds { time: Duration::ZERO, memory: 0, transfer: 0 };
        let mut state = State::new("p".into(), Arc::new(Services::new()), bounds);
        for number in 0..=MOST_CREDENTIALS {
            let credentials = vec![Secret::new(format!("sk-secret-{number:03}"))];
            state.begin(bounds, About { credentials, ..About::default() });
            state.end();
            state.begin(bounds, About::default());
            assert_eq!(state.presentable(&format!("it was sk-secret-{number:03}")), "it was [redacted]");
        }
        assert_eq!(state.presentable("sk-secret-001 and sk-secret-000"), "[redacted] and sk-secret-000");
        assert_eq!(state.credentials.len(), MOST_CREDENTIALS);
    }
}
