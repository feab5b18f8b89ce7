//! A guest with WASI finds a world with clocks and random bytes in it, and nothing else.

use crate::guest::{Guest, ask, head, load};

/// A guest that imports a function and, when a request comes, traps unless it sees what it is to see. Results lie at 2048.
fn curious(imports: &[(&str, &str, &str)], check: &str) -> Guest {
    let import = |(number, (interface, function, ty)): (usize, &(&str, &str, &str))| {
        format!(r#"(import "wasi:{interface}@0.2.0" "{function}" (func $f{number} {ty}))"#)
    };
    let imports: Vec<_> = imports.iter().enumerate().map(import).collect();
    Guest::with("import", imports.join("\n")).and("check", check).with_wasi()
}

/// Traps unless this holds.
fn expect(condition: &str) -> String {
    format!("(if (i32.eqz {condition}) (then (unreachable)))")
}

/// Code that is run first, and then code that is run so often.
fn times(count: u32, first: &str, each: &str) -> String {
    format!(
        "{first} (local.set $i (i32.const {count}))
         (loop {each} (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    )
}

/// Whether the list at 2048 is empty.
const NO_ENTRY: &str = "(i32.eqz (i32.load (i32.const 2052)))";
/// Whether the result at 2048 is this error of `wasi:sockets`: `access-denied`.
const DENIED: &str = "(i32.and (i32.eq (i32.load8_u (i32.const 2048)) (i32.const 1))
    (i32.eq (i32.load8_u (i32.const 2052)) (i32.const 1)))";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_wasi_finds_nothing_of_this_machine() {
    assert!(std::env::vars().count() > 0 && std::env::args().count() > 0, "there is something to be found");
    let environment = "cli/environment";
    let cases = [
        (
            "variables",
            curious(
                &[(environment, "get-environment", "(param i32)")],
                &format!("(call $f0 (i32.const 2048)) {}", expect(NO_ENTRY)),
            ),
        ),
        (
            "arguments",
            curious(
                &[(environment, "get-arguments", "(param i32)")],
                &format!("(call $f0 (i32.const 2048)) {}", expect(NO_ENTRY)),
            ),
        ),
        (
            "a working directory",
            curious(
                &[(environment, "initial-cwd", "(param i32)")],
                &format!(
                    "(call $f0 (i32.const 2048)) {}",
                    expect("(i32.eqz (i32.load8_u (i32.const 2048)))")
                ),
            ),
        ),
        (
            "folders",
            curious(
                &[("filesystem/preopens", "get-directories", "(param i32)")],
                &format!("(call $f0 (i32.const 2048)) {}", expect(NO_ENTRY)),
            ),
        ),
        (
            "an input",
            curious(
                &[
                    ("cli/stdin", "get-stdin", "(result i32)"),
                    ("io/streams", "[method]input-stream.blocking-read", "(param i32 i64 i32)"),
                ],
                &format!(
                    "(call $f1 (call $f0) (i64.const 1) (i32.const 2048)) {}",
                    expect("(i32.eq (i32.load8_u (i32.const 2048)) (i32.const 1))")
                ),
            ),
        ),
        (
            "TCP",
            curious(
                &[("sockets/tcp-create-socket", "create-tcp-socket", "(param i32 i32)")],
                &format!("(call $f0 (i32.const 0) (i32.const 2048)) {}", expect(DENIED)),
            ),
        ),
        (
            "UDP",
            curious(
                &[("sockets/udp-create-socket", "create-udp-socket", "(param i32 i32)")],
                &format!("(call $f0 (i32.const 1) (i32.const 2048)) {}", expect(DENIED)),
            ),
        ),
    ];
    for (what, guest) in cases {
        let gate = load(guest.component()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(ask(&gate, &head("/x")).await, "guest by guest", "it finds {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_wasi_has_clocks_random_bytes_and_an_output_within_bounds() {
    let random = |length: u32| {
        let call = format!("(call $f0 (i64.const {length}) (i32.const 2048))");
        curious(&[("random/random", "get-random-bytes", "(param i64 i32)")], &call)
    };
    let cases = [
        ("the time", curious(&[("clocks/wall-clock", "now", "(param i32)")], &format!(
            "(call $f0 (i32.const 2048)) {}",
            expect("(i64.gt_u (i64.load (i32.const 2048)) (i64.const 1700000000))"))), "guest by guest"),
        ("a clock", curious(&[("clocks/monotonic-clock", "now", "(result i64)")], &expect(
            "(i64.le_u (call $f0) (call $f0))")), "guest by guest"),
        ("chance", curious(&[("random/random", "get-random-u64", "(result i64)")], &expect(
            "(i64.ne (call $f0) (call $f0))")), "guest by guest"),
        ("bytes", random(4096), "guest by guest"),
        ("too many bytes", random(4097), "guest trapped: requested len 4097 exceeds limit 4096"),
        // 800 KB, of which 64 KiB are kept.
        ("an output", curious(&[("cli/stdout", "get-stdout", "(result i32)"),
                ("io/streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)")], &times(200,
            "(i32.store (i32.const 2100) (call $f0))",
            "(call $f1 (i32.load (i32.const 2100)) (i32.const 4096) (i32.const 4000) (i32.const 2048))
             (if (i32.load8_u (i32.const 2048)) (then (unreachable)))")), "guest by guest"),
        ("too many outputs", curious(&[("cli/stdout", "get-stdout", "(result i32)")], &times(300,
            "", "(drop (call $f0))")), "guest trapped: "),
    ];
    for (what, guest, expected) in cases {
        let gate = load(guest.component()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let said = ask(&gate, &head("/x")).await;
        assert!(said.starts_with(expected), "{what}: {said}");
        assert_eq!(ask(&gate, &head("/ok")).await, "guest by guest", "after: {what}");
    }
}
