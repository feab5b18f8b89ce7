//! The generated part of cargo's configuration, `.cargo/native.toml`: every path of this machine, and only there.

use std::path::Path;

use crate::error::Error;
use crate::install;
use crate::native::{Linked, blas, guests_folder, mlx_c, plugins_folder};

/// Link arguments for every binary that uses MLX, separated by `|`: `build.rs` of those crates hands them on.
const LINK_ARGS: &str = "MLX_GATE_LINK_ARGS";
/// The folder with the bundled plugins, one `NAME.wasm` each.
const PLUGINS: &str = "MLX_GATE_PLUGINS";
/// The folder with the guests of the tests, one `NAME.wasm` each.
const GUESTS: &str = "MLX_GATE_GUESTS";

/// The environment that the generated file sets for every cargo command.
pub(crate) const CONFIGURED_ENV: [&str; 3] = [LINK_ARGS, PLUGINS, GUESTS];

/// Writes the file if it would change; what cargo has built stays good as long as the parts stay where they are.
pub(super) fn write(root: &Path, linked: Option<&Linked>) -> Result<(), Error> {
    let env = |name: &str, value: &str| format!("{name} = {}\n", quoted(value));
    let text = [
        "# Written by `cargo xtask native`: where this machine keeps the native parts.\n".to_owned(),
        linked.map_or_else(String::new, |linked| mlx_override(root, linked)),
        "\n[env]\n".to_owned(),
        env(PLUGINS, &plugins_folder(root).display().to_string()),
        env(GUESTS, &guests_folder(root).display().to_string()),
        linked.map_or_else(String::new, |linked| env(LINK_ARGS, &link_args(linked).join("|"))),
    ];
    install::file(&root.join(".cargo/native.toml"), text.concat())
}

/// Stands in for the build script of mlx-sys.
fn mlx_override(root: &Path, linked: &Linked) -> String {
    format!(
        "\n[target.{}-unknown-linux-gnu.mlx]\n\
         rustc-link-search = [{}, {}]\n\
         rustc-link-lib = [\"static=mlxc\", \"dylib=mlx\", \"dylib=stdc++\"]\n\
         rustc-env = {{ OUT_DIR = {} }}\n",
        std::env::consts::ARCH,
        quoted(format_args!("native={}", linked.mlx_c.display())),
        quoted(format_args!("native={}", linked.mlx.display())),
        quoted(mlx_c::sources(root).display()),
    )
}

fn link_args(linked: &Linked) -> Vec<String> {
    let mut args = vec![
        // The old kind of rpath also holds for what the libraries need themselves (OpenBLAS: the Fortran runtime).
        "-Wl,--disable-new-dtags".to_owned(),
        // What MLX's library needs is found when the program starts, and a machine that only builds may lack it
        // (NVIDIA's driver).
        "-Wl,--allow-shlib-undefined".to_owned(),
        format!("-Wl,-rpath,{}", linked.mlx.display()),
    ];
    let Some(folders) = &linked.blas else { return args };
    for folder in folders {
        args.push(format!("-L{}", folder.display()));
        args.push(format!("-Wl,-rpath,{}", folder.display()));
    }
    // No Rust code calls BLAS, so the linker would drop the library again.
    let blas = format!("-l:{}", blas::LIBRARY);
    args.extend(["-Wl,--push-state,--no-as-needed".to_owned(), blas, "-Wl,--pop-state".to_owned()]);
    args
}

/// A TOML string. Paths with quotes, backslashes or control characters are escaped as JSON does, which TOML shares.
fn quoted(text: impl std::fmt::Display) -> String {
    serde_json::Value::String(text.to_string()).to_string()
}
