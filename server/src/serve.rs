//! `mlx-gate serve`: the one place where settings, plugins, models, engine and HTTP come together.

use std::sync::Arc;

use mlx_gate_api::App;
use mlx_gate_core::{Engine, Lifecycle};
use mlx_gate_models::Source;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::announce::{self, Service};
use crate::config::Settings;
use crate::error::Error;
use crate::signals::StopSignals;
use crate::{gate, listen, models};

/// Serves until told to stop. What is quick to find wrong is looked at first: address, plugins, then models.
pub(crate) fn serve(settings: &Settings) -> Result<(), Error> {
    let reserved = listen::reserve(listen::resolve(&settings.host, settings.port)?)?;
    let runtime = Runtime::new().map_err(Error::System)?;
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
    let app = App::new(engine.clone(), Arc::new(gate), settings.api.clone());
    runtime.block_on(async {
        let signals = StopSignals::take_over().map_err(Error::System)?;
        let listener = reserved.listen()?;
        announce::listening(settings, &service);
        run(listener, app, signals).await
    })
}

/// Does of [`serve`] what neither takes long nor needs the port, which a running server may hold: address and plugins.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    let address = listen::resolve(&settings.host, settings.port)?;
    gate::open(settings, address, &Runtime::new().map_err(Error::System)?)?;
    eprintln!("the configuration is good");
    Ok(())
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
