//! Loads guests of every bad kind and sends them requests. Each guest is `tests/guests/frame.wat` with a few lines of
//! WebAssembly text put in; `guest` builds them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chain;
mod endings;
mod frozen;
mod grants;
mod guest;
mod hostile;
mod plugin;
mod refused;
mod remembered;
mod rules;
mod swap;
mod wasi;
mod world;
