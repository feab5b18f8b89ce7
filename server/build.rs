//! Embeds the bundled plugins, and passes on how this machine links MLX. `cargo xtask setup` prepares both.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folder with the bundled plugins, one `NAME.wasm` each.
const PLUGINS: &str = "MLX_GATE_PLUGINS";
/// Linker arguments, separated by `|`. Not set where the system linker finds everything.
const LINK_ARGS: &str = "MLX_GATE_LINK_ARGS";

fn main() {
    println!("cargo::rerun-if-env-changed={PLUGINS}");
    println!("cargo::rerun-if-env-changed={LINK_ARGS}");
    for argument in env::var(LINK_ARGS).unwrap_or_default().split('|').filter(|argument| !argument.is_empty())
    {
        println!("cargo::rustc-link-arg={argument}");
    }
    match plugins() {
        Ok(plugins) => write_table(&plugins),
        Err(problem) => {
            println!("cargo::error={problem}: run `cargo xtask setup`, which builds the bundled plugins");
        }
    }
}

/// Names and paths of the bundled plugins, sorted by name.
fn plugins() -> Result<Vec<(String, PathBuf)>, String> {
    let folder = env::var_os(PLUGINS).map(PathBuf::from).ok_or_else(|| format!("{PLUGINS} is not set"))?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut plugins: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    plugins.sort();
    if plugins.is_empty() {
        return Err(format!("{} holds no NAME.wasm", folder.display()));
    }
    Ok(plugins)
}

fn write_table(plugins: &[(String, PathBuf)]) {
    let rows = plugins.iter().map(|(name, path)| {
        println!("cargo::rerun-if-changed={}", path.display());
        format!("    ({name:?}, include_bytes!({:?})),\n", path.display().to_string())
    });
    let table = format!("[\n{}]\n", rows.collect::<String>());
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    fs::write(Path::new(&out).join("bundled.rs"), table).expect("cargo's OUT_DIR can be written");
}
