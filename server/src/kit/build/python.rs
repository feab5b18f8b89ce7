//! Python: componentize-py puts CPython, the module `app` and what it imports into a component.

use std::path::{Path, PathBuf};

use super::WORLD;
use crate::kit::Error;
use crate::kit::program::{Program, find};
use crate::kit::project::Project;

pub(super) fn build(project: &Project, output: &Path) -> Result<(), Error> {
    let component = project.scratch()?.join("component.wasm");
    let environment = project.folder.join(".venv");
    let mut program = Program::new(tool(&project.folder)?);
    if environment.is_dir() {
        // Where componentize-py looks for packages.
        program = program.env(
            "VIRTUAL_ENV",
            std::path::absolute(environment).map_err(Error::file("reading", &project.folder))?,
        );
    }
    program
        .args(["--quiet", "--wit-path", "wit", "--world", WORLD, "componentize", "app", "--output"])
        .arg(&component)
        .dir(&project.folder)
        .run()?;
    super::move_to(&component, output)
}

/// The project's own, else the one in `PATH`.
fn tool(folder: &Path) -> Result<PathBuf, Error> {
    let own = folder.join(".venv/bin/componentize-py");
    let found = if own.is_file() { Some(own) } else { find("componentize-py") };
    found.ok_or_else(|| Error::Missing {
        what: "componentize-py",
        remedy: "in the plugin's folder, `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` installs it"
            .into(),
    })
}
