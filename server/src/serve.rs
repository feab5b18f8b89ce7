//! `mlx-gate serve`: the one place where settings, plugins, models, engine and HTTP come together.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use mlx_gate_api::{Admin, App};
use mlx_gate_core::{Engine, Lifecycle};
use mlx_gate_models::Source;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::admin::{AdminSettings, Listening};
use crate::announce::{self, Service};
use crate::config::Settings;
use crate::error::Error;
use crate::signals::{Hangups, StopSignals};
use crate::{admin, gate, listen, models};

/// How long work on other threads may take after the last answer: a line for a log file, say.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until told to stop. What is quick to find wrong is looked at first: address, plugins, then models.
pub(crate) fn serve(settings: &Settings) -> Result<(), Error> {
    settings.admin.as_ref().map_or(Ok(()), AdminSettings::check)?;
    let reserved = listen::reserve(listen::resolve(&settings.host, settings.port)?)?;
    let runtime = Runtime::new().map_err(Error::System)?;
    let hangups = runtime.block_on(async { Hangups::take_over() }).map_err(Error::System)?;
    let gate = gate::open(settings, reserved.address(), &runtime)?;
    let sources = models::fetch(settings)?;
    let engine = Arc::new(models::start(settings, &sources)?);

    let service = Service {
        address: reserved.address(),
        models: engine.models(),
        demo: sources.iter().all(Source::is_demo),
        plugins: gate::names(settings),
        authenticates: gate.authenticates(),
    };
    let gate = Arc::new(gate);
    let api = mlx_gate_api::Config { any_host: settings.allow_anonymous, ..settings.api.clone() };
    let app = App::new(engine.clone(), gate.clone(), api);
    let ended = runtime.block_on(async {
        let signals = StopSignals::take_over().map_err(Error::System)?;
        hangups.reload(gate.clone());
        let admin = settings.admin.as_ref().map(|admin| admin::listen(&admin.address)).transpose()?;
        let listener = reserved.listen()?;
        announce::listening(settings, &service, admin.as_ref().map(|admin| &admin.address));
        let key = settings.admin.as_ref().and_then(|admin| admin.key.as_ref());
        let api = Admin::new(app.clone(), gate, key);
        tokio::select! {
            ended = run(listener, app, signals) => ended,
            // Admins are served to the end: they may want to see how it goes.
            () = administer(api, admin) => Ok(()),
        }
    });
    // Requests have been answered or given up, and what still blocks a thread nobody waits for.
    runtime.shutdown_timeout(LAST_WORDS);
    ended
}

/// Does of [`serve`] what neither takes long nor needs the port, which a running server may hold: address and plugins.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    let address = listen::resolve(&settings.host, settings.port)?;
    settings.admin.as_ref().map_or(Ok(()), AdminSettings::check)?;
    gate::open(settings, address, &Runtime::new().map_err(Error::System)?)?;
    eprintln!("the configuration is good");
    Ok(())
}

/// Serves the admin API, where there is one, and never ends.
async fn administer(api: Admin, listening: Option<Listening>) {
    let Some(Listening { listener, socket, .. }) = listening else { return pending().await };
    api.serve(listener, pending()).await;
    drop(socket);
}

/// Serves until the first signal and the end of the answers in flight; a second signal does not wait for them.
async fn run(listener: TcpListener, app: App, mut signals: StopSignals) -> Result<(), Error> {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = mlx_gate_api::serve(listener, app, async {
        // An error means that the sender is gone, and with it the reason to go on.
        let _ = stopped.await;
    });
    let interrupted = async {
        signals.next().await;
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        () = server => Ok(()),
        () = interrupted => Err(Error::Interrupted),
    }
}
