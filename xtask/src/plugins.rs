//! `cargo xtask plugins`: every crate under `plugins/`, and every guest of the tests under `tests/guests/`, becomes a
//! component, `NAME.wasm` in a folder of the native folder.
//!
//! The component imports nothing but our own WIT: the target has no WASI, and the encoder refuses imports that the
//! crate's interface does not name.

mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

use crate::error::Error;
use crate::install::{self, Key};
use crate::native;
use crate::shell::cargo;

pub(crate) use toolchain::Choice;
use toolchain::Toolchain;

const TARGET: &str = "wasm32-unknown-unknown";
/// The profile in the workspace's Cargo.toml.
const PROFILE: &str = "plugin";
/// What rustc is told wherever a plugin is built.
const FLAGS: &str = include_str!("../../plugin-sdk/rustc-flags.txt");

/// Builds the plugins that changed; cargo knows which, and a component is encoded again only for another module.
pub(crate) fn build(root: &Path, choice: Choice) -> Result<(), Error> {
    let folder = native::folder(root);
    let _lock = install::lock(&folder)?;
    let target_dir = folder.join("plugin-target");
    let bundled = Set { names: names(&root.join("plugins"))?, components: native::plugins_folder(root) };
    let guests = Set { names: names(&root.join("tests/guests"))?, components: native::guests_folder(root) };
    let all: Vec<&str> = bundled.names.iter().chain(&guests.names).map(String::as_str).collect();
    compile(root, &Toolchain::find(&folder, choice)?, &target_dir, &all)?;
    let modules = target_dir.join(TARGET).join(PROFILE);
    bundled.encode(&modules)?;
    guests.encode(&modules)
}

/// Plugins whose components lie in one folder.
struct Set {
    names: Vec<String>,
    components: PathBuf,
}

impl Set {
    fn encode(&self, modules: &Path) -> Result<(), Error> {
        for name in &self.names {
            encode(&modules.join(format!("{name}.wasm")), &self.components.join(format!("{name}.wasm")))?;
        }
        remove_others(&self.components, &self.names)
    }
}

/// The crates in a folder, by the names of their own folders, which are those of the plugins.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("listing", folder))?;
    let crates = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<String> = crates.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn compile(root: &Path, toolchain: &Toolchain, target_dir: &Path, names: &[&str]) -> Result<(), Error> {
    let build = cargo(root).args(["build", "--profile", PROFILE, "--target", TARGET]);
    let build = names.iter().fold(build, |build, name| build.args(["--package", name]));
    let build = build
        .env("CARGO_TARGET_DIR", target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustc_flags(root).join("\u{1f}"));
    toolchain.apply(build).run()
}

/// Panic messages hold paths: those of this machine have no business in a plugin.
fn rustc_flags(root: &Path) -> Vec<String> {
    let mut flags: Vec<String> =
        FLAGS.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    flags.push(format!("--remap-path-prefix={}=mlx-gate", root.display()));
    // Debian's standard library lies here.
    flags.push(format!("--remap-path-prefix={}=native", native::folder(root).display()));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))) {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

/// Makes the core `module` a component, unless this very component was made of this very module.
fn encode(module: &Path, component: &Path) -> Result<(), Error> {
    let core = fs::read(module).map_err(Error::file("reading", module))?;
    let key = |component: &[u8]| {
        let mut key = Key::new();
        key.add(&core);
        key.add(component);
        key.hex()
    };
    let stamp = module.with_extension("encoded");
    let made = fs::read(component).map(|component| key(&component));
    if made.is_ok_and(|key| fs::read_to_string(&stamp).is_ok_and(|found| found == key)) {
        return Ok(());
    }
    let encoded =
        ComponentEncoder::default().validate(true).module(&core).and_then(ComponentEncoder::encode).map_err(
            |error| Error::Unexpected {
                from: format!("encoding {} as a component", module.display()),
                detail: format!("{error:#}"),
            },
        )?;
    install::file(component, &encoded)?;
    install::file(&stamp, key(&encoded))?;
    let name = component.file_stem().unwrap_or_default().display();
    eprintln!("plugins: built {name} ({} KiB)", encoded.len() / 1024);
    Ok(())
}

/// A plugin that is gone from the sources must not stay in the server.
fn remove_others(components: &Path, names: &[String]) -> Result<(), Error> {
    let entries = fs::read_dir(components).map_err(Error::file("listing", components))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = names.iter().any(|name| path.file_stem().is_some_and(|stem| stem == name.as_str()));
        if !ours {
            fs::remove_file(&path).map_err(Error::file("removing", &path))?;
        }
    }
    Ok(())
}
