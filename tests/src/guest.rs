use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Builds an authenticator from `guests/frame.wat` with code put in the places named. It allows every request but those
/// whose path begins with `/x`, for which it runs what is in `check`.
pub fn guest(changes: &[(&str, &str)]) -> Vec<u8> {
    let mut text = include_str!("../guests/frame.wat").to_owned();
    for (place, code) in changes {
        text = text.replace(&format!(";;@{place}\n"), &format!("{code}\n"));
    }
    let mut module = wat::parse_str(text).expect("a test's guest is valid text");
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1.0");
    let (package, _) = resolve.push_path(wit).expect("the WIT package parses");
    let world = resolve.select_world(&[package], Some("authenticator")).expect("the world exists");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module of this world");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("a module of this world");
    encoder.encode().expect("a component")
}

/// A component from its text.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a test's component is valid text")
}

/// Path of a guest under `tests/guests` that `cargo xtask plugins` has built.
pub fn built_guest(name: &str) -> String {
    format!("{}/{name}.wasm", env!("MLX_GATE_GUESTS", "`cargo xtask setup` builds the guests"))
}
