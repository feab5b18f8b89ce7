//! The HTTP face of mlx-gate: routes, the gate in front of them, wire types, errors as JSON, server-sent events and the
//! request log.
//!
//! [`App`] is built over the two traits it needs, [`Engine`](mlx_gate_core::Engine) and
//! [`Lifecycle`](mlx_gate_core::Lifecycle), and is served by [`serve`]. A request goes through, from the outside:
//!
//! 1. `observe`: request id, is the server draining, caught panics; one log line and the end of the passage through the
//!    gate, however the request ends;
//! 2. `gate`: who is asking, decided before the body is read;
//! 3. `routes`: the one table from which the router is built;
//! 4. a dialect's folder (`openai`, `anthropic`): the body becomes a `core::Request`, events become wire JSON;
//! 5. `permission`: may they, may they now, on whose account; what comes out is the one thing that starts a generation.
//!
//! [`Admin`] is the API of those who run the server, on a listener of its own.

mod admin;
mod anthropic;
mod app;
mod body;
mod browsers;
mod compression;
mod config;
mod counters;
mod deadline;
mod drain;
mod encoding;
mod error;
mod fields;
mod gate;
mod generation;
mod health;
mod host;
mod log;
mod observe;
mod openai;
mod openapi;
mod peer;
mod permission;
mod routes;
mod serve;
mod sse;
mod turns;

pub use admin::{Admin, AdminListener};
pub use app::App;
pub use config::{Config, NotAnOrigin, Origin};
pub use serve::serve;

#[cfg(test)]
mod tests;
