//! wasmtime, set up for plugins: fresh instances in microseconds, and no call that cannot be stopped.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use wasmtime::component::Component;

use crate::{Error, Problem};

mod compiled;
mod functions;
mod imports;
mod sandbox;
mod ticker;

use compiled::Compiled;
pub(crate) use sandbox::Sandbox;
pub(crate) use ticker::Running;

/// Shared by all plugins, in all their generations.
pub(crate) struct Runtime {
    pooled: Arc<Sandbox>,
    /// For components that do not fit the pool. Made when the first one comes.
    roomy: OnceLock<Arc<Sandbox>>,
    /// Where what was compiled for the roomy one is kept.
    compiled: Option<Compiled>,
}

impl Runtime {
    /// With a folder for compiled code, where there is to be one. One that cannot be private is not used.
    pub(crate) fn new(cache: Option<&Path>) -> Result<Self, Error> {
        let compiled = cache.and_then(|folder| {
            let refused = |error| tracing::warn!("compiled plugins are not kept: {error}; see --cache-dir");
            Compiled::open(folder).map_err(refused).ok()
        });
        Ok(Self { pooled: Arc::new(Sandbox::pooled()?), roomy: OnceLock::new(), compiled })
    }

    /// Compiles a component for the sandbox it fits: the pool, whose instances cost next to nothing, or the roomy one.
    /// `memory` is what an instance may have, in bytes. Takes seconds for a language's whole interpreter.
    pub(crate) fn compile(&self, bytes: &[u8], memory: usize) -> Result<(Arc<Sandbox>, Component), Problem> {
        // Interpreters are told by their imports, so that they are compiled once.
        if !imports::wasi(bytes) && memory <= sandbox::POOLED_MEMORY {
            let component = self.pooled.compile_new(bytes)?;
            if self.pooled.fits(&component) {
                return Ok((self.pooled.clone(), component));
            }
        }
        let roomy = self.roomy()?;
        let component = match &self.compiled {
            Some(compiled) => compiled.component(&roomy.engine, bytes)?,
            None => roomy.compile_new(bytes)?,
        };
        Ok((roomy, component))
    }

    fn roomy(&self) -> Result<Arc<Sandbox>, Problem> {
        if let Some(roomy) = self.roomy.get() {
            return Ok(roomy.clone());
        }
        let roomy = Sandbox::roomy().map_err(|error| Problem::Invalid(error.to_string()))?;
        Ok(self.roomy.get_or_init(|| Arc::new(roomy)).clone())
    }
}
