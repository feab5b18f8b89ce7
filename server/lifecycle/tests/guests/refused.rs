//! What is not loaded at all, each with the message the person at the keyboard gets.

use std::fs;

use crate::guest::{Guest, load, load_file};

/// The message without the plugin's name.
async fn refusal(bytes: Vec<u8>) -> String {
    let error = load(bytes).await.err().expect("this must not load").to_string();
    error.strip_prefix("plugin `guest`: ").expect("the message names the plugin").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn things_that_are_no_plugins() {
    let component = |text: &str| wat::parse_str(text).expect("valid text");
    let cut = Guest::default().component();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "this is not WebAssembly: it begins with nothing, the file is empty"),
        (b"#!/bin/sh\n".to_vec(), "this is not WebAssembly: it begins with `#!/bin/s`"),
        (
            b"\n (component)".to_vec(),
            "this is WebAssembly text; turn it into a binary with `wasm-tools parse`",
        ),
        (Guest::default().module(), "this is a core WebAssembly module, and a plugin is a component;"),
        (
            wasmtime::Engine::default().precompile_component(&cut).expect("it compiles"),
            "this is compiled code (`.cwasm`), which cannot be checked and is never loaded;",
        ),
        (cut[..cut.len() / 2].to_vec(), "this is not a valid component:"),
        (
            component("(component)"),
            "it does not export `mlx-gate:plugin/lifecycle@0.1.0`, which every plugin has to;",
        ),
        (
            component(r#"(component (import "mlx-gate:plugin/host@0.9.0" (instance)))"#),
            "it was built for `mlx-gate:plugin/host@0.9.0`; this server runs mlx-gate:plugin@0.1.0",
        ),
        (
            component(
                r#"(component (import "wasi:http/types@0.2.0" (instance)) (import "wasi:cli/stdout@0.2.0" (instance)))"#,
            ),
            "it imports `wasi:http/types@0.2.0`; a plugin gets the host's own interfaces and no others: of WASI there is the \
             part that languages need to start, and none of its HTTP; what the host offers is `http`",
        ),
        (
            component(r#"(component (import "acme:db/sql" (instance)))"#),
            "it imports `acme:db/sql`; a plugin gets the host's own interfaces and no others: they are `host`, `crypto`, \
             `kv`, `http`, `jwks` and `output`",
        ),
        (
            Guest::with(
                "import",
                r#"(import "mlx-gate:plugin/output@0.1.0" "write" (func (param i32 i32 i32)))"#,
            )
            .component(),
            "it imports `output`, which it is not granted. If it may have that, start with\n    \
             --plugin guest,grant.output=PATH\n",
        ),
        (
            Guest::default().world("plugin").component(),
            "it exports no phase; a plugin has at least one of: authenticate, authorize, rate-limit, tagging, logging",
        ),
    ];
    for (bytes, expected) in cases {
        let found = refusal(bytes).await;
        assert!(found.starts_with(expected), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_do_not_get_through_loading() {
    let random = r#"(import "mlx-gate:plugin/host@0.1.0" "random" (func $random (param i32 i32)))"#;
    let cases: Vec<(Guest, &str)> = vec![
        (Guest::with("configure", "(return (i32.const 1200))"), "it refuses its configuration: bad day"),
        (Guest::with("self-test", "(return (i32.const 1200))"), "its self-test fails: bad day"),
        (Guest::with("configure", "(loop (br 0))"), "`configure` did not return within 2000 ms"),
        (Guest::with("describe", "(loop (br 0))"), "`describe` did not return within 2000 ms"),
        (
            Guest::with("self-test", "(unreachable)"),
            "`self-test` trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            Guest::with("configure", "(drop (memory.grow (i32.const 300))) (unreachable)"),
            "`configure` wanted 19922944 bytes of memory; the limit is 16777216",
        ),
        (
            Guest::with("import", random).and("configure", "(call $random (i32.const 8) (i32.const 4096))"),
            "`configure` trapped: `random` during `configure`: every request would start with the same bytes",
        ),
        (
            Guest::with(
                "import",
                r#"(import "mlx-gate:plugin/kv@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#,
            )
            .and("configure", "(call $delete (i32.const 1024) (i32.const 5) (i32.const 2048))"),
            "`configure` trapped: `kv.delete` before the plugin is in force; use it when a request is asked about",
        ),
        (
            Guest::with("describe", "(i32.store8 (i32.const 1024) (i32.const 0x41))"),
            "its description is unusable: the name `Auest` is not 1 to 64 lower case letters, digits, `_` and `-`",
        ),
        (
            Guest::with("describe", "(i32.store8 (i32.const 1056) (i32.const 0x5b))"),
            "its description is unusable: `config-schema` is not JSON: expected value at line 1 column 2",
        ),
        (
            Guest::with("describe", "(i32.store8 (i32.const 1072) (i32.const 0x41))"),
            "its description is unusable: `Authorization` is not the lower case name of a header",
        ),
        (
            Guest::with("import", r#"(memory (export "more") 300) (func (export "none"))"#),
            "this is not a valid component:",
        ),
    ];
    for (guest, expected) in cases {
        let found = refusal(guest.component()).await;
        assert!(found.starts_with(expected), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder.wasm")).expect("made");
    let large = fs::File::create(path("large.wasm")).expect("made");
    large.set_len(200 << 20).expect("sparse files");
    fs::write(path("good.wasm"), Guest::default().component()).expect("written");

    for (name, options, expected) in [
        ("missing.wasm", &[][..], "the file cannot be read: No such file or directory (os error 2)"),
        ("folder.wasm", &[], "the file cannot be read: it is a directory, and has to be a regular file"),
        ("large.wasm", &[], "the file has 209715200 bytes; a plugin has at most 134217728"),
        ("good.wasm", &[("colour", "red")], "there is no option `colour`; there are: none"),
    ] {
        let error = load_file(path(name), options).await.err().expect("this must not load").to_string();
        assert_eq!(error, format!("plugin `{}`: {expected}", path(name).display()));
    }
    load_file(path("good.wasm"), &[]).await.expect("a good file");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_not_the_one_pinned() {
    use mlx_gate_lifecycle::{Config, Gate};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("good.wasm");
    fs::write(&path, Guest::default().component()).expect("written");
    let (path, other) = (path.display(), "00".repeat(32));
    let load = async |digest: &str| {
        let plugins = vec![format!("{path},host.sha256={digest}").parse().expect("well formed")];
        Gate::load(&Config { plugins, ..Config::default() }, &[]).await
    };
    let error = load(&other).await.err().expect("this must not load").to_string();
    let (before, after) =
        (format!("plugin `{path}`: its SHA-256 is "), format!(", and `host.sha256` allows {other} alone"));
    let found = error.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after)).expect(&error);
    load(found).await.expect("the code that was pinned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_bundled() {
    use mlx_gate_lifecycle::{Config, Gate};

    let plugins = vec!["auth_ldap".parse().expect("well formed")];
    let error = Gate::load(&Config { plugins, ..Config::default() }, &[])
        .await
        .err()
        .expect("there is none")
        .to_string();
    assert_eq!(
        error,
        "plugin `auth_ldap`: there is no bundled plugin of this name; there are: none. The path of a file contains a `/` or \
         ends in `.wasm`"
    );
}
