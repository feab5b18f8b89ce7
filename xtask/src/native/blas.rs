//! A fast BLAS in front of the reference one that MLX's Linux library is linked with.
//!
//! A binary linked with OpenBLAS resolves MLX's `cblas_*` symbols there first, because the dynamic linker searches
//! the binary's own libraries before those of its libraries. Nothing of MLX changes, and a 1024-cubed product goes
//! from 8 to about 200 GFLOP/s.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install;
use crate::native::{apt, system_library};
use crate::shell::find_program;

/// The file a binary is linked with: `-l:libopenblas.so.0`.
pub(super) const LIBRARY: &str = "libopenblas.so.0";

/// Folders of OpenBLAS and of its own libraries: the system's, else unpacked into the native folder.
pub(super) fn find(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if let Some(system) = system_library(LIBRARY).as_deref().and_then(Path::parent) {
        return Ok(vec![system.to_path_buf()]);
    }
    if find_program(&["apt-get"]).is_none() {
        return Err(Error::missing("OpenBLAS (libopenblas.so.0)", "sudo dnf install -y openblas"));
    }
    let place = install::component(&folder.join("openblas"), "1", "getting OpenBLAS", |target| {
        // libquadmath is a library of its own on x86-64 only.
        let fortran = ["libopenblas0-pthread", "libgfortran5"];
        let quad = ["libquadmath0"];
        let packages =
            if cfg!(target_arch = "x86_64") { [&fortran[..], &quad].concat() } else { fortran.to_vec() };
        apt::unpack(&packages, target).map_err(|error| {
            Error::unavailable("OpenBLAS", "sudo apt-get install -y libopenblas0-pthread", &error)
        })
    })?;
    let libraries = place.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    Ok(vec![libraries.join("openblas-pthread"), libraries])
}
