//! What [`export!`](crate::export) calls: the border between generated bindings and a [`Plugin`].

use std::sync::OnceLock;

use crate::bindings::lifecycle::exports::mlx_gate::plugin::lifecycle::{HostFile as Given, Info};
use crate::{Plugin, Rejected, file};

/// `lifecycle.describe`.
pub fn describe<P: Plugin>() -> Info {
    let description = P::describe();
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Info {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        config_schema: description.config_schema.to_owned(),
        credential_headers: owned(description.credential_headers),
        headers: owned(description.headers),
    }
}

/// `lifecycle.configure`.
pub fn configure<P: Plugin>(state: &OnceLock<P>, config: String, files: Vec<Given>) -> Result<(), String> {
    #[cfg(target_arch = "wasm32")]
    report_panics();
    let files = files.into_iter().map(|Given { path, content }| (path, content));
    let parsed = file::within(files, || parse::<P::Config>(&config));
    // Freed before the plugin's own work needs memory, and while the heap still overwrites what is freed.
    drop(config);
    let plugin = parsed.and_then(P::configure).map_err(|error| error.to_string())?;
    state.set(plugin).map_err(|_| "this instance has been configured before".to_owned())?;
    crate::alloc::settle();
    Ok(())
}

/// `lifecycle.self-test`.
pub fn self_test<P: Plugin>(state: &OnceLock<P>) -> Result<(), String> {
    configured(state).self_test().map_err(|error| error.to_string())
}

/// The plugin's state.
///
/// # Panics
///
/// Where the host calls a phase before `configure`, which the interface rules out: nothing sensible can be answered.
pub fn configured<P>(state: &OnceLock<P>) -> &P {
    state.get().expect("the host configures a plugin before it calls a phase")
}

/// Reads a configuration. Errors carry the path of the value, and not the position in a text that the host wrote.
pub(crate) fn parse<C: serde::de::DeserializeOwned>(config: &str) -> Result<C, Rejected> {
    let mut reader = serde_json::Deserializer::from_str(config);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
        if path == "." { Rejected::new(message) } else { Rejected::new(format_args!("`{path}`: {message}")) }
    })
}

/// A panic traps, and its message would be lost with the instance.
#[cfg(target_arch = "wasm32")]
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        crate::host::log(crate::host::Level::Error, &panic.to_string());
    }));
}
