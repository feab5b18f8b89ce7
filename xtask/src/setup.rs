//! `cargo xtask setup`: everything that building, serving and testing need, gotten once.

use std::path::Path;

use crate::error::Error;
use crate::native::mlx::Backend;
use crate::plugins::Choice;
use crate::shell::{Program, cargo};
use crate::{authoring, clients, minilm, native, plugins, python};

/// What the command line of `setup` says.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) backend: Option<Backend>,
    /// Also the Python packages that tests compare with, the tools for plugins in other languages, clients, and a
    /// model that embeds.
    pub(crate) tests: bool,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<(), Error> {
    native::setup(root, options.backend)?;
    plugins::build(root, Choice::default())?;
    if options.tests {
        python::install(root)?;
        authoring::find(root)?;
        clients::find(root)?;
        minilm::find(root);
    }
    Ok(())
}

/// Sets up for comparisons and gives a cargo whose tests know where the Python is, if there is one.
pub(crate) fn cargo_with_python(root: &Path) -> Result<Program, Error> {
    run(root, &Options::default())?;
    Ok(python::find(root).into_iter().fold(cargo(root), |cargo, python| cargo.env(python::VARIABLE, python)))
}
