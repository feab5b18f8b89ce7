//! What a plugin gets by grant, and what it does not get without.

use std::path::Path;

use mlx_gate_lifecycle::{Config, Gate, PluginSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::guest::{Guest, ask, head, limits, load};

const KV: &str = r#"
    (import "mlx-gate:plugin/kv@0.1.0" "increment"
      (func $increment (param i32 i32 i64 i32 i64 i32 i64 i32)))
    (import "mlx-gate:plugin/kv@0.1.0" "take" (func $take (param i32 i32 i64 f64 i64 i32)))"#;

/// Lets two requests in, and denies all others.
const COUNTS: &str = "
    (call $increment (i32.const 1024) (i32.const 5) (i64.const 1) (i32.const 1) (i64.const 2)
      (i32.const 0) (i64.const 0) (i32.const 2048))
    (if (i32.eqz (i32.load8_u (i32.const 2064))) (then (return (i32.const 1536))))";

/// Writes the line `authorization`.
const WRITES: &str = "(call $write (i32.const 1104) (i32.const 1) (i32.const 2048))";

fn writing() -> Guest {
    let import = r#"(import "mlx-gate:plugin/output@0.1.0" "write" (func $write (param i32 i32 i32)))"#;
    Guest::with("import", import)
}

async fn load_flag(path: &Path, grants: &str) -> Result<Gate, String> {
    let spec: PluginSpec = format!("{}{grants}", path.display()).parse().expect("well formed");
    let config = Config { plugins: vec![spec], limits: limits(), ..Config::default() };
    Gate::load(&config, &[]).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_outlives_the_instance_and_is_the_plugins_own() {
    let counts = Guest::with("import", KV).and("check", COUNTS).component();
    let gate = load(counts.clone()).await.expect("a bundled plugin has `kv`");
    let answers =
        [ask(&gate, &head("/x")).await, ask(&gate, &head("/x")).await, ask(&gate, &head("/x")).await];
    assert_eq!(answers, ["guest by guest", "guest by guest", "denied by guest: 401 no"]);
    let other = load(counts).await.expect("it loads");
    assert_eq!(ask(&other, &head("/x")).await, "guest by guest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_what_is_granted_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let counts = folder.path().join("counts.wasm");
    std::fs::write(&counts, Guest::with("import", KV).and("check", COUNTS).component()).expect("written");
    let name = counts.display();
    assert_eq!(
        load_flag(&counts, "").await.err().expect("nothing is granted"),
        format!(
            "plugin `{name}`: it imports `kv`, which it is not granted. If it may have that, start with\n    \
             --plugin {name},grant.kv=true\n\
             or write under its [[plugin]] in the configuration file\n    \
             [plugin.grant]\n    \
             kv = true"
        )
    );
    assert_eq!(
        load_flag(&counts, ",grant.kv=true,grant.http=https://a.example")
            .await
            .err()
            .expect("too much is granted"),
        format!(
            "plugin `{name}`: it is granted `http`, which it does not import; of what can be granted it imports `kv`"
        )
    );
    let gate = load_flag(&counts, ",grant.kv=true").await.expect("it loads");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_to_the_granted_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plugin, log) = (folder.path().join("writes.wasm"), folder.path().join("log"));
    std::fs::write(&plugin, writing().and("check", WRITES).component()).expect("written");
    let gate = load_flag(&plugin, &format!(",grant.output={}", log.display())).await.expect("it loads");
    for _ in 0..2 {
        assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
    }
    assert_eq!(std::fs::read_to_string(&log).expect("it is there"), "authorization\nauthorization\n");

    let error = load_flag(&plugin, &format!(",grant.output={}", folder.path().display())).await.err();
    assert_eq!(
        error.expect("a folder is no file"),
        format!(
            "plugin `{}`: its output {} cannot be opened: it is not a regular file; `-` is standard output",
            plugin.display(),
            folder.path().display()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_is_a_failure() {
    let guest = Guest::with("import", KV).and(
        "check",
        "(call $take (i32.const 1024) (i32.const 5) (i64.const 0) (f64.const nan) (i64.const 1) (i32.const 2048))",
    );
    let gate = load(guest.component()).await.expect("it loads");
    assert_eq!(
        ask(&gate, &head("/x")).await,
        "guest trapped: `kv` with a bucket of capacity 0 and refill NaN; both have to be above 0"
    );
}

/// What it has counted cannot be counted again, so a call that counts and then has to wait must be able to wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_may_count_before_it_asks_for_keys() {
    const SET: &str = r#"{"keys":[{"kty":"EC","kid":"a"}]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{SET}", SET.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let jwks = r#"(import "mlx-gate:plugin/jwks@0.1.0" "keys" (func $keys (param i32 i32 i32 i32 i32 i32)))"#;
    let data = format!(r#"(data (i32.const 2200) "{origin}")"#);
    // The answer is a `result`: 0 is a set of keys.
    let asks = format!(
        "(call $keys (i32.const 2200) (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2048))
         (if (i32.load8_u (i32.const 2048)) (then (unreachable)))",
        origin.len()
    );
    let guest = Guest::with("import", format!("{KV}{jwks}")).and("export", data);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("guest.wasm");
    std::fs::write(&file, guest.and("check", format!("{COUNTS}{asks}")).component()).expect("written");
    let gate = load_flag(&file, &format!(",grant.kv=true,grant.http={origin}")).await.expect("it loads");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
    assert_eq!(ask(&gate, &head("/x")).await, "denied by guest: 401 no", "each was counted once");
}
