//! The accept loop: bounded connections, bounded heads, and a shutdown that lets answers end.

mod patient;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

use self::patient::Patient;
use crate::peer::Peer;
use crate::{App, Config};

/// How long accepting rests after it failed, which mostly is for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections whose answers have ended may take to send what is still buffered.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the gate may take, after the last answer, to settle what was reserved and hand over what was logged.
const SETTLE: Duration = Duration::from_secs(10);

/// Serves until `shutdown` is ready and the answers in flight have ended, or [`Config::request_timeout`] has passed.
/// From `shutdown` on new requests are refused with 503. Dropping the future closes all connections at once.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) {
    let router = app.router();
    let places = Arc::new(Semaphore::new(app.config().max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut drained = pin!(drained(&app, shutdown));
    loop {
        tokio::select! {
            () = &mut drained => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, place) = accept(&listener, &places) => {
                let connection = connect(stream, peer, router.clone(), app.config());
                let connection = graceful.watch(connection);
                connections.spawn(async move {
                    // A client that breaks off or talks something else than HTTP is no event of ours.
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    // What is left is idle, or sends its last bytes.
    let _ = timeout(FLUSH, graceful.shutdown()).await;
    connections.shutdown().await;
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

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Speaks HTTP/1.1 on a connection. Heads are limited in size, count and time, and so is the client's reading.
fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    config: &Config,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<> {
    // Tokens are small and should leave at once. Failing to ask for that is no reason to refuse a client.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_header_size(config.max_head_bytes)
        .serve_connection(TokioIo::new(Patient::new(stream, config.write_timeout)), service)
}
