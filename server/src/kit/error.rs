use std::io;
use std::path::{Path, PathBuf};

use crate::config::Mistakes;

/// Why the author's kit cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A name that some tool on the way would not take.
    #[error(
        "`{0}` cannot be a plugin's name: it has to begin with a lower case letter and go on with lower case letters, \
         digits, `_` and `-`, 64 at most"
    )]
    Name(String),
    /// The compiler would not get far.
    #[error(
        "a plugin in Rust cannot be called `{0}`: something that it is built with has that name; choose another one"
    )]
    Taken(String),
    /// Nothing is overwritten.
    #[error("{} is there already; choose another name, or --path for another place", .0.display())]
    Exists(PathBuf),
    /// A file or folder.
    #[error("{what} {} failed: {source}", .path.display())]
    File {
        /// What was tried, `reading` for instance.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that a person wrote.
    #[error("{}: {problem}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Not a plugin's folder.
    #[error("{} has no plugin.toml; `mlx-gate plugin new` makes a folder that has one", .0.display())]
    NoProject(PathBuf),
    /// A tool is missing.
    #[error("{what} is missing; {remedy}")]
    Missing {
        /// The tool.
        what: &'static str,
        /// How to get it.
        remedy: String,
    },
    /// A tool cannot be run.
    #[error("`{program}` cannot be run: {source}")]
    NotStarted {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A tool failed. What it had to say stands above.
    #[error("`{program}` failed ({status})")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: String,
    },
    /// Flags, environment or file say something that cannot be honoured.
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    /// The plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] mlx_gate_lifecycle::Error),
    /// It failed while it was measured.
    #[error("the plugin {0}, so there is nothing to measure")]
    Call(#[from] mlx_gate_lifecycle::Failure),
    /// Some cases came out otherwise than expected. They are in the report.
    #[error("some cases came out otherwise than expected")]
    Cases,
    /// Threads.
    #[error("the operating system refused what every plugin needs: {0}")]
    System(io::Error),
    /// The code is not a plugin of the world it was built for.
    #[error("the code that {} was to be made of is no component of its world: {problem}", .output.display())]
    Encode {
        /// What was being made.
        output: PathBuf,
        /// Why not.
        problem: String,
    },
}

impl Error {
    /// For `map_err`, on whatever was tried with a path.
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }
}
