//! The MLX library itself, from the package index where its makers publish it.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install;
use crate::native::pip;

/// The version of MLX that mlx-c, and so mlx-sys, is written against. It changes with them only.
pub(crate) const VERSION: &str = "0.32.2";

/// For which processor MLX is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Cpu,
    Cuda,
}

impl Backend {
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(Error::Usage(format!("--backend is `cpu` or `cuda`, not `{name}`"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Cpu => "mlx-cpu",
            Self::Cuda => "mlx-cuda-13",
        }
    }
}

/// The backend asked for, else the one chosen last time, else the CPU.
pub(super) fn remember(folder: &Path, asked: Option<Backend>) -> Result<Backend, Error> {
    let choice = folder.join("backend");
    let last = std::fs::read_to_string(&choice).ok().and_then(|name| Backend::parse(name.trim()).ok());
    let backend = asked.or(last).unwrap_or(Backend::Cpu);
    install::file(&choice, backend.name())?;
    Ok(backend)
}

/// Gives the folder that holds `mlx/lib/libmlx.so` and `mlx/include`.
pub(super) fn install(folder: &Path, backend: Backend) -> Result<PathBuf, Error> {
    let wanted = format!("{}=={VERSION}", backend.package());
    let place = folder.join(format!("{}-{VERSION}", backend.package()));
    install::component(&place, &wanted, &format!("getting MLX ({wanted})"), |target| {
        let pip = pip::install(folder)?.arg("--no-compile");
        // The CUDA library needs NVIDIA's own packages beside it; the CPU library carries what it needs.
        let pip = if backend == Backend::Cpu { pip.arg("--no-deps") } else { pip };
        pip.arg("--target").arg(target).arg(&wanted).run()
    })
}
