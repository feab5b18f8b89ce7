//! Python's package installer, the machine's own or one that is unpacked into the native folder.

use std::path::Path;

use crate::error::Error;
use crate::install;
use crate::native::apt;
use crate::shell::Program;

/// `python3`, new enough for MLX's packages.
pub(crate) fn interpreter() -> Result<Program, Error> {
    let python = || Program::new("python3");
    if !python().args(["-c", "import sys; assert sys.version_info >= (3, 10)"]).succeeds() {
        apt::require("Python 3.10 or later", &["python3"])?;
    }
    Ok(python())
}

/// An environment with these packages in `target`. `further` is one more of them.
pub(crate) fn environment(
    folder: &Path,
    target: &Path,
    requirements: &Path,
    further: Option<&str>,
) -> Result<(), Error> {
    // Debian's Python makes environments without pip only, so packages are put into it from outside.
    interpreter()?.args(["-m", "venv", "--without-pip"]).arg(target).read()?;
    let packages = Program::new(target.join("bin/python"))
        .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .read()?;
    install(folder)?
        .arg("--target")
        .arg(packages.trim())
        .arg("--requirement")
        .arg(requirements)
        .args(further)
        .run()
}

/// `pip install`, ready for a target and packages.
pub(crate) fn install(folder: &Path) -> Result<Program, Error> {
    let mut pip = interpreter()?.args(["-m", "pip"]);
    if !interpreter()?.args(["-m", "pip", "--version"]).succeeds() {
        // Debian and Ubuntu ship Python without pip; its package works unpacked, without touching the system.
        let unpacked = install::component(&folder.join("pip"), "1", "getting pip", |target| {
            apt::unpack(&["python3-pip"], target).map_err(|error| {
                Error::unavailable("Python's pip", "sudo apt-get install -y python3-pip", &error)
            })
        })?;
        pip = pip.env("PYTHONPATH", unpacked.join("usr/lib/python3/dist-packages"));
    }
    // Its warning about root is for installations into the system, which this is not.
    Ok(pip.env("PIP_ROOT_USER_ACTION", "ignore").args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-warn-conflicts",
    ]))
}
