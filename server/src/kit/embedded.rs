//! What the binary takes with it: the Rust SDK, the WIT packages and the templates, as they stand in the repository.

include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// The repository's own manifest, which says the versions that the SDK's manifest refers to.
pub(super) static WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// The versions this binary was made and tested with. What a project does not use, cargo takes out of its copy.
pub(super) static LOCK: &str = include_str!("../../../Cargo.lock");

/// What rustc is told wherever a plugin is built.
pub(super) static RUSTC_FLAGS: &str = include_str!("../../../plugin-sdk/rustc-flags.txt");

/// The newest version of the interface, as its folder is named.
pub(super) const INTERFACE: &str = "0.1.0";

/// Paths and contents of the files in a folder of a table, the paths without the folder.
pub(super) fn files<'a>(
    table: &'static [(&'static str, &'static str)],
    folder: &'a str,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<'a> {
    table.iter().filter_map(move |(path, content)| {
        let path = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some((path, *content))
    })
}
