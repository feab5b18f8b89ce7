//! A Rust compiler for WebAssembly: rustup's where it has or can get the target, else Debian's.

use std::path::{Path, PathBuf};

use super::TARGET;
use crate::error::Error;
use crate::install;
use crate::native::apt;
use crate::shell::{Program, find_program};

/// Which compiler is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The one of this project, else Debian's.
    #[default]
    Any,
    /// Debian's, to try that way on a machine that does not need it.
    Debian,
}

impl Choice {
    pub(crate) fn parse(name: Option<&str>) -> Result<Self, Error> {
        match name {
            None => Ok(Self::Any),
            Some("debian") => Ok(Self::Debian),
            Some(other) => Err(Error::Usage(format!("--toolchain is `debian` or not given, not `{other}`"))),
        }
    }
}

/// A compiler that can build for wasm32.
pub(super) enum Toolchain {
    /// The project's own, which has the target's standard library.
    Own,
    /// Debian's, which builds the standard library from its sources.
    Debian { rustc: PathBuf, linker: PathBuf },
}

impl Toolchain {
    pub(super) fn find(folder: &Path, choice: Choice) -> Result<Self, Error> {
        if choice == Choice::Any && (has_target() || add_target()) {
            return Ok(Self::Own);
        }
        let unavailable = |error| {
            Error::unavailable(
                "a Rust compiler for WebAssembly",
                &format!("rustup target add {TARGET}"),
                &error,
            )
        };
        let linker = linker().map_err(unavailable)?;
        let debian = debian(folder).map_err(unavailable)?;
        Ok(Self::Debian { rustc: debian.join("rustc"), linker })
    }

    /// Adds what cargo needs to be told about this compiler.
    pub(super) fn apply(&self, cargo: Program) -> Program {
        let Self::Debian { rustc, linker } = self else { return cargo };
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", rustc)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
    }
}

fn rustc() -> Program {
    Program::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn has_target() -> bool {
    let libraries = rustc().args(["--print", "target-libdir", "--target", TARGET]).read();
    libraries.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn add_target() -> bool {
    if find_program(&["rustup"]).is_none() {
        return false;
    }
    eprintln!("plugins: rustup target add {TARGET}");
    let added = Program::new("rustup").args(["target", "add", TARGET]).read();
    added.inspect_err(|error| eprintln!("plugins: {error}")).is_ok() && has_target()
}

/// The linker that comes with every rustup toolchain, else that of LLVM.
fn linker() -> Result<PathBuf, Error> {
    let sysroot = rustc().args(["--print", "sysroot"]).read()?;
    let version = rustc().arg("-vV").read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let bundled = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if bundled.is_file() {
        return Ok(bundled);
    }
    let missing = || Error::missing("a linker for WebAssembly", "sudo apt-get install -y lld");
    find_program(&["wasm-ld", "rust-lld"]).ok_or_else(missing)
}

/// Debian's compiler and the sources of its standard library, unpacked, with a `rustc` that finds its libraries.
fn debian(folder: &Path) -> Result<PathBuf, Error> {
    let place = folder.join("rustc-web");
    install::component(&place, "1", "getting Debian's Rust compiler for WebAssembly", |target| {
        apt::unpack_with_dependencies(&["rustc-web", "rust-web-src"], target)?;
        let script = "#!/bin/sh\n\
            here=$(dirname \"$0\")\n\
            LD_LIBRARY_PATH=$(echo \"$here\"/usr/lib/*-linux-gnu) exec \"$here/usr/bin/rustc\" \"$@\"\n";
        let rustc = target.join("rustc");
        std::fs::write(&rustc, script).map_err(Error::file("writing", &rustc))?;
        Program::new("chmod").arg("+x").arg(&rustc).read()?;
        // Better found out now than by a failing build.
        Program::new(&rustc).arg("--version").read().map(drop)
    })
}
