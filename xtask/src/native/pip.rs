//! Python's package installer, the machine's own or one that is unpacked into the native folder.

use std::path::Path;

use crate::error::Error;
use crate::install;
use crate::native::apt;
use crate::shell::Program;

/// `python3 -m pip`, ready for arguments.
pub(super) fn program(folder: &Path) -> Result<Program, Error> {
    if !python().arg("-c").arg("import sys; assert sys.version_info >= (3, 10)").succeeds() {
        apt::require("Python 3.10 or later", &["python3"])?;
    }
    let pip = python().args(["-m", "pip"]);
    if Program::succeeds(python().args(["-m", "pip", "--version"])) {
        return Ok(pip);
    }
    // Debian and Ubuntu ship Python without pip; its package works unpacked, without touching the system.
    let unpacked = install::component(&folder.join("pip"), "1", "getting pip", |target| {
        apt::unpack(&["python3-pip"], target)
            .map_err(|error| Error::missing("Python's pip", "sudo apt-get install -y python3-pip", error))
    })?;
    Ok(pip.env("PYTHONPATH", unpacked.join("usr/lib/python3/dist-packages")))
}

fn python() -> Program {
    Program::new("python3")
}
