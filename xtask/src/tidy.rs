//! `cargo xtask tidy`: the rules about the sources that no compiler checks.
//!
//! [`layers`] holds which crate may use which, [`text`] what may stand in a file and how long it may be.

mod layers;
mod text;

use std::path::Path;

use crate::error::Error;
use crate::shell::{Program, cargo};

/// One breach of a rule: where, what, and what to do instead.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    problem: String,
    /// Shown, but not a reason to fail.
    only_warning: bool,
}

impl Finding {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), only_warning: false }
    }

    fn warning(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { only_warning: true, ..Self::new(place, problem) }
    }
}

pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let mut findings = layers::check(&metadata(root)?);
    let files = files(root)?;
    for file in &files {
        let content = std::fs::read(root.join(file)).map_err(Error::file("reading", &root.join(file)))?;
        // What is not text (weights, images) has no lines to judge.
        if let Ok(content) = String::from_utf8(content) {
            findings.extend(text::check(file, &content));
        }
    }
    for finding in &findings {
        let kind = if finding.only_warning { "warning" } else { "error" };
        eprintln!("{kind}: {}: {}", finding.place, finding.problem);
    }
    let errors = findings.iter().filter(|finding| !finding.only_warning).count();
    eprintln!("tidy: {} files, {errors} errors, {} warnings", files.len(), findings.len() - errors);
    if errors == 0 { Ok(()) } else { Err(Error::CheckFailed(format!("tidy found {errors} errors"))) }
}

fn metadata(root: &Path) -> Result<serde_json::Value, Error> {
    let text = cargo(root).args(["metadata", "--format-version=1", "--no-deps"]).read()?;
    let failed = |error: serde_json::Error| Error::Unexpected {
        from: "cargo metadata".into(),
        detail: error.to_string(),
    };
    serde_json::from_str(&text).map_err(failed)
}

/// Every file that is in the repository or about to be: those that git does not ignore.
fn files(root: &Path) -> Result<Vec<String>, Error> {
    let list =
        Program::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).dir(root);
    let list = list.read()?;
    let mut files: Vec<String> = list.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files.retain(|file| root.join(file).is_file());
    Ok(files)
}
