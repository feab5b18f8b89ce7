//! A plugin's source: a folder with a `plugin.toml` that says its name and its language.

use std::path::{Path, PathBuf};

use super::Error;

/// The file that makes a folder a plugin's.
const MANIFEST: &str = "plugin.toml";

/// A language there is a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// With cargo and the SDK; the fastest and the best supported
    Rust,
    /// With clang, or with the clang inside Zig; the smallest
    C,
    /// QuickJS, with npm's componentize-qjs
    Js,
    /// CPython, with PyPI's componentize-py
    Python,
}

impl Language {
    /// The name of its template's folder.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Js => "js",
            Self::Python => "python",
        }
    }
}

/// A plugin's source.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder.
    pub(super) folder: PathBuf,
    /// The plugin's name, and that of the file that is built.
    pub(super) name: String,
    /// What it is written in.
    pub(super) language: Language,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    language: Language,
}

impl Project {
    /// Reads a folder's `plugin.toml`.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Err(Error::NoProject(folder.to_owned()));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
        let manifest: Manifest =
            toml::from_str(&text).map_err(|error| Error::Malformed { path, problem: error.to_string() })?;
        check_name(&manifest.name)?;
        // Tools run in other folders than ours.
        let folder = folder.canonicalize().map_err(Error::file("resolving", folder))?;
        Ok(Self { folder, name: manifest.name, language: manifest.language })
    }

    /// Where what a build leaves in between goes.
    pub(super) fn scratch(&self) -> Result<PathBuf, Error> {
        let folder = self.folder.join("build");
        std::fs::create_dir_all(&folder).map_err(Error::file("creating", &folder))?;
        Ok(folder)
    }
}

/// The name has to suit WIT, cargo, npm and the host, each of which has rules of its own.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-');
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && name.len() <= 64 && name.chars().all(fits) {
        Ok(())
    } else {
        Err(Error::Name(name.to_owned()))
    }
}
