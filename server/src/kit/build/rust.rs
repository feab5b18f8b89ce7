//! Rust: cargo for `wasm32-unknown-unknown`, which has no WASI, then wit-component.

use std::env;
use std::path::{Path, PathBuf};

use super::encode;
use crate::kit::Error;
use crate::kit::embedded::RUSTC_FLAGS;
use crate::kit::program::Program;
use crate::kit::project::Project;

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn build(project: &Project, output: &Path) -> Result<(), Error> {
    let folder = &project.folder;
    check_target(folder)?;
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    Program::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--lib", "--package", &project.name, "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(folder).join("\u{1f}"))
        .dir(folder)
        .run()?;
    let module = format!("{}.wasm", project.name.replace('-', "_"));
    encode(&target_dir.join(TARGET).join("release").join(module), output)
}

/// Says what to do before cargo says it worse. Whoever builds the standard library themselves needs no target.
fn check_target(folder: &Path) -> Result<(), Error> {
    if env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some() {
        return Ok(());
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries =
        Program::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).dir(folder).ask();
    match libraries {
        None => Err(Error::Missing {
            what: "the Rust compiler",
            remedy: "get it from https://rustup.rs, then `rustup target add wasm32-unknown-unknown`".into(),
        }),
        Some(folder) if !Path::new(folder.trim()).is_dir() => Err(Error::Missing {
            what: "Rust's standard library for WebAssembly",
            remedy: format!("`rustup target add {TARGET}` installs it"),
        }),
        Some(_) => Ok(()),
    }
}

/// Panic messages hold paths: those of this machine have no business in a plugin.
fn flags(folder: &Path) -> Vec<String> {
    let lines = RUSTC_FLAGS.lines().filter(|line| !line.starts_with('#'));
    let mut flags: Vec<String> = lines.map(str::to_owned).collect();
    flags.push(format!("--remap-path-prefix={}=plugin", folder.display()));
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))) {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}
