//! Running a language's own tools.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// A tool with its arguments.
#[derive(Debug)]
pub(super) struct Program(Command);

impl Program {
    pub(super) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(super) fn dir(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Runs it on our terminal. Its standard output joins our standard error, so that ours stays clean for results.
    pub(super) fn run(mut self) -> Result<(), Error> {
        self.0.stdin(Stdio::null()).stdout(std::io::stderr());
        let program = self.name();
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::Failed { program, status: status.to_string() }),
            Err(source) => Err(Error::NotStarted { program, source }),
        }
    }

    /// What it writes to standard output, where it can be run and succeeds.
    pub(super) fn ask(mut self) -> Option<String> {
        let output = self.0.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    }

    fn name(&self) -> String {
        Path::new(self.0.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The first program of this name in `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
