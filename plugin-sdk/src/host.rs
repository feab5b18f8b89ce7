//! What any program needs: a log, a clock, randomness.

#[cfg(not(target_arch = "wasm32"))]
use crate::testing as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::host as imports;

pub use crate::bindings::mlx_gate::plugin::host::Level;

/// The most bytes one call of [`random`] gives.
pub const MOST_RANDOM_BYTES: u32 = 4096;

/// Writes to the server's log under the plugin's name. The host blots out the credentials of the request at hand, but not
/// those of a configuration: do not log them.
pub fn log(level: Level, message: &str) {
    imports::log(level, message);
}

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    imports::now_ms()
}

/// Bytes from the operating system's generator, at most [`MOST_RANDOM_BYTES`]. Traps during `configure`: every request
/// starts from the state that leaves, so a secret drawn there would be the same for all.
pub fn random(length: u32) -> Vec<u8> {
    imports::random(length)
}
