//! Debian's and Ubuntu's packages: unpacked into the native folder without root, or installed where we are root.

use std::collections::HashSet;
use std::path::Path;

use crate::error::Error;
use crate::shell::{Program, find_program};

/// Downloads packages and unpacks them under `target`, touching nothing of the system.
///
/// Only these packages, not what they depend on.
pub(crate) fn unpack(packages: &[&str], target: &Path) -> Result<(), Error> {
    let downloads = target.join("packages");
    std::fs::create_dir_all(&downloads).map_err(Error::file("creating", &downloads))?;
    download(packages, &downloads)?;
    let entries = std::fs::read_dir(&downloads).map_err(Error::file("listing", &downloads))?;
    for package in entries.flatten() {
        Program::new("dpkg").arg("-x").arg(package.path()).arg(target).read()?;
    }
    std::fs::remove_dir_all(&downloads).map_err(Error::file("removing", &downloads))
}

/// The same, with all that these packages need and the system lacks.
pub(crate) fn unpack_with_dependencies(packages: &[&str], target: &Path) -> Result<(), Error> {
    let graph = Program::new("apt-cache")
        .args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts"])
        .args(["--no-breaks", "--no-replaces", "--no-enhances"])
        .args(packages)
        .read()?;
    let installed = Program::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .read()?;
    let installed: HashSet<&str> =
        installed.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    // Indented lines are edges, names in angle brackets are provided by other packages.
    let nodes = graph.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()));
    let wanted: Vec<&str> = nodes.filter(|name| !installed.contains(name)).collect();
    unpack(&wanted, target)
}

fn download(packages: &[&str], folder: &Path) -> Result<(), Error> {
    let fetch = || Program::new("apt-get").args(["download", "--quiet"]).args(packages).dir(folder).read();
    // A fresh container has no package lists yet, and only root may get them.
    let fetched = fetch().or_else(|error| {
        if !is_root() {
            return Err(error);
        }
        Program::new("apt-get").args(["update", "--quiet"]).read()?;
        fetch()
    });
    fetched.map(drop)
}

/// Installs packages into the system where we are root, else says which command would.
pub(crate) fn require(what: &str, packages: &[&str]) -> Result<(), Error> {
    let list = packages.join(" ");
    if find_program(&["apt-get"]).is_none() {
        return Err(Error::missing(what, &format!("<your package manager> install {list}")));
    }
    if !is_root() {
        return Err(Error::missing(what, &format!("sudo apt-get install -y {list}")));
    }
    eprintln!("setup: installing {list} with apt-get");
    let install = || {
        Program::new("apt-get")
            .args(["install", "-y", "--quiet", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .read()
    };
    let installed = install().or_else(|_| {
        Program::new("apt-get").args(["update", "--quiet"]).read()?;
        install()
    });
    installed.map(drop)
}

fn is_root() -> bool {
    Program::new("id").arg("-u").read().is_ok_and(|id| id.trim() == "0")
}
