use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use llguidance::ParserFactory;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::ApproximateTokEnv;
use mlx_gate_core::EngineError;

use super::compile;

/// Another process in which a grammar is compiled before it is compiled in this one: what a thread has begun cannot be
/// stopped, and what a process has taken comes back when it is.
#[derive(Debug, Clone)]
pub struct Trial {
    /// A program that calls [`try_grammar`] with its standard input, ends well when that returns, and limits its own memory.
    pub program: PathBuf,
    /// What it is called with.
    pub arguments: Vec<OsString>,
    /// What it finds in its environment, besides where libraries are.
    pub variables: Vec<(&'static str, &'static str)>,
}

/// Variables that a program may need to find its libraries. Others stay here: there are credentials among them.
const VARIABLES: [&str; 3] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

/// How often is looked whether the process has ended. It takes some 20 ms at least.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Trial {
    /// Compiles a grammar there. Whether it can be compiled at all does not matter: errors are for the one who compiles it
    /// here. `Ok(false)` is a grammar that took more time than it may, or more memory.
    pub(super) fn is_bearable(
        &self,
        grammar: &TopLevelGrammar,
        limit: Duration,
    ) -> Result<bool, EngineError> {
        let failed = |error: &dyn std::fmt::Display| {
            EngineError::Internal(format!("a grammar cannot be tried in a process of its own: {error}"))
        };
        let deadline = Instant::now() + limit;
        let text = serde_json::to_vec(grammar).map_err(|error| failed(&error))?;
        let mut process = Running(
            Command::new(&self.program)
                .args(&self.arguments)
                .env_clear()
                .envs(self.variables.iter().copied())
                .envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| failed(&error))?,
        );
        if let Some(mut input) = process.0.stdin.take() {
            // It reads everything before it does anything, so an error is one of those below.
            let _ = input.write_all(&text);
        }
        loop {
            match process.0.try_wait().map_err(|error| failed(&error))? {
                Some(status) => return Ok(status.success()),
                None if Instant::now() >= deadline => return Ok(false),
                None => thread::sleep(LOOK_EVERY),
            }
        }
    }
}

/// A process that does not outlive this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles the grammar that is read from `input` for a vocabulary of single bytes, and forgets it. Returns when that is done,
/// whatever came of it: another vocabulary may have what this one lacks. Errors are what is not a grammar, and what llguidance
/// has given up because it was too much.
pub fn try_grammar(input: impl Read) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let grammar: TopLevelGrammar = serde_json::from_reader(input)?;
    let factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env())?;
    let compile = move || compile::parser(&factory, grammar).err();
    let thread = thread::Builder::new().stack_size(compile::STACK_BYTES).spawn(compile)?;
    match thread.join().map_err(|_| "compiling it panicked")? {
        // llguidance has only words for it. Should they change, the grammar is compiled again where it is wanted.
        Some(error) if error.contains("fuel") => Err(error.into()),
        _ => Ok(()),
    }
}
