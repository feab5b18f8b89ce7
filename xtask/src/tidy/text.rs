//! What may stand in a file, what it may be called, and how long it may be.

use std::path::Path;

use super::Finding;

/// A source file longer than this is worth a thought.
const LONG: usize = 400;
/// A source file longer than this has more than one concept in it.
const TOO_LONG: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// Where unsafe code may be: the only places that may lift the workspace's `unsafe_code = "deny"`.
const MAY_BE_UNSAFE: [&str; 7] = [
    "server/src/memory.rs",
    "server/models/src/ffi.rs",
    "server/lifecycle/src/runtime/",
    "server/lifecycle/src/plugin/",
    "server/lifecycle/src/guest/",
    // The allocator and the generated bindings of guests.
    "plugin-sdk/src/",
    // They lie to the host.
    "tests/guests/",
];

/// Words that mean unfinished work; assembled here, so that this file does not find itself.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Folders of one person's machine.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// The one registry that `Cargo.lock` may name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(file: &str, content: &str) -> Vec<Finding> {
    if content.lines().take(5).any(|line| line.contains("@generated")) {
        return Vec::new();
    }
    if file == "Cargo.lock" {
        return check_lock(content);
    }
    let mut findings = check_lines(file, content);
    if is_rust(file) {
        findings.extend(check_name(file));
        findings.extend(check_length(file, content));
    }
    findings
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

fn check_name(file: &str) -> Option<Finding> {
    let path = Path::new(file);
    let stem = path.file_stem()?.to_str()?;
    if stem == "mod" {
        return Some(Finding::new(file, "name the module root after its folder: `foo.rs` beside `foo/`"));
    }
    let parts = path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
    let empty = parts.flat_map(|part| part.split(['_', '-'])).find(|word| EMPTY_NAMES.contains(word))?;
    Some(Finding::new(file, format!("`{empty}` says nothing about what is inside: name the concept")))
}

fn check_length(file: &str, content: &str) -> Option<Finding> {
    let lines = content.lines().count();
    if lines > TOO_LONG {
        return Some(Finding::new(file, format!("{lines} lines, more than {TOO_LONG}: split it by concept")));
    }
    (lines > LONG).then(|| Finding::warning(file, format!("{lines} lines, more than {LONG}")))
}

fn check_lines(file: &str, content: &str) -> Vec<Finding> {
    let problem = |line: &str| {
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
            return Some(format!("`{word}`: finish it, or open an issue"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(**path)) {
            return Some(format!("`{path}` is a folder of one machine"));
        }
        is_rust(file).then(|| check_rust_line(file, line)).flatten()
    };
    let numbered = content.lines().enumerate();
    numbered
        .filter_map(|(index, line)| Some(Finding::new(format!("{file}:{}", index + 1), problem(line)?)))
        .collect()
}

fn check_rust_line(file: &str, line: &str) -> Option<String> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return None;
    }
    if line.starts_with("#[ignore") {
        return Some("a test that never runs protects nothing: make it run or remove it".into());
    }
    // Attributes may be spread over lines, so the lint's name is looked for without what stands around it.
    let lifts_unsafe = line.split_once("unsafe_code").is_some_and(|(before, _)| !before.contains('"'));
    let may = MAY_BE_UNSAFE.iter().any(|place| file.starts_with(place));
    (lifts_unsafe && !may).then(|| format!("unsafe code may only be in {}", MAY_BE_UNSAFE.join(", ")))
}

fn check_lock(content: &str) -> Vec<Finding> {
    let sources = content.lines().filter_map(|line| line.strip_prefix("source = "));
    let foreign = sources.map(|source| source.trim_matches('"')).filter(|source| *source != REGISTRY);
    foreign
        .map(|source| Finding::new("Cargo.lock", format!("`{source}` is not the public registry")))
        .collect()
}

#[cfg(test)]
mod tests;
