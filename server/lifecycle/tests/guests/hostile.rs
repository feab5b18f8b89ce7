//! Guests that misbehave when a request comes. The request is refused with the reason, and the next one is served by the same
//! plugin.

use mlx_gate_core::{Lifecycle as _, RequestHead};

use crate::guest::{Guest, ask, head, load};

/// A `deny` whose message has this address and length.
fn deny_with_message(address: u32, length: u32) -> String {
    format!(
        "(i32.store (i32.const 1556) (i32.const {address})) (i32.store (i32.const 1560) (i32.const {length}))
         (return (i32.const 1536))"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_misbehaves_refuses_one_request() {
    let log = r#"(import "mlx-gate:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let random = r#"(import "mlx-gate:plugin/host@0.1.0" "random" (func $random (param i32 i32)))"#;
    let cases: Vec<(&str, Guest, &str)> = vec![
        ("loop", Guest::with("check", "(loop (br 0))"), "guest did not return within 100 ms"),
        ("trap", Guest::with("check", "(unreachable)"), "guest trapped: wasm trap: wasm `unreachable` instruction executed"),
        (
            "division by zero",
            Guest::with("check", "(drop (i32.div_u (i32.const 1) (local.get $i)))"),
            "guest trapped: wasm trap: integer divide by zero",
        ),
        ("stack", Guest::with("check", "(drop (call $deeper (i32.const 0)))"), "guest used up its stack"),
        (
            "memory bomb",
            Guest::with("check", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)"),
            "guest wanted 17039360 bytes of memory; the limit is 16777216",
        ),
        (
            "large answer",
            Guest::with(
                "check",
                format!("(drop (memory.grow (i32.const 100))) {}", deny_with_message(0, 2_000_000)),
            ),
            "guest answered with more than 1048576 bytes",
        ),
        (
            "answer outside its memory",
            Guest::with("check", deny_with_message(0, 1 << 30)),
            "guest trapped: string pointer/length out of bounds of memory",
        ),
        (
            "ten million items",
            Guest::with("check", "(i32.store (i32.const 1596) (i32.const 10000000)) (return (i32.const 1536))"),
            "guest trapped: list pointer/length out of bounds of memory",
        ),
        (
            "not UTF-8",
            Guest::with("check", format!("(i32.store8 (i32.const 2000) (i32.const 255)) {}", deny_with_message(2000, 1))),
            "guest trapped: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            "no such verdict",
            Guest::with("check", "(i32.store8 (i32.const 1536) (i32.const 7)) (return (i32.const 1536))"),
            "guest trapped: unexpected discriminant: 7",
        ),
        (
            "deny with 200",
            Guest::with("check", "(i32.store16 (i32.const 1544) (i32.const 200)) (return (i32.const 1536))"),
            "guest answered a denial with status 200; denials have 400 to 499",
        ),
        (
            "too much randomness",
            Guest::with("import", random).and("check", "(call $random (i32.const 5000) (i32.const 4096))"),
            "guest trapped: `random` for 5000 bytes; at most 4096 are given at once",
        ),
        (
            "log flood",
            Guest::with("import", log).and(
                "check",
                "(loop (call $log (i32.const 4) (i32.const 1024) (i32.const 5))
                   (br_if 0 (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))",
            ),
            "guest by guest",
        ),
        (
            "log of more than it has",
            Guest::with("import", log).and("check", "(call $log (i32.const 4) (i32.const 0) (i32.const 1073741824))"),
            "guest trapped: string pointer/length out of bounds of memory",
        ),
    ];
    for (name, guest, expected) in cases {
        let gate = load(guest.component()).await.expect(name);
        assert_eq!(ask(&gate, &head("/ok")).await, "guest by guest", "before: {name}");
        assert_eq!(ask(&gate, &head("/x")).await, expected, "{name}");
        assert_eq!(ask(&gate, &head("/ok")).await, "guest by guest", "after: {name}");
    }
}

/// One thread serves all: the guest that hangs has to let go of it for the other request to be answered at all.
#[tokio::test(flavor = "current_thread")]
async fn a_guest_that_hangs_delays_nobody() {
    let gate = load(Guest::with("check", "(loop (br 0))").component()).await.expect("it loads");
    let (hanging_head, other_head) = (head("/x"), head("/ok"));
    let passage = gate.begin();
    let mut hanging = passage.authenticate(&hanging_head);
    tokio::select! {
        biased;
        answer = &mut hanging => panic!("the guest hangs, and answered {answer:?}"),
        answer = ask(&gate, &other_head) => assert_eq!(answer, "guest by guest"),
    }
    assert!(hanging.await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_request_is_left_for_the_next() {
    // Counts in memory, and allows only while the count is one.
    let count = "(i32.store (i32.const 3000) (i32.add (i32.load (i32.const 3000)) (i32.const 1)))
                 (if (i32.eq (i32.load (i32.const 3000)) (i32.const 1)) (then (return (i32.const 1280))))
                 (unreachable)";
    let gate = load(Guest::with("check", count).component()).await.expect("it loads");
    for _ in 0..20 {
        assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_configure_leaves_is_there_for_every_request() {
    let guest = Guest::with(
        "configure",
        "(i32.store (i32.const 3000) (i32.const 77)) (drop (memory.grow (i32.const 1)))",
    )
    .and(
        "check",
        "(if (i32.ne (i32.load (i32.const 3000)) (i32.const 77)) (then (unreachable)))
                       (if (i32.ne (memory.size) (i32.const 5)) (then (unreachable)))",
    );
    let gate = load(guest.component()).await.expect("it loads");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
}

/// Each check that waits for its turn holds an instance, of which there are 500 for all plugins together.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_passwords_does_not_wait_in_line() {
    const HASH: &str = "$2y$07$aG7IkxXoRBkhAGg00DhxguU2NEKx7BEFXbOW8bbsMwxKF/Vvm0qpS";
    let import = r#"(import "mlx-gate:plugin/crypto@0.1.0" "verify-password"
        (func $verify (param i32 i32 i32 i32 i32)))"#;
    let data = format!(r#"(data (i32.const 2200) "{HASH}")"#);
    let check = format!(
        "(call $verify (i32.const 2200) (i32.const {}) (i32.const 1024) (i32.const 5) (i32.const 2048))
         (return (i32.const 1536))",
        HASH.len()
    );
    let guest = Guest::with("import", import).and("export", data).and("check", check);
    let gate = load(guest.component()).await.expect("it loads");
    let of = |peer: Option<[u8; 4]>| RequestHead { peer: peer.map(Into::into), ..head("/x") };
    let many = (1..=20).map(|host| Some([192, 0, 2, host])).collect();
    for (peers, expected) in [
        (many, "64 checks wait for their turn already"),
        (vec![None], "32 checks from this address are under way already"),
        (vec![Some([192, 0, 2, 1])], "32 checks from this address are under way already"),
    ] {
        let heads: Vec<_> = (0..600).map(|number| of(peers[number % peers.len()])).collect();
        let answers = futures_util::future::join_all(heads.iter().map(|head| ask(&gate, head))).await;
        let failed = format!("guest trapped: a password is not checked: {expected}");
        assert!(answers.contains(&failed), "{expected}");
        let others = answers.iter().find(|answer| **answer != failed && *answer != "denied by guest: 401 no");
        assert_eq!(others, None);
        assert!(answers.iter().filter(|answer| *answer == "denied by guest: 401 no").count() >= 32);
    }
}
