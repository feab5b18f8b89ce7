//! Embeds the bundled plugins and what `mlx-gate plugin new` writes, and passes on how this machine links MLX.
//! `cargo xtask setup` prepares plugins and MLX.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folder with the bundled plugins, one `NAME.wasm` each.
const PLUGINS: &str = "MLX_GATE_PLUGINS";
/// Linker arguments, separated by `|`. Not set where the system linker finds everything.
const LINK_ARGS: &str = "MLX_GATE_LINK_ARGS";
/// What the author's kit takes with it: a table's name and the folder, from the repository's root, that it holds.
const KIT: [(&str, &str); 3] = [("SDK", "plugin-sdk"), ("WIT", "wit"), ("TEMPLATES", "plugins/templates")];

fn main() {
    println!("cargo::rerun-if-env-changed={PLUGINS}");
    println!("cargo::rerun-if-env-changed={LINK_ARGS}");
    for argument in env::var(LINK_ARGS).unwrap_or_default().split('|').filter(|argument| !argument.is_empty())
    {
        println!("cargo::rustc-link-arg={argument}");
    }
    write_kit();
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
    write("bundled.rs", &format!("[\n{}]\n", rows.collect::<String>()));
}

fn write_kit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tables = String::new();
    for (table, folder) in KIT {
        let folder = root.join(folder);
        let mut files = Vec::new();
        list(&folder, &mut files);
        files.sort();
        let rows = files.iter().map(|path| {
            let name = path
                .strip_prefix(&folder)
                .expect("it was found there")
                .to_str()
                .expect("our names are ASCII");
            format!("    ({name:?}, include_str!({:?})),\n", path.display().to_string())
        });
        let rows: String = rows.collect();
        write!(tables, "pub(super) static {table}: &[(&str, &str)] = &[\n{rows}];\n")
            .expect("a string takes it");
    }
    write("kit.rs", &tables);
}

/// All files below a folder, but those of editors and interpreters.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

fn write(name: &str, content: &str) {
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    fs::write(Path::new(&out).join(name), content).expect("cargo's OUT_DIR can be written");
}
