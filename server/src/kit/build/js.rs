//! JavaScript: componentize-qjs puts QuickJS and `plugin.js` into a component; componentize-js, where the project has that
//! instead, puts SpiderMonkey there, which is ten times as large and has web APIs.

use std::fs;
use std::path::Path;

use super::WORLD;
use crate::kit::Error;
use crate::kit::program::{Program, find};
use crate::kit::project::Project;

/// Run by node in the project, so that it finds the project's packages. Arguments: the world, the component's path.
const SCRIPT: &str = include_str!("componentize.mjs");

/// Packages that can do it, each with a folder of its own in `node_modules`.
const PACKAGES: [&str; 2] = ["componentize-qjs", "@bytecodealliance/componentize-js"];

pub(super) fn build(project: &Project, output: &Path) -> Result<(), Error> {
    let missing = |what, remedy: &str| Error::Missing { what, remedy: remedy.into() };
    if find("node").is_none() {
        return Err(missing(
            "Node.js",
            "get version 20 or later from https://nodejs.org or your package manager",
        ));
    }
    // Node looks in the folders above as well.
    let installed = project.folder.ancestors().any(|folder| {
        PACKAGES
            .iter()
            .any(|package| folder.join("node_modules").join(package).join("package.json").is_file())
    });
    if !installed {
        return Err(missing("componentize-qjs", "`npm install` in the plugin's folder installs it"));
    }
    let scratch = project.scratch()?;
    let (script, component) = (scratch.join("componentize.mjs"), scratch.join("component.wasm"));
    fs::write(&script, SCRIPT).map_err(Error::file("writing", &script))?;
    Program::new("node").arg(&script).arg(WORLD).arg(&component).dir(&project.folder).run()?;
    super::move_to(&component, output)
}
