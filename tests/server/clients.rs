//! Real clients.

use std::process::Command;
use std::{env, path::Path};

use mlx_gate_tests::Server;

const KEY: &str = "demo-key-for-the-client";

#[test]
fn the_openai_client_works() {
    let Some(python) = python_with("openai") else { return };
    run(&python, "openai_client.py", &Server::start(&["--api-key", KEY]));
}

#[test]
fn the_openai_client_heeds_rate_limits() {
    let Some(python) = python_with("openai") else { return };
    let limits = "rate_limit,requests-per-minute=20,tokens-per-minute=900";
    run(&python, "openai_rate_limit.py", &Server::start(&["--api-key", KEY, "--plugin", limits]));
}

fn run(python: &str, script: &str, server: &Server) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let base_url = format!("{}/v1", server.address());
    let output = Command::new(python).arg(script).args([&base_url, KEY]).output().unwrap();
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
