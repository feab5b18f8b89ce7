//! The Python that tests and benchmarks compare with: mlx-lm on the same MLX, and transformers.
//!
//! Nothing that is served needs it. Where it cannot be had, the tests that want it are skipped and say so.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install::{self, Key};
use crate::native::{self, pip};

/// The variable through which tests and benchmarks find it.
pub(crate) const VARIABLE: &str = "MLX_GATE_PYTHON";

/// The interpreter with the packages of `xtask/native/python-requirements.txt`, installed on the first call.
pub(crate) fn install(root: &Path) -> Result<PathBuf, Error> {
    let folder = native::folder(root);
    let _lock = install::lock(&folder)?;
    let requirements = root.join("xtask/native/python-requirements.txt");
    let mut key = Key::new();
    key.add_path(&requirements)?;
    let what = "getting mlx-lm and transformers for comparisons";
    let place = install::component(&folder.join("python"), &key.hex(), what, |target| {
        pip::environment(&folder, target, &requirements, None)
    })?;
    Ok(place.join("bin/python"))
}

/// The interpreter, or `None` with a line that says why; a person's own choice comes first.
pub(crate) fn find(root: &Path) -> Option<PathBuf> {
    if let Some(own) = std::env::var_os(VARIABLE) {
        return Some(own.into());
    }
    install(root).inspect_err(|error| eprintln!("setup: no Python to compare with: {error}")).ok()
}
