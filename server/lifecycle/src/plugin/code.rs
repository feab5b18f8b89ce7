//! A plugin's code before anything of it runs: where it is, what kind of thing it is, what it wants and offers.

use std::io::Read as _;
use std::path::Path;

use mlx_gate_core::Phase;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::guest::Version;
use crate::{Bundled, Problem, Source, regular};

/// The largest plugin file, in bytes. Interpreters compiled into a component have some 40 MB.
const MOST_BYTES: u64 = 128 << 20;

const PACKAGE: &str = "mlx-gate:plugin/";
const SUPPORTED: &str = "mlx-gate:plugin@0.1.0";
const LIFECYCLE: &str = "lifecycle";

/// The interface of each phase, in the order of a request.
const PHASES: [(&str, Phase); 5] = [
    ("authenticate", Phase::Authenticate),
    ("authorize", Phase::Authorize),
    ("rate-limit", Phase::RateLimit),
    ("tagging", Phase::Tag),
    ("logging", Phase::Log),
];

/// Interfaces that every plugin gets, and those that need a grant.
const LINKED: &[&str] = &["types", "host", "crypto"];
const GRANTED: &[&str] = &["kv", "http", "jwks", "output"];

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
    let file = regular::open(path).map_err(Problem::Unreadable)?;
    let length = file.metadata().map_err(Problem::Unreadable)?.len();
    if length > MOST_BYTES {
        return Err(Problem::TooLarge { bytes: length, most: MOST_BYTES });
    }
    let mut bytes = Vec::new();
    // The bound holds for files that grow, too.
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

/// What a component turned out to be.
#[derive(Debug, Clone)]
pub(super) struct Inspected {
    pub(super) version: Version,
    /// The phases it takes part in, in the order of a request.
    pub(super) phases: Vec<Phase>,
    /// The interfaces it imports that need a grant.
    pub(super) grantable: Vec<String>,
    /// Whether it imports functions that always have to be waited for.
    pub(super) waits: bool,
}

/// Compares what a component imports and exports with what this server has.
pub(super) fn inspect(engine: &Engine, component: &Component) -> Result<Inspected, Problem> {
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let version = version(imports.iter().chain(&exports))?;

    let among = |names: &[&str], import: &str| interface(import).is_some_and(|name| names.contains(&name));
    let served = |import: &String| among(LINKED, import) || among(GRANTED, import) || is_wasi(import);
    let foreign: Vec<String> = imports.iter().filter(|import| !served(import)).cloned().collect();
    if !foreign.is_empty() {
        let hint = if foreign.iter().any(|name| name.starts_with("wasi:")) {
            "of WASI there is the part that languages need to start, and none of its HTTP; what the host offers is `http`"
        } else {
            "they are `host`, `crypto`, `kv`, `http`, `jwks` and `output`"
        };
        return Err(Problem::UnknownImports { found: foreign, hint });
    }
    let grantable = imports.iter().filter(|import| among(GRANTED, import));
    let grantable = grantable.filter_map(|import| interface(import)).map(str::to_owned).collect();
    let exported = |name: &str| exports.iter().any(|export| interface(export) == Some(name));
    if !exported(LIFECYCLE) {
        return Err(Problem::NoLifecycle(format!("{PACKAGE}{LIFECYCLE}@{}", version.as_str())));
    }
    let phases: Vec<Phase> =
        PHASES.iter().filter(|(name, _)| exported(name)).map(|(_, phase)| *phase).collect();
    if phases.is_empty() {
        return Err(Problem::NoPhase);
    }
    let waits = ty.imports(engine).any(|(name, item)| waits(engine, name, &item.ty));
    Ok(Inspected { version, phases, grantable, waits })
}

/// Whether this import has functions that always have to be waited for: of our own, the one that checks passwords.
fn waits(engine: &Engine, import: &str, item: &ComponentItem) -> bool {
    match (interface(import), item) {
        (Some("crypto"), ComponentItem::ComponentInstance(functions)) => {
            functions.exports(engine).any(|(name, _)| name == "verify-password")
        }
        (ours, _) => ours.is_none(),
    }
}

/// Whether this is an interface of WASI 0.2 that is linked, with nothing behind it.
fn is_wasi(import: &str) -> bool {
    const PACKAGES: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    PACKAGES.iter().any(|package| import.starts_with(package)) && import.contains("@0.2.")
}

/// The interface's name, of one in our package.
fn interface(name: &str) -> Option<&str> {
    name.strip_prefix(PACKAGE)?.split('@').next()
}

/// The one version of our package that all names carry. Of a component that has none of them, the newest.
fn version<'a>(names: impl Iterator<Item = &'a String>) -> Result<Version, Problem> {
    let newest = Version::ALL[Version::ALL.len() - 1];
    let mut found = None;
    for name in names.filter(|name| name.starts_with(PACKAGE)) {
        let written = name.split_once('@').map(|(_, version)| version);
        let version = Version::ALL.into_iter().find(|version| written == Some(version.as_str()));
        let unsupported = || Problem::Version { found: format!("`{name}`"), supported: SUPPORTED };
        let version = version.ok_or_else(unsupported)?;
        if *found.get_or_insert(version) != version {
            return Err(unsupported());
        }
    }
    Ok(found.unwrap_or(newest))
}
