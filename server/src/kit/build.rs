//! `mlx-gate plugin build`: makes a component of a project with the language's own tools.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

use super::project::Project;
use super::{Error, Language};

mod c;
mod js;
mod python;
mod rust;

/// The world in a project's `wit/plugin.wit`.
const WORLD: &str = "plugin";

/// Builds the project in a folder, and returns the component's path: `NAME.wasm` in that folder, or `output`.
pub(crate) fn build(folder: &Path, output: Option<&Path>) -> Result<PathBuf, Error> {
    let project = Project::open(folder)?;
    let output = match output {
        Some(output) => std::path::absolute(output).map_err(Error::file("resolving", output))?,
        None => project.folder.join(format!("{}.wasm", project.name)),
    };
    match project.language {
        Language::Rust => rust::build(&project, &output)?,
        Language::C => c::build(&project, &output)?,
        Language::Js => js::build(&project, &output)?,
        Language::Python => python::build(&project, &output)?,
    }
    Ok(output)
}

/// Makes a component of a core module that carries the description of its world.
fn encode(module: &Path, output: &Path) -> Result<(), Error> {
    let module = fs::read(module).map_err(Error::file("reading", module))?;
    let encoded =
        ComponentEncoder::default().validate(true).module(&module).and_then(ComponentEncoder::encode);
    let encoded = encoded
        .map_err(|error| Error::Encode { output: output.to_owned(), problem: format!("{error:#}") })?;
    put(output, &encoded)
}

/// Takes over what another tool made.
fn move_to(component: &Path, output: &Path) -> Result<(), Error> {
    let made = fs::read(component).map_err(Error::file("reading", component))?;
    fs::remove_file(component).map_err(Error::file("removing", component))?;
    put(output, &made)
}

/// Puts the component in its place in one step: a running server may be watching the file.
fn put(output: &Path, component: &[u8]) -> Result<(), Error> {
    let beside = output.with_extension("wasm.new");
    fs::write(&beside, component).map_err(Error::file("writing", &beside))?;
    fs::rename(&beside, output).map_err(Error::file("writing", output))
}
