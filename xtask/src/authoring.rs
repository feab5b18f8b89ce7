//! The tools with which plugins are written in other languages than Rust: what the tests of `mlx-gate plugin build` need.
//!
//! Their versions are those that the templates name. Each is missed by its own tests alone, which then say so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install::{self, Key};
use crate::native::{self, pip};
use crate::shell::{Program, find_program};

/// The variable through which tests find the folder with `python`, `js` and `js-spidermonkey`.
pub(crate) const VARIABLE: &str = "MLX_GATE_AUTHORING";

/// Zig's clang, for machines that have none of their own for WebAssembly.
const ZIG: &str = "ziglang==0.17.0";

/// The other engine that can run JavaScript plugins.
const SPIDERMONKEY: &str = "@bytecodealliance/componentize-js@0.23.0";

/// Starts the programs of Python packages that were installed from outside.
const LAUNCHER: &str = "import sys\nfrom componentize_py import script\nsys.exit(script())\n";

/// Gets what can be had, and says what cannot.
pub(crate) fn find(root: &Path) -> Result<PathBuf, Error> {
    let folder = native::folder(root).join("authoring");
    let _lock = install::lock(&native::folder(root))?;
    let templates = root.join("plugins/templates");
    let attempts = [
        ("Python", python(root, &folder, &templates.join("python/requirements.txt"))),
        ("JavaScript", javascript(&folder, &templates.join("js/package.json"))),
        ("JavaScript on SpiderMonkey", spidermonkey(&folder)),
    ];
    for (language, attempt) in attempts {
        if let Err(error) = attempt {
            eprintln!("setup: plugins in {language} cannot be tested: {error}");
        }
    }
    Ok(folder)
}

/// An environment with componentize-py, and with Zig where there is no clang that builds for WebAssembly.
fn python(root: &Path, folder: &Path, requirements: &Path) -> Result<PathBuf, Error> {
    let zig = (!has_clang()).then_some(ZIG);
    let mut key = Key::new();
    key.add_path(requirements)?;
    key.add(zig.unwrap_or_default().as_bytes());
    install::component(
        &folder.join("python"),
        &key.hex(),
        "getting componentize-py for plugins in Python",
        |target| {
            pip::environment(&native::folder(root), target, requirements, zig)?;
            // By the name it will have: what is made is moved into its place.
            let interpreter = folder.join("python/bin/python");
            let launcher = target.join("bin/componentize-py");
            fs::write(&launcher, format!("#!{}\n{LAUNCHER}", interpreter.display()))
                .and_then(|()| fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)))
                .map_err(Error::file("writing", &launcher))
        },
    )
}

fn has_clang() -> bool {
    let targets = Program::new("clang").arg("--print-targets").read();
    find_program(&["wasm-ld"]).is_some() && targets.is_ok_and(|targets| targets.contains("wasm32"))
}

/// What the template's `npm install` gets.
fn javascript(folder: &Path, package: &Path) -> Result<PathBuf, Error> {
    let mut key = Key::new();
    key.add_path(package)?;
    install::component(
        &folder.join("js"),
        &key.hex(),
        "getting componentize-qjs for plugins in JavaScript",
        |target| {
            let copy = target.join("package.json");
            fs::copy(package, &copy).map_err(Error::file("writing", &copy))?;
            npm(target, &[])
        },
    )
}

fn spidermonkey(folder: &Path) -> Result<PathBuf, Error> {
    let what = "getting componentize-js for plugins in JavaScript";
    install::component(&folder.join("js-spidermonkey"), SPIDERMONKEY, what, |target| {
        npm(target, &[SPIDERMONKEY])
    })
}

/// `npm install` of what the folder's `package.json` wants, and of these packages.
pub(crate) fn npm(folder: &Path, packages: &[&str]) -> Result<(), Error> {
    if find_program(&["npm"]).is_none() {
        return Err(Error::missing("npm", "install Node.js 20 or later"));
    }
    Program::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(folder)
        .args(packages)
        .dir(folder)
        .run()
}
