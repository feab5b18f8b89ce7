//! Running other programs, so that a failure says which command it was and what it printed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// A program with its arguments, run in one of three ways.
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Runs with our own terminal; its standard output joins our standard error, so that ours stays clean for
    /// results.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        self.0.stdout(std::io::stderr());
        self.run_with_stdout()
    }

    /// Runs with our own terminal, standard output included.
    pub(crate) fn run_with_stdout(mut self) -> Result<(), Error> {
        let status = self.0.status().map_err(|source| self.not_started(source))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed { command: self.to_string(), status: status.to_string(), output: String::new() })
    }

    /// Runs silently and gives the standard output; everything printed is in the error.
    pub(crate) fn read(mut self) -> Result<String, Error> {
        let output = self.0.stdin(Stdio::null()).output().map_err(|source| self.not_started(source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let printed = [output.stdout, output.stderr].concat();
        Err(Error::Failed {
            command: self.to_string(),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&printed).into_owned(),
        })
    }

    /// Whether it can be started and succeeds; for probing what a machine has.
    pub(crate) fn succeeds(self) -> bool {
        self.read().is_ok()
    }

    /// The command itself, for the ways of running that only one caller needs.
    pub(crate) fn into_command(self) -> Command {
        self.0
    }

    fn not_started(&self, source: std::io::Error) -> Error {
        Error::NotStarted { program: self.0.get_program().to_string_lossy().into_owned(), source }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.get_program().to_string_lossy())?;
        self.0.get_args().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// The cargo that runs us, in the repository root.
///
/// Cargo has set the `[env]` values of the old configuration for us; they are removed, because they would win over
/// what setup has just written there.
pub(crate) fn cargo(root: &Path) -> Program {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let program = Program::new(cargo).dir(root);
    crate::native::CONFIGURED_ENV.iter().fold(program, |program, name| program.env_remove(name))
}

/// How something is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// For work and tests.
    Release,
    /// As it is handed out: a fifth faster in the gate, and a quarter of an hour to build.
    Dist,
}

impl Profile {
    /// Its name in `Cargo.toml`, and that of its folder.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

/// Where cargo puts a program, or `examples/NAME`.
pub(crate) fn built(root: &Path, profile: Profile, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join(profile.name()).join(name)
}

/// The first of these programs that stands in `PATH`.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |dir| dir.join(name))).find(|path| path.is_file())
}
