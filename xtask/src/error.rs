//! What can go wrong in a developer command, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The one error type of this crate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line was not understood.
    #[error("{0}\n\nRun `cargo xtask help` for the commands.")]
    Usage(String),

    /// A file or folder could not be read or written.
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },

    /// A program could not be started at all.
    #[error("cannot run `{program}`: {source}")]
    NotStarted { program: String, source: io::Error },

    /// A program ran and failed. `output` is what it printed, where we captured it.
    #[error("`{command}` failed ({status}){}", indented(output))]
    Failed { command: String, status: String, output: String },

    /// Something this machine lacks and we may not or cannot install ourselves.
    #[error("{what} is missing{}.\nInstall it with:\n\n    {install}\n", why(reason))]
    Missing { what: String, install: String, reason: String },

    /// A program answered something this code does not understand.
    #[error("unexpected answer from {from}: {detail}")]
    Unexpected { from: String, detail: String },

    /// A check found something; its findings were printed already.
    #[error("{0}")]
    CheckFailed(String),
}

impl Error {
    /// For `map_err` on file operations: `fs::read(&p).map_err(Error::file("reading", &p))`.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { doing, path, source }
    }

    /// Something to install by hand.
    pub(crate) fn missing(what: &str, install: &str) -> Self {
        Self::Missing { what: what.into(), install: install.into(), reason: String::new() }
    }

    /// Something to install by hand, because getting it here failed.
    pub(crate) fn unavailable(what: &str, install: &str, error: &Self) -> Self {
        Self::Missing { what: what.into(), install: install.into(), reason: error.to_string() }
    }
}

fn indented(output: &str) -> String {
    let output = output.trim_end();
    if output.is_empty() { String::new() } else { format!("\n{output}").replace('\n', "\n    ") }
}

fn why(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({})", reason.trim()) }
}
