//! Models on MLX: finding their files, checking them, putting them on the device, decoding, embedding and scoring.
//!
//! The way of a model through this crate: a [`ModelRef`] names it, [`ModelRef::fetch`] makes a [`Source`] of it (from
//! which others read the tokenizer and the chat template), [`load`] checks it anywhere, and
//! [`LoadedModel::into_device_model`] reads the weights on the device thread. This is the only crate that knows MLX.

mod arch;
mod attention;
mod cache;
mod config;
mod decoder;
mod encoder;
mod error;
mod layers;
mod load;
mod memory;
mod rope;
mod source;
mod weights;

pub use error::Error;
pub use load::{LoadOptions, LoadedModel, WeightType, load};
pub use source::{ModelRef, Source};
