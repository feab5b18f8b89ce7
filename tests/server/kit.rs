//! The author's kit, from nothing to a running authenticator in each language it has a template for.
//!
//! The languages' tools are in the folder that `cargo xtask setup --tests` makes. Where one could not be had, its test is
//! skipped and says so; no component that was built elsewhere takes its place.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mlx_gate_tests::{Ended, Folder, Server, built_guest, run, run_within};
use serde_json::{Value, json};

/// Tools for a language, as its template looks for them: what to link into the project, and from where.
struct Tools {
    link: &'static str,
    from: PathBuf,
}

/// The folder with the tools of a language, if it is there.
fn tools(test: &str, name: &str, link: &'static str, inside: &str) -> Option<Tools> {
    let Some(folder) = std::env::var_os("MLX_GATE_AUTHORING") else {
        eprintln!("skipped: {test} (cargo xtask test says where the tools are, and it did not run this)");
        return None;
    };
    let from = Path::new(&folder).join(name);
    if !from.join(".stamp").is_file() {
        eprintln!("skipped: {test} (`cargo xtask setup --tests` could not install {name})");
        return None;
    }
    Some(Tools { link, from: from.join(inside) })
}

fn mlx_gate(arguments: &[&str]) -> Ended {
    // Whatever a test builds, it builds from what is on this machine; what cargo compiled before is kept.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("authoring");
    let variables = [("CARGO_NET_OFFLINE", "true"), ("CARGO_TARGET_DIR", target.to_str().unwrap())];
    run_within(Duration::from_mins(10), &[&["plugin"], arguments].concat(), &variables)
}

/// Runs it, and fails the test if it fails.
fn succeed(arguments: &[&str]) -> String {
    let ended = mlx_gate(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}:\n{}\n{}", ended.stdout, ended.stderr);
    ended.stdout
}

fn read_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Writes a plugin from its template, builds it, and gives the component's path.
fn write_and_build(folder: &Folder, language: &str, tools: Option<Tools>) -> String {
    let project = folder.at("night_shift");
    let said = succeed(&["new", "--lang", language, "night_shift", "--path", &project]);
    assert!(said.contains("plugin build"), "{said}");
    if let Some(tools) = tools {
        symlink(tools.from, folder.path().join("night_shift").join(tools.link)).unwrap();
    }
    succeed(&["build", &project]);
    folder.at("night_shift/night_shift.wasm")
}

/// All that an author does with a component, and then what callers see of it.
fn inspect_test_and_serve(component: &str) {
    let facts = read_json(&succeed(&["inspect", component, "--json"]));
    assert_eq!(facts["phases"], json!(["authenticate"]), "{facts}");
    assert_eq!(
        (facts["name"].as_str(), facts["grants"].clone()),
        (Some("night_shift"), json!([])),
        "{facts}"
    );
    assert_eq!(facts["credential_headers"], json!(["x-password"]), "{facts}");
    assert_eq!(facts["schema"]["required"], json!(["password"]), "{facts}");
    assert_eq!(facts["sha256"].as_str().map(str::len), Some(64), "{facts}");

    let report = read_json(&succeed(&["test", component, "--json"]));
    assert_eq!(report["passed"], true, "{report:#}");
    assert_eq!(report["cases"].as_array().map(Vec::len), Some(4), "{report:#}");

    let password = "opén sesame";
    let server = Server::start(&["--plugin", &format!("{component},password={password}")]);
    let client = server.client();
    let allowed = client.clone().with("x-password", password);
    assert_eq!(allowed.ask("What is 2 + 3?"), "2 + 3 = 5");
    for _ in 0..3 {
        assert_eq!(allowed.get("/v1/models").status, 200);
        let denied = client.clone().with("x-password", "open").get("/v1/models");
        assert_eq!((denied.status, denied.json()["error"]["code"].as_str()), (401, Some("wrong_password")));
        assert_eq!(client.get("/v1/models").status, 401);
    }
}

#[test]
fn a_rust_plugin_from_nothing_to_a_running_authenticator() {
    let folder = Folder::new();
    let component = write_and_build(&folder, "rust", None);
    inspect_test_and_serve(&component);
    let Err(ended) = Server::try_start(&["--plugin", &format!("{component},password=abc")], &[]) else {
        panic!("the server started with a password that is too short");
    };
    assert!(ended.stderr.contains("`password` has to be at least 4 bytes long"), "{}", ended.stderr);
}

#[test]
fn a_c_plugin_from_nothing_to_a_running_authenticator() {
    let folder = Folder::new();
    // Zig's clang, which is only looked for where there is no other.
    let Some(tools) = tools("plugins in C", "python", ".venv", "") else { return };
    inspect_test_and_serve(&write_and_build(&folder, "c", Some(tools)));
}

#[test]
fn a_javascript_plugin_from_nothing_to_a_running_authenticator() {
    let folder = Folder::new();
    let Some(tools) = tools("plugins in JavaScript", "js", "node_modules", "node_modules") else { return };
    inspect_test_and_serve(&write_and_build(&folder, "js", Some(tools)));
}

#[test]
fn a_javascript_plugin_on_spidermonkey_from_nothing_to_a_running_authenticator() {
    let folder = Folder::new();
    let tools = tools("plugins on SpiderMonkey", "js-spidermonkey", "node_modules", "node_modules");
    let Some(tools) = tools else { return };
    let project = folder.at("night_shift");
    succeed(&["new", "--lang", "js", "night_shift", "--path", &project]);
    symlink(tools.from, folder.path().join("night_shift").join(tools.link)).unwrap();
    let package = json!({"type": "module", "devDependencies": {"@bytecodealliance/componentize-js": "*"}});
    folder.write("night_shift/package.json", package.to_string());
    succeed(&["build", &project]);
    let component = folder.at("night_shift/night_shift.wasm");
    assert!(std::fs::metadata(&component).unwrap().len() > 5_000_000, "that is not SpiderMonkey");
    inspect_test_and_serve(&component);
}

#[test]
fn a_python_plugin_from_nothing_to_a_running_authenticator() {
    let folder = Folder::new();
    let Some(tools) = tools("plugins in Python", "python", ".venv", "") else { return };
    inspect_test_and_serve(&write_and_build(&folder, "python", Some(tools)));
}

#[test]
fn what_cannot_be_started_or_built_says_what_to_do() {
    let folder = Folder::new();
    folder.write("taken/file", "");
    folder.write("c/plugin.toml", "name = \"c\"\nlanguage = \"c\"\n");
    folder.write("odd/plugin.toml", "name = \"odd\"\nlanguage = \"cobol\"\n");
    folder.write("python/plugin.toml", "name = \"python\"\nlanguage = \"python\"\n");
    folder.write("js/plugin.toml", "name = \"js\"\nlanguage = \"js\"\n");
    let (taken, empty) = (folder.at("taken"), folder.at("taken/.."));
    let (odd, python, js, c) = (folder.at("odd"), folder.at("python"), folder.at("js"), folder.at("c"));
    for (arguments, expected) in [
        (&["new", "--lang", "c", "Night", "--path", "x"][..], &["`Night`", "lower case"][..]),
        (&["new", "--lang", "c", "night", "--path", &taken], &["taken is there already"]),
        (&["build", &empty], &["no plugin.toml", "mlx-gate plugin new"]),
        (&["build", &odd], &["odd/plugin.toml", "cobol"]),
        (&["build", &python], &["componentize-py is missing", "pip install -r requirements.txt"]),
        (&["build", &js], &["Node.js is missing", "version 20"]),
        (&["build", &c], &["a C compiler for WebAssembly is missing", "ziglang"]),
    ] {
        // A machine may well have these tools; the test does not want them.
        let ended = run(&[&["plugin"], arguments].concat(), &[("PATH", "/nowhere")]);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        for text in expected {
            assert!(ended.stderr.contains(text), "{arguments:?}: `{text}` is not in\n{}", ended.stderr);
        }
    }
}

#[test]
fn a_verdict_other_than_expected_fails_the_test_and_is_shown() {
    let folder = Folder::new();
    let keys = folder.at("cases/keys.toml");
    std::fs::create_dir(folder.path().join("cases")).unwrap();
    let made = run(&["key", "new", "--file", &keys, "--name", "bob"], &[]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = format!("Bearer {}", made.stdout.trim());
    let cases = json!({
        "options": {"file": "keys.toml"},
        "cases": [
            {"name": "good", "request": {"headers": {"authorization": key}},
             "expect": {"authenticate": {"allow": {"principal": {"subject": "bob"}}}}},
            {"name": "other", "request": {"headers": {"authorization": key}},
             "expect": {"authenticate": {"allow": {"principal": {"subject": "eve"}}}}},
            {"name": "phase", "operation": {}, "expect": {"authorize": "no-opinion"}}
        ]
    });
    let cases = folder.write("cases/keys.json", cases.to_string());
    let ended = mlx_gate(&["test", "auth_static_keys", "--cases", &cases]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for text in [
        "ok     keys.json: good",
        "FAILED keys.json: other",
        r#"authenticate.allow.principal.subject: expected "eve", found "bob""#,
        r#"authorize: expected "no-opinion", was not asked"#,
        "auth_static_keys: 1 cases passed, 2 failed",
    ] {
        assert!(ended.stdout.contains(text), "`{text}` is not in\n{}", ended.stdout);
    }
    let wrong = folder.write("wrong.json", r#"{"cases": [{"name": "x", "expect": {}, "requests": {}}]}"#);
    let ended = mlx_gate(&["test", "auth_static_keys", "--cases", &wrong]);
    assert!(ended.stderr.contains("wrong.json: `cases[0].requests`"), "{}", ended.stderr);
}

/// Why a call failed is what an author wants to know first.
#[test]
fn what_a_plugin_says_is_shown_to_its_author() {
    let folder = Folder::new();
    let cases = json!({ "cases": [{
        "name": "panics",
        "request": { "headers": { "x-evil": "authenticate.panic" } },
        "expect": { "authenticate": "abstain" }
    }] });
    let cases = folder.write("panics.json", cases.to_string());
    let plugin = format!("{},grant.kv=true,grant.http=http://127.0.0.1:9", built_guest("hostile"));
    let ended = mlx_gate(&["test", &plugin, "--cases", &cases]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("a panic of the plugin's own"), "{}\n{}", ended.stdout, ended.stderr);
}

#[test]
fn bundled_plugins_pass_their_cases() {
    let plugins = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins"));
    let mut tested = 0;
    for folder in std::fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().path()) {
        let cases = folder.join("cases");
        if !cases.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap();
        let ended = mlx_gate(&["test", name, "--cases", cases.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{name}:\n{}\n{}", ended.stdout, ended.stderr);
        tested += 1;
    }
    assert_eq!(tested, 8, "every bundled plugin has cases");
}

#[test]
fn bundled_plugins_can_be_inspected_and_measured() {
    let text = succeed(&["inspect", "auth_htpasswd"]);
    for part in ["phases", "authenticate", "credentials", "authorization", "path of a file", "required"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let folder = Folder::new();
    let users = folder.write("users", "ana:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
    let bench = succeed(&["bench", &format!("auth_htpasswd,file={users}"), "--seconds", "0.05", "--json"]);
    let report = read_json(&bench);
    let phase = &report["phases"]["authenticate"];
    assert_eq!(phase["verdict"], "abstain", "{report:#}");
    for isolation in ["fresh", "warm"] {
        let times = &phase[isolation];
        assert!(times["calls"].as_u64() > Some(10), "{report:#}");
        assert!(times["p50_us"].as_f64() > Some(0.0), "{report:#}");
        assert!(times["p50_us"].as_f64() <= times["p99_us"].as_f64(), "{report:#}");
    }
}
