//! `output`: lines appended to one file, or to standard output.

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::output::{Error, Host};
use crate::output;

impl Host for State {
    async fn write(&mut self, lines: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        self.not_while_configuring("output", "write")?;
        let Some(output) = self.services.output.clone() else {
            return Ok(Err(Error::Unavailable("no file is granted".to_owned())));
        };
        self.has_acted = true;
        let written = self.waiting(output.append(&lines)).await;
        Ok(written.map_err(|error| match error {
            output::Error::TooLarge => Error::TooLarge,
            output::Error::Unavailable(reason) => Error::Unavailable(reason),
        }))
    }
}
