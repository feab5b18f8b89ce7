//! Links binaries with what `cargo xtask native` found: the folders of MLX and, in front of it, a fast BLAS.
//!
//! Arguments for the linker reach only the tests, examples and programs of the package whose build script gives
//! them, so the server does the same. On macOS there is nothing to add.

fn main() {
    const LINK_ARGS: &str = "MLX_GATE_LINK_ARGS";
    println!("cargo:rerun-if-env-changed={LINK_ARGS}");
    match std::env::var(LINK_ARGS) {
        Ok(args) => args.split('|').for_each(|arg| println!("cargo:rustc-link-arg={arg}")),
        Err(_) if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") => {
            println!("cargo:warning=run `cargo xtask native` first: without it binaries cannot find MLX");
        }
        Err(_) => {}
    }
}
