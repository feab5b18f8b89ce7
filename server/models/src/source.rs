//! Where a model's files come from: a folder, the Hugging Face Hub's cache, or the binary itself.

mod demo;
mod hub;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::Error;

/// A model as named on the command line, not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    alias: Option<String>,
    location: Location,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    Folder(PathBuf),
    Hub { id: String, revision: Option<String> },
    Demo,
}

impl ModelRef {
    /// The model inside the binary.
    pub fn demo() -> Self {
        Self { alias: None, location: Location::Demo }
    }

    /// Reads a `--model` value: `[ALIAS=]PATH` or `[ALIAS=]OWNER/NAME[@REVISION]`. What exists as a path is a path; of
    /// the rest, whatever has the shape of a Hugging Face id is one. The disk is looked at, the network is not.
    pub fn parse(value: &str) -> Result<Self, Error> {
        let invalid = |problem| Error::Argument { value: value.to_owned(), problem };
        let (alias, place) = match value.split_once('=') {
            // An `=` behind a separator belongs to a path such as `./runs/lr=3`.
            Some((alias, place)) if !alias.contains(['/', '\\']) => (Some(alias), place),
            _ => (None, value),
        };
        if alias.is_some_and(str::is_empty) {
            return Err(invalid("the alias before `=` is empty"));
        }
        if place.is_empty() {
            return Err(invalid("no folder or id is named"));
        }
        let path = Path::new(place);
        let location = match hub_id(place) {
            Some((id, revision)) if !path.exists() => {
                Location::Hub { id: id.to_owned(), revision: revision.map(str::to_owned) }
            }
            _ => Location::Folder(path.to_owned()),
        };
        Ok(Self { alias: alias.map(str::to_owned), location })
    }

    /// Gets the files where they are not on this machine yet (progress goes to standard error), and checks that they can
    /// be a model. Blocks, for as long as a download takes; must not be called from within an async task.
    pub fn fetch(&self) -> Result<Source, Error> {
        let (name, files) = match &self.location {
            Location::Folder(path) => (folder_name(path), Files::Folder(existing_folder(path)?)),
            Location::Hub { id, revision } => {
                (id.clone(), Files::Folder(hub::snapshot(id, revision.as_deref())?))
            }
            Location::Demo => (demo::NAME.to_owned(), Files::Embedded(demo::FILES)),
        };
        let source = Source { name: self.alias.clone().unwrap_or(name), files };
        if source.read("config.json")?.is_none() {
            return Err(Error::FileMissing {
                model: source.describe(),
                file: "config.json".into(),
                advice: "point `--model` at the folder that holds it",
            });
        }
        Ok(source)
    }
}

/// Splits `OWNER/NAME[@REVISION]`; `None` for anything else, paths above all.
fn hub_id(value: &str) -> Option<(&str, Option<&str>)> {
    let (id, revision) = match value.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (value, None),
    };
    let (owner, name) = id.split_once('/')?;
    let word = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-', '~'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    (word(owner) && word(name) && revision.is_none_or(|revision| !revision.is_empty()))
        .then_some((id, revision))
}

fn folder_name(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    absolute
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn existing_folder(path: &Path) -> Result<PathBuf, Error> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(path.to_owned()),
        Ok(_) => Err(Error::NotAFolder { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::FolderMissing { path: path.to_owned() })
        }
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// A model's files, on this machine.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    files: Files,
}

#[derive(Debug, Clone)]
enum Files {
    Folder(PathBuf),
    Embedded(&'static [(&'static str, &'static [u8])]),
}

/// One file of a model: a path to read pieces from, or bytes inside the binary.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    File(PathBuf),
    Embedded(&'static [u8]),
}

impl Source {
    /// The name to serve the model under: its alias, its Hugging Face id, or its folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the model inside the binary.
    pub fn is_demo(&self) -> bool {
        matches!(self.files, Files::Embedded(_))
    }

    /// Reads a whole small file, `tokenizer.json` for instance. `None` where there is none of that name.
    pub fn read(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>, Error> {
        match self.blob(file) {
            None => Ok(None),
            Some(Blob::Embedded(bytes)) => Ok(Some(Cow::Borrowed(bytes))),
            Some(Blob::File(path)) => match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                Err(source) => Err(Error::Read { path, source }),
            },
        }
    }

    /// The file's name as messages show it, with its folder.
    pub fn locate(&self, file: &str) -> String {
        match &self.files {
            Files::Folder(folder) => folder.join(file).display().to_string(),
            Files::Embedded(_) => format!("{} (built in)/{file}", demo::NAME),
        }
    }

    /// The model as messages show it.
    pub(crate) fn describe(&self) -> String {
        match &self.files {
            Files::Folder(folder) => folder.display().to_string(),
            Files::Embedded(_) => format!("{} (built in)", demo::NAME),
        }
    }

    /// The file of that name, if there is one.
    pub(crate) fn blob(&self, file: &str) -> Option<Blob> {
        match &self.files {
            Files::Folder(folder) => {
                let path = folder.join(file);
                path.exists().then_some(Blob::File(path))
            }
            Files::Embedded(files) => {
                files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| Blob::Embedded(bytes))
            }
        }
    }

    /// Names of the files directly in the model's folder, sorted.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        match &self.files {
            Files::Folder(folder) => {
                let failed = |source| Error::Read { path: folder.clone(), source };
                let mut names = Vec::new();
                for entry in std::fs::read_dir(folder).map_err(failed)? {
                    names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
                }
                names.sort();
                Ok(names)
            }
            Files::Embedded(files) => Ok(files.iter().map(|(name, _)| (*name).to_owned()).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
