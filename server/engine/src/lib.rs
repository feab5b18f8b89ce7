//! The engine: what turns a request into tokens for the device, and tokens from the device into events.
//!
//! [`LocalEngine`] is the way in. A request is *prepared* beside the device (`prepare`, [`text`]), waits in the
//! `scheduler`'s queue, and becomes a row on the `device` thread. Each token it gets passes [`sampler`], [`text`] again,
//! [`stop`] and [`output`]. Texts that are read whole, to be embedded or scored, are prepared by `encode` and read in batches
//! between the steps of rows (`scheduler/encoders`). A `grammar` says which tokens may come next, where the client wants one.
//!
//! No MLX here: the device is whatever implements [`mlx_gate_core::Decoder`], so all of this is tested without one, with
//! the decoder in [`fake`].

mod answer;
mod device;
mod encode;
mod engine;
mod error;
mod events;
pub mod fake;
mod grammar;
pub mod output;
mod prepare;
pub mod sampler;
mod scheduler;
mod served;
mod steps;
pub mod stop;
pub mod text;

pub use device::Load;
pub use engine::{Config, LocalEngine, ModelSpec};
pub use error::Error;
pub use grammar::{Trial, try_grammar};
