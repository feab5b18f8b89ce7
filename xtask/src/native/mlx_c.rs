//! mlx-c: compiled from the sources inside the `mlx-sys` crate, by the C++ compiler alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::Error;
use crate::install::{self, Key};
use crate::native::apt;
use crate::shell::{Program, cargo, find_program};

/// The version of mlx-sys whose interface `xtask/native/mlx-c-0.7.0` describes.
const MLX_SYS: &str = "0.7.0";

/// The checked-in parts: bindings, shims and how the bindings were made.
pub(super) fn sources(root: &Path) -> PathBuf {
    root.join("xtask/native").join(format!("mlx-c-{MLX_SYS}"))
}

/// Gives the folder with `libmlxc.a`, built against the headers of the MLX `package`.
pub(super) fn build(root: &Path, folder: &Path, package: &Path) -> Result<PathBuf, Error> {
    let shims = sources(root);
    let mut key = Key::new();
    key.add(MLX_SYS.as_bytes());
    key.add(super::mlx::VERSION.as_bytes());
    key.add_path(&shims.join("shim.h"))?;
    key.add_path(&shims.join("apple_clock.cpp"))?;
    let place = folder.join(format!("mlx-c-{MLX_SYS}"));
    install::component(&place, &key.hex(), "compiling mlx-c", |target| {
        let compiler = compiler()?;
        let mlx_c = crate_folder(root)?.join("src/mlx-c");
        let units = units(&mlx_c, &shims)?;
        let flags = Flags { shims, mlx_c, headers: package.join("mlx/include") };
        compile_all(&units, target, |unit, object| compile(&compiler, &flags, unit, object))?;
        archive(target)
    })
}

fn compiler() -> Result<PathBuf, Error> {
    let names = ["c++", "g++", "clang++"];
    if let Some(chosen) = std::env::var_os("CXX") {
        return Ok(chosen.into());
    }
    if find_program(&names).is_none() {
        apt::require("a C++ compiler", &["g++"])?;
    }
    find_program(&names).ok_or_else(|| Error::missing("a C++ compiler", "sudo apt-get install -y g++"))
}

/// Where cargo keeps the sources of mlx-sys, which it gets if need be.
fn crate_folder(root: &Path) -> Result<PathBuf, Error> {
    let metadata = cargo(root).args(["metadata", "--format-version=1"]).read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)
        .map_err(|error| Error::Unexpected { from: "cargo metadata".into(), detail: error.to_string() })?;
    let found = metadata["packages"].as_array().into_iter().flatten().find(|p| p["name"] == "mlx-sys");
    let Some(package) = found else {
        return Err(Error::Unexpected {
            from: "cargo metadata".into(),
            detail: "no crate of this workspace depends on mlx-sys".into(),
        });
    };
    if package["version"] != MLX_SYS {
        return Err(Error::Unexpected {
            from: "cargo metadata".into(),
            detail: format!(
                "mlx-sys is {}, but xtask/native has the bindings of {MLX_SYS}; run regenerate-bindings.sh there",
                package["version"]
            ),
        });
    }
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
    Ok(manifest.parent().unwrap_or(&manifest).to_path_buf())
}

fn units(mlx_c: &Path, shims: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = mlx_c.join("mlx/c");
    let entries = fs::read_dir(&folder).map_err(Error::file("listing", &folder))?;
    let mut units: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    units.retain(|path| path.extension().is_some_and(|extension| extension == "cpp"));
    // The largest take several times as long as the rest: first, so that no processor waits for one at the end.
    units.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |data| data.len())));
    units.push(shims.join("apple_clock.cpp"));
    Ok(units)
}

struct Flags {
    shims: PathBuf,
    mlx_c: PathBuf,
    headers: PathBuf,
}

fn compile(compiler: &Path, flags: &Flags, unit: &Path, object: &Path) -> Result<(), Error> {
    Program::new(compiler)
        .args(["-std=c++20", "-O2", "-DNDEBUG", "-fPIC", "-w", "-c"])
        .arg("-include")
        .arg(flags.shims.join("shim.h"))
        .arg("-I")
        .arg(&flags.mlx_c)
        .arg("-I")
        .arg(&flags.headers)
        .arg(unit)
        .arg("-o")
        .arg(object)
        .read()
        .map(drop)
}

/// Compiles each unit to an object in `target`, as many at a time as there are processors.
fn compile_all(
    units: &[PathBuf],
    target: &Path,
    compile: impl Fn(&Path, &Path) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let queue = Mutex::new(units.iter());
    let next = || queue.lock().ok()?.next();
    let worker = || {
        while let Some(unit) = next() {
            let name = unit.file_stem().unwrap_or_default();
            compile(unit, &target.join(name).with_extension("o"))?;
        }
        Ok(())
    };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn archive(target: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(target).map_err(Error::file("listing", target))?;
    let mut objects: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    objects.sort();
    Program::new("ar").arg("crs").arg(target.join("libmlxc.a")).args(&objects).read()?;
    objects.iter().try_for_each(|object| fs::remove_file(object).map_err(Error::file("removing", object)))
}
