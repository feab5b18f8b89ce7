//! Ctrl-C and SIGTERM, which stop the server, and SIGHUP, which has it read its plugins again.

use std::io;
use std::sync::Arc;

use mlx_gate_lifecycle::Gate;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the server to stop.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// From now on the signals are ours; before, they end the process, which is right while it loads.
    pub(crate) fn take_over() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGHUP. From now on it does not end the process: who rotates logs does not know whether the server is still loading.
pub(crate) struct Hangups(Signal);

impl Hangups {
    pub(crate) fn take_over() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Each reads plugins, their files and outputs again, for as long as the runtime runs.
    pub(crate) fn reload(mut self, gate: Arc<Gate>) {
        tokio::spawn(async move {
            while self.0.recv().await.is_some() {
                gate.reload().await;
            }
        });
    }
}
