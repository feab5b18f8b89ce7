//! The admin API: what the plugins of a running server are, and changing them. It has a listener of its own, so that
//! nothing of it can be reached from where clients come in, and every route of it is behind its guard.

mod answer;
mod attempts;
mod guard;
mod key;
mod plugins;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use mlx_gate_core::{PluginAdmin, Secret};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;

use self::answer::Failure;
use self::attempts::Attempts;
use self::key::KeyHash;
use crate::App;
use crate::serve::connections;

/// Where admins come in.
#[derive(Debug)]
pub enum AdminListener {
    /// An address. Whoever reaches it needs the key.
    Tcp(TcpListener),
    /// A socket in the file system, whose permissions say who may connect.
    Unix(UnixListener),
}

/// The admin API of one server. Clones share all of it.
#[derive(Clone)]
pub struct Admin(Arc<Parts>);

struct Parts {
    app: App,
    plugins: Arc<dyn PluginAdmin>,
    key: Option<KeyHash>,
    attempts: Attempts,
    started: Instant,
}

impl Admin {
    /// The admin API over an application and its plugins. Without a key every request on a Unix socket is let in, and
    /// none on an address.
    pub fn new(app: App, plugins: Arc<dyn PluginAdmin>, key: Option<&Secret>) -> Self {
        let key = key.map(KeyHash::of);
        Self(Arc::new(Parts { app, plugins, key, attempts: Attempts::default(), started: Instant::now() }))
    }

    /// Serves until `shutdown` is ready.
    pub async fn serve(self, listener: AdminListener, shutdown: impl Future<Output = ()>) {
        let app = self.0.app.clone();
        match listener {
            AdminListener::Tcp(listener) => {
                let router = self.router(guard::Door::Address);
                connections::serve(&listener, router, app.config(), shutdown).await;
            }
            AdminListener::Unix(listener) => {
                let router = self.router(guard::Door::Socket);
                connections::serve(&listener, router, app.config(), shutdown).await;
            }
        }
    }

    fn router(self, door: guard::Door) -> Router {
        Router::new()
            .route("/admin/status", get(status::show))
            .route("/admin/plugins", get(plugins::list))
            .route("/admin/plugins/{id}", get(plugins::show))
            .route("/admin/plugins/{id}/swap", post(plugins::swap))
            .route("/admin/plugins/{id}/reload", post(plugins::reload))
            .route("/admin/plugins/{id}/rollback", post(plugins::roll_back))
            .route("/admin/plugins/{id}/options", put(plugins::options))
            .fallback(async || Failure::new(StatusCode::NOT_FOUND, "unknown_url", "no such route"))
            .method_not_allowed_fallback(async |method: Method| {
                let message = format!("this route exists, but not with {method}; see the `allow` header");
                Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
            })
            .layer(from_fn_with_state((self.clone(), door), guard::guard))
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
