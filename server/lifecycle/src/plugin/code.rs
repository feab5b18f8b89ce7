//! A plugin's code before anything of it runs: where it is, what kind of thing it is, what it wants and offers.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::{Bundled, Problem, Source};

/// The largest plugin file, in bytes. Interpreters compiled into a component have some 40 MB.
const MOST_BYTES: u64 = 128 << 20;

const PACKAGE: &str = "mlx-gate:plugin/";
const VERSION: &str = "0.1.0";
const SUPPORTED: &str = "mlx-gate:plugin@0.1.0";
const LIFECYCLE: &str = "mlx-gate:plugin/lifecycle@0.1.0";

/// Phases this server runs, and those that the interface has besides.
const SERVED: &[&str] = &["authenticate"];
const UNSERVED: &[&str] = &["authorize", "rate-limit", "tagging", "logging"];

/// Interfaces that are linked for every plugin, and those that need a grant.
const LINKED: &[&str] = &["types", "host", "crypto"];
const GRANTED: &[&str] = &["kv", "http"];

/// Reads a component's bytes and makes sure that they are one.
pub(super) fn read(source: &Source, bundled: &[Bundled]) -> Result<Vec<u8>, Problem> {
    let bytes = match source {
        Source::Bundled(name) => read_bundled(name, bundled)?,
        Source::File(path) => read_file(path)?,
    };
    expect_component(&bytes)?;
    Ok(bytes)
}

fn read_bundled(name: &str, bundled: &[Bundled]) -> Result<Vec<u8>, Problem> {
    let known = || bundled.iter().map(|plugin| plugin.name.to_owned()).collect();
    let plugin = bundled.iter().find(|plugin| plugin.name == name);
    plugin.map(|plugin| plugin.bytes.to_vec()).ok_or_else(|| Problem::UnknownBundled { known: known() })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(Problem::Unreadable)?;
    let length = file.metadata().map_err(Problem::Unreadable)?.len();
    if length > MOST_BYTES {
        return Err(Problem::TooLarge { bytes: length, most: MOST_BYTES });
    }
    let mut bytes = Vec::new();
    // The bound holds for files that grow, and for those that have no length, such as a pipe.
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    match bytes.len() as u64 {
        read if read > MOST_BYTES => Err(Problem::TooLarge { bytes: read, most: MOST_BYTES }),
        _ => Ok(bytes),
    }
}

/// Tells components by their preamble: the magic number, then the version and, for components, the layer.
fn expect_component(bytes: &[u8]) -> Result<(), Problem> {
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(Problem::Precompiled);
    }
    match bytes.split_at_checked(8) {
        Some((b"\0asm\x0d\0\x01\0", _)) => Ok(()),
        Some((b"\0asm\x01\0\0\0", _)) => Err(Problem::CoreModule),
        _ if bytes.trim_ascii_start().starts_with(b"(") => Err(Problem::Text),
        _ if bytes.is_empty() => Err(Problem::NotWasm("nothing, the file is empty".to_owned())),
        _ => {
            let start = &bytes[..bytes.len().min(8)];
            Err(Problem::NotWasm(format!("`{}`", start.escape_ascii())))
        }
    }
}

/// Compares what a component imports and exports with what this server has.
pub(super) fn inspect(engine: &Engine, component: &Component) -> Result<(), Problem> {
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    expect_version(imports.iter().chain(&exports))?;

    let among = |names: &[&str], import: &str| interface(import).is_some_and(|name| names.contains(&name));
    let unlinked = imports.into_iter().filter(|import| !among(LINKED, import));
    let (grantable, foreign): (Vec<String>, Vec<String>) =
        unlinked.partition(|import| among(GRANTED, import));
    if !foreign.is_empty() {
        let hint = if foreign.iter().any(|name| name.starts_with("wasi:")) {
            "WASI is not linked; build for `wasm32-unknown-unknown`, which does not need it"
        } else {
            "they are `host` and `crypto`"
        };
        return Err(Problem::UnknownImports { found: foreign, hint });
    }
    if !grantable.is_empty() {
        return Err(Problem::Ungranted(grantable));
    }
    if !exports.iter().any(|name| name == LIFECYCLE) {
        return Err(Problem::NoLifecycle(LIFECYCLE));
    }
    let exported = |phases: &[&str]| -> Vec<String> {
        phases
            .iter()
            .filter(|phase| exports.iter().any(|name| interface(name) == Some(phase)))
            .map(ToString::to_string)
            .collect()
    };
    let unserved = exported(UNSERVED);
    if !unserved.is_empty() {
        return Err(Problem::UnservedPhases(unserved));
    }
    if exported(SERVED).is_empty() {
        return Err(Problem::NoPhase);
    }
    Ok(())
}

/// The interface's name, of one in our package.
fn interface(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.split('@').next()
}

fn expect_version<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Problem> {
    let other = names.find(|name| {
        name.strip_prefix(PACKAGE)
            .is_some_and(|rest| rest.split_once('@').is_none_or(|(_, version)| version != VERSION))
    });
    match other {
        Some(name) => Err(Problem::Version { found: format!("`{name}`"), supported: SUPPORTED }),
        None => Ok(()),
    }
}
