//! The native parts that MLX needs on Linux, and where cargo is told about them.
//!
//! `mlx-sys` builds MLX by itself on macOS only. Elsewhere cargo is given a ready library instead of running the
//! crate's build script, which cargo allows because the crate declares `links = "mlx"`: [`mlx`] brings the library,
//! [`mlx_c`] compiles the C interface from the crate's own sources, [`blas`] finds a fast BLAS, and
//! [`cargo_config`] writes the override.

pub(crate) mod apt;
mod blas;
mod cargo_config;
pub(crate) mod mlx;
mod mlx_c;
pub(crate) mod pip;

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install;
use crate::shell::{Program, find_program};
use mlx::Backend;

pub(crate) use cargo_config::CONFIGURED_ENV;

/// Where everything that is downloaded or built for this checkout lives: `.native`, or `MLX_GATE_NATIVE`.
pub(crate) fn folder(root: &Path) -> PathBuf {
    std::env::var_os("MLX_GATE_NATIVE").map_or_else(|| root.join(".native"), PathBuf::from)
}

/// Where the encoded plugins are put.
pub(crate) fn plugins_folder(root: &Path) -> PathBuf {
    folder(root).join("plugins")
}

/// Where the encoded guests of the tests are put.
pub(crate) fn guests_folder(root: &Path) -> PathBuf {
    folder(root).join("guests")
}

/// Makes everything ready for `cargo build`, and costs milliseconds when it is.
///
/// Without a `backend` the one chosen last time stays.
pub(crate) fn setup(root: &Path, backend: Option<Backend>) -> Result<(), Error> {
    let folder = folder(root);
    let _lock = install::lock(&folder)?;
    let linked = if cfg!(target_os = "linux") {
        Some(link_on_linux(root, &folder, backend)?)
    } else if backend.is_some() {
        return Err(Error::Usage("--backend is for Linux; on macOS MLX always has Metal".into()));
    } else {
        None
    };
    cargo_config::write(root, linked.as_ref())
}

/// What a binary must be linked with on Linux.
struct Linked {
    /// Folder of `libmlxc.a`.
    mlx_c: PathBuf,
    /// Folder of `libmlx.so`.
    mlx: PathBuf,
    /// Folders of the fast BLAS and of what it needs itself, where one was found.
    blas: Option<Vec<PathBuf>>,
}

fn link_on_linux(root: &Path, folder: &Path, backend: Option<Backend>) -> Result<Linked, Error> {
    let backend = mlx::remember(folder, backend)?;
    let package = mlx::install(folder, backend)?;
    if backend == Backend::Cuda && system_library("libcuda.so.1").is_none() {
        eprintln!(
            "setup: no NVIDIA driver (libcuda.so.1) here: what is built now will not start on this machine; \
             `cargo xtask native --backend cpu` goes back"
        );
    }
    let mlx_c = mlx_c::build(root, folder, &package)?;
    let blas = blas::find(folder);
    if let Err(error) = &blas {
        eprintln!("setup: without OpenBLAS the CPU is about 25 times slower: {error}");
    }
    Ok(Linked { mlx_c, mlx: package.join("mlx/lib"), blas: blas.ok() })
}

/// Where the dynamic linker's cache has a library of the system.
fn system_library(name: &str) -> Option<PathBuf> {
    let linker = find_program(&["ldconfig"]).unwrap_or_else(|| PathBuf::from("/sbin/ldconfig"));
    let cache = Program::new(linker).arg("-p").read().ok()?;
    let line = cache.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    let path = PathBuf::from(line.rsplit(" => ").next()?.trim());
    path.is_file().then_some(path)
}
