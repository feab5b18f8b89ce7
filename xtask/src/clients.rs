//! Clients that people talk to LLM servers with, as their makers publish them: what `tests/server/clients.rs` runs.
//!
//! Their versions stand in `xtask/native/clients`. Each language is missed by its own tests alone, which then say so.

use std::fs;
use std::path::{Path, PathBuf};

use crate::authoring::npm;
use crate::error::Error;
use crate::install::{self, Key};
use crate::native::{self, pip};

/// The variable through which tests find the folder with `python`, `apart` and `js`.
pub(crate) const VARIABLE: &str = "MLX_GATE_CLIENTS";

/// Gets what can be had, and says what cannot.
pub(crate) fn find(root: &Path) -> Result<PathBuf, Error> {
    let native = native::folder(root);
    let (folder, wanted) = (native.join("clients"), root.join("xtask/native/clients"));
    let _lock = install::lock(&native)?;
    missed("Python", python(&native, &folder.join("python"), &wanted.join("requirements.txt")));
    missed("Python", python(&native, &folder.join("apart"), &wanted.join("apart.txt")));
    missed("JavaScript", javascript(&folder.join("js"), &wanted.join("package.json")));
    Ok(folder)
}

fn missed(language: &str, attempt: Result<PathBuf, Error>) {
    if let Err(error) = attempt {
        eprintln!("setup: clients in {language} cannot be tested: {error}");
    }
}

fn python(native: &Path, place: &Path, requirements: &Path) -> Result<PathBuf, Error> {
    let mut key = Key::new();
    key.add_path(requirements)?;
    install::component(place, &key.hex(), "getting clients in Python", |target| {
        pip::environment(native, target, requirements, None)
    })
}

fn javascript(place: &Path, package: &Path) -> Result<PathBuf, Error> {
    let mut key = Key::new();
    key.add_path(package)?;
    install::component(place, &key.hex(), "getting clients in JavaScript", |target| {
        let copy = target.join("package.json");
        fs::copy(package, &copy).map_err(Error::file("writing", &copy))?;
        npm(target, &[])
    })
}
