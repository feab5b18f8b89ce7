//! Real clients, in the versions that `xtask/native/clients` names.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use mlx_gate_tests::{Folder, Server};

const KEY: &str = "demo-key-for-the-client";
const LIMITS: [&str; 2] = ["--plugin", "rate_limit,requests-per-minute=20,tokens-per-minute=900"];

/// A model with 16 dimensions, of texts of up to 64 tokens.
const EMBEDDING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../server/models/tests/encoders/fixtures/bert_mean");

#[test]
fn the_openai_client_works() {
    run("python", "openai_client.py", &[]);
}

#[test]
fn the_openai_client_heeds_rate_limits() {
    run("python", "openai_rate_limit.py", &LIMITS);
}

#[test]
fn the_openai_client_has_its_responses() {
    run("python", "openai_responses.py", &[]);
}

#[test]
fn the_openai_client_has_its_embeddings() {
    run("python", "openai_embeddings.py", &["--model", EMBEDDING]);
}

#[test]
fn langchain_has_its_embeddings() {
    run("python", "langchain_embeddings.py", &["--model", EMBEDDING]);
}

#[test]
fn litellm_has_its_embeddings() {
    run("apart", "litellm_embeddings.py", &["--model", EMBEDDING]);
}

#[test]
fn the_anthropic_client_works() {
    run("python", "anthropic_client.py", &[]);
}

#[test]
fn the_anthropic_client_heeds_rate_limits() {
    run("python", "anthropic_rate_limit.py", &LIMITS);
}

#[test]
fn langchain_works() {
    run("python", "langchain_client.py", &[]);
}

#[test]
fn pydantic_ai_works() {
    run("python", "pydantic_ai_client.py", &[]);
}

#[test]
fn litellm_works() {
    run("apart", "litellm_client.py", &[]);
}

/// Every field that a client can send is supported, refused with advice, or without effect by intention.
#[test]
fn every_field_of_the_clients_is_known() {
    run("python", "request_fields.py", &["--model", EMBEDDING, "--model", &demo("demo")]);
}

#[test]
fn refusals_are_the_clients_own_exceptions() {
    with_every_refusal("python", "error_classes.py");
}

#[test]
fn refusals_are_the_exceptions_of_the_clients_for_javascript() {
    with_every_refusal("js", "error_classes.mjs");
}

/// Runs a script against a server that soon refuses.
fn with_every_refusal(environment: &str, script: &str) {
    const POLICY: &str =
        "[[allow]]\ncallers = 'everyone'\n[[deny]]\nmodels = ['secret']\nreason = 'not released'\n";
    let folder = Folder::new();
    let policy = format!("authz_policy,file={}", folder.write("policy.toml", POLICY));
    let (open, secret) = (demo("demo"), demo("secret"));
    let models = ["--model", &open, "--model", &secret];
    let bounds = ["--max-rows", "1", "--max-waiting", "1", "--timeout", "1", "--max-body", "0.01"];
    run(environment, script, &[&models[..], &bounds[..], &["--plugin", &policy]].concat());
}

/// The demo model under this name.
fn demo(name: &str) -> String {
    format!("{name}={}/../server/models/demo/model", env!("CARGO_MANIFEST_DIR"))
}

/// Requests that the document of the API allows, and others that it does not: none of them fails the server, and every
/// answer is one that the document knows.
#[test]
fn every_answer_is_as_the_document_says() {
    // Answers are short, so that there can be many.
    run("apart", "schemathesis_run.py", &["--max-tokens", "2", "--timeout", "20"]);
}

#[test]
fn the_openai_client_for_javascript_works() {
    run("js", "openai_client.mjs", &[]);
}

#[test]
fn the_anthropic_client_for_javascript_works() {
    run("js", "anthropic_client.mjs", &[]);
}

#[test]
fn the_vercel_ai_sdk_works() {
    run("js", "vercel_ai.mjs", &[]);
}

/// Runs a script, which fails with the line that was not so, against a server with these flags.
fn run(environment: &str, script: &str, flags: &[&str]) {
    let Some(mut program) = interpreter(environment, script) else { return };
    let server = Server::start(&[&["--api-key", KEY], flags].concat());
    let base_url = format!("{}/v1", server.address());
    let output = program.args([&base_url, KEY]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", server.log());
}

/// What runs a script, if `cargo xtask` has made its environment. Without it the test is skipped, and says so: nothing is
/// fetched from the internet by a test.
fn interpreter(environment: &str, script: &str) -> Option<Command> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.native/clients");
    let place = env::var_os("MLX_GATE_CLIENTS").map_or(made, PathBuf::from).join(environment);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let (program, path) = if environment == "js" {
        // Node looks for modules beside the script, and upwards from there.
        let beside = place.join(script);
        if place.join("node_modules").exists() {
            fs::copy(&path, &beside).unwrap();
        }
        (PathBuf::from("node"), beside)
    } else {
        (place.join("bin/python"), path)
    };
    if Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success())
        && path.exists()
    {
        let mut command = Command::new(program);
        command.arg(path);
        return Some(command);
    }
    eprintln!("skipped: {script} (`cargo xtask setup --tests` makes {})", place.display());
    None
}
