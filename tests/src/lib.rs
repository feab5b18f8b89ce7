//! Whole-server tests: they run the `mlx-gate` program that `cargo xtask test` built, as a person would, and talk to it
//! over HTTP. This library holds what they share; the tests are under `tests/server`.

mod client;
mod folder;
mod guest;
mod random_model;
mod server;
pub mod soak;
mod web;
mod wire;

pub use client::{Client, Events, Reply, question_body};
pub use folder::Folder;
pub use guest::{built_guest, component, guest};
pub use random_model::random_model;
pub use server::{Ended, PATIENCE, Server, run, run_within};
pub use web::{Answer, Asked, Authority, Web};
pub use wire::Wire;
