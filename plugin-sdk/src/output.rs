//! One file, or the server's standard output, to which lines are appended. By grant; writing a value for an option of format
//! `host-output` is one.

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::output as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::output as imports;

pub use crate::bindings::mlx_gate::plugin::output::Error;

/// Appends the lines, each with a line feed, in one piece. A line holds no line feed of its own.
pub fn write(lines: &[String]) -> Result<(), Error> {
    imports::write(lines)
}
