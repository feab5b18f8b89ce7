//! The accept loop: bounded connections with bounded heads.

use std::convert::Infallible;
use std::future::Future;
use std::io;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

use super::patient::Patient;
use super::unread;
use crate::Config;
use crate::peer::Peer;

/// How long accepting rests after it failed, which mostly is for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections whose answers have ended may take to send what is still buffered.
const FLUSH: Duration = Duration::from_secs(5);

/// What connections come from.
pub(crate) trait Accept {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection, and its peer where that has an address.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = self.accept().await?;
        // Tokens are small and should leave at once. Failing to ask for that is no reason to refuse a client.
        let _ = stream.set_nodelay(true);
        Ok((stream, Some(peer)))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        let (stream, _) = self.accept().await?;
        Ok((stream, None))
    }
}

/// Serves until `done`, then lets connections send what they have and closes them.
pub(crate) async fn serve(
    listener: &impl Accept,
    router: Router,
    config: &Config,
    done: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut done = pin!(done);
    loop {
        tokio::select! {
            () = &mut done => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, place) = accept(listener, &places) => {
                let connection = graceful.watch(connect(stream, peer, router.clone(), config));
                connections.spawn(async move {
                    // A client that breaks off or talks something else than HTTP is no event of ours.
                    if let Err(error) = connection.await {
                        tracing::debug!(?peer, %error, "a connection ended early");
                    }
                    drop(place);
                });
            }
        }
    }
    // What is left is idle, or sends its last bytes.
    let _ = timeout(FLUSH, graceful.shutdown()).await;
    connections.shutdown().await;
}

/// The next connection, once there is room for it.
async fn accept<L: Accept>(
    listener: &L,
    places: &Arc<Semaphore>,
) -> (L::Stream, Option<SocketAddr>, OwnedSemaphorePermit) {
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
fn connect<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    peer: Option<SocketAddr>,
    router: Router,
    config: &Config,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<S> {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        let router = router.clone();
        async move {
            let (request, lender) = unread::lend(request);
            let mut answer = router.oneshot(request).await?;
            if let Some(lender) = lender {
                lender.settle(&mut answer).await;
            }
            Ok::<_, Infallible>(answer)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_header_size(config.max_head_bytes)
        .serve_connection(TokioIo::new(Patient::new(stream, config.write_timeout)), service)
}
