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

/// From now on SIGHUP reads plugins, their files and outputs again, for as long as the runtime runs.
pub(crate) fn reload_at_hangup(gate: Arc<Gate>) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            gate.reload().await;
        }
    });
    Ok(())
}
