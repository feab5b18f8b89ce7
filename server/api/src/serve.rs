//! Serving clients, and a shutdown that lets answers end.

pub(crate) mod connections;
mod patient;
mod unread;

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::App;

/// How long the gate may take, after the last answer, to settle what was reserved and hand over what was logged.
const SETTLE: Duration = Duration::from_secs(10);

/// Serves until `shutdown` is ready and the answers in flight have ended, or [`Config::request_timeout`] has passed.
/// From `shutdown` on new requests are refused with 503. Dropping the future closes all connections at once.
///
/// [`Config::request_timeout`]: crate::Config::request_timeout
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) {
    connections::serve(&listener, app.router(), app.config(), drained(&app, shutdown)).await;
    // Only now has every request ended, also those that were cut off.
    if timeout(SETTLE, app.lifecycle().drain()).await.is_err() {
        tracing::warn!("not everything could be settled and logged: the plugins took longer than {SETTLE:?}");
    }
}

/// Waits for the signal, refuses what comes after it, and waits for what came before it.
async fn drained(app: &App, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    app.drain();
    tracing::info!(in_flight = app.in_flight(), "shutting down: new requests are refused");
    if timeout(app.config().request_timeout, app.drained()).await.is_err() {
        tracing::warn!(
            in_flight = app.in_flight(),
            "answers in flight are cut off: the time limit has passed"
        );
    }
}
