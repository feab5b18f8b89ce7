//! Real clients.

use std::process::Command;
use std::{env, path::Path};

use mlx_gate_tests::Server;

#[test]
fn the_openai_client_works() {
    let Some(python) = python_with("openai") else { return };
    let server = Server::start(&["--api-key", "demo-key-for-the-client"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/openai_client.py");
    let base_url = format!("{}/v1", server.address());
    let output =
        Command::new(python).arg(script).args([&base_url, "demo-key-for-the-client"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", server.log());
}

/// The Python of `MLX_GATE_PYTHON`, or the one `cargo xtask` made, if it has the package. Without it the test is
/// skipped, and says so: nothing is fetched from the internet by a test.
fn python_with(package: &str) -> Option<String> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.native/python/bin/python");
    let python = env::var("MLX_GATE_PYTHON").unwrap_or_else(|_| made.display().to_string());
    let has_it = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if has_it.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: the_{package}_client_works ({python} has no `{package}`; set MLX_GATE_PYTHON)");
    None
}
