//! The gate: WebAssembly plugins that decide about every request.
//!
//! [`Gate::load`] takes the plugins of a configuration through load, inspection, configuration and self-test, and any
//! mistake stops it with an [`Error`] that names the plugin. What comes out implements [`mlx_gate_core::Lifecycle`].
//!
//! Reading order: [`gate`] is the outside, `registry` holds the plugins in force and changes them while requests run,
//! `passage` takes one request through all phases, `cache` remembers who was vouched for, `journal` settles and logs after
//! it, [`plugin`] is one loaded plugin, `guest` calls its exports, `call` is an instance within its [`Limits`],
//! `host` is what a plugin may call, `grants` which of that it may, `runtime` sets up wasmtime. Behind `host` stand `crypto`,
//! `kv`, `outbound`, `jwks` and `output`, which know nothing of WebAssembly.

mod answer;
mod bindings;
mod cache;
mod call;
mod calls;
mod config;
mod crypto;
mod error;
mod gate;
mod generation;
mod grants;
mod guest;
mod host;
mod journal;
mod jwks;
mod kv;
mod options;
mod outbound;
mod output;
mod passage;
mod plugin;
mod registry;
mod regular;
mod restocking;
mod runtime;
pub mod static_keys;
mod watch;
pub mod workbench;

pub use config::{
    Bundled, Config, HostOptions, Isolation, Limits, MalformedSpec, OptionValue, PluginSpec, Source,
};
pub use error::{Error, Failure, Problem};
pub use gate::Gate;
pub use grants::{Grants, HttpGrant, MalformedGrant, Origin, OutputTarget};
pub use plugin::{Inspection, NeededGrant};
