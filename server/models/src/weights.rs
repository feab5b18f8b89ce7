//! From safetensors files to arrays on the device.

mod affine;
mod index;
mod loader;
mod quantization;

pub(crate) use index::Index;
pub(crate) use loader::{Bias, Loader};
pub(crate) use quantization::Quantization;
