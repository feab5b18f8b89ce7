//! How several authenticators decide together, and what is settled before any is asked.

use mlx_gate_core::{HeaderValue, Lifecycle as _};
use mlx_gate_lifecycle::{Config, Gate};

use crate::guest::{Guest, ask, head, header, load, load_all};

const ABSTAIN: &str =
    "(i32.store8 (i32.const 1280) (i32.const 0)) (i32.store8 (i32.const 1288) (i32.const 0))";
/// Abstains with the challenge `guest`.
const CHALLENGE: &str = "(i32.store8 (i32.const 2048) (i32.const 0)) (i32.store8 (i32.const 2056) (i32.const 1))
                         (i32.store (i32.const 2060) (i32.const 1024)) (i32.store (i32.const 2064) (i32.const 5))
                         (return (i32.const 2048))";
const DENY: &str = "(return (i32.const 1536))";
const TRAP: &str = "(unreachable)";
const ALLOW: &str = "";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_that_allows_or_denies_decides() {
    for (chain, expected) in [
        (&[ALLOW, DENY][..], "guest by guest"),
        (&[ABSTAIN, ALLOW], "guest by guest"),
        (&[ABSTAIN, DENY, ALLOW], "denied by guest: 401 no"),
        (&[ABSTAIN, ABSTAIN], "unauthenticated []"),
        (&[CHALLENGE, ABSTAIN, CHALLENGE], r#"unauthenticated ["guest", "guest"]"#),
        // A plugin that fails might have denied: nobody after it may allow.
        (&[TRAP, ALLOW], "guest trapped: wasm trap: wasm `unreachable` instruction executed"),
        (&[ABSTAIN, TRAP, ALLOW], "guest trapped: wasm trap: wasm `unreachable` instruction executed"),
    ] {
        let components = chain.iter().map(|check| Guest::with("check", *check).component()).collect();
        let gate = load_all(components).await.expect("they load");
        assert!(gate.authenticates());
        assert_eq!(ask(&gate, &head("/x")).await, expected, "{chain:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_plugins_everybody_is_anonymous() {
    let gate = Gate::load(&Config::default(), &[]).await.expect("nothing to load");
    assert!(!gate.authenticates());
    assert_eq!(ask(&gate, &head("/x")).await, "anonymous");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_can_be_read_two_ways_are_refused() {
    let gate = load(Guest::default().component()).await.expect("it loads");
    assert_eq!(gate.begin().credential_headers(), ["authorization"]);

    let mut twice = head("/ok");
    twice.headers.push(header("authorization", "Bearer planted-secret"));
    assert_eq!(ask(&gate, &twice).await, "ambiguous: the header `authorization` is given more than once");

    let mut garbled = head("/ok");
    garbled.headers[0].1 = HeaderValue::NotUtf8;
    assert_eq!(ask(&gate, &garbled).await, "ambiguous: the header `authorization` is not valid UTF-8");

    let mut other = head("/ok");
    other.headers.push(header("x-other", "again"));
    other.headers.push(("x-third".to_owned(), HeaderValue::NotUtf8));
    assert_eq!(ask(&gate, &other).await, "guest by guest");
}

/// The lists of a head are at 56 (credentials) and 64 (other headers), each an address and a length.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_sees_the_headers_it_declared_and_no_others() {
    let check = "(if (i32.ne (i32.load offset=60 (local.get $head)) (i32.const 1)) (then (unreachable)))
                 (if (i32.ne (i32.load offset=68 (local.get $head)) (i32.const 0)) (then (unreachable)))";
    let gate = load(Guest::with("check", check).component()).await.expect("it loads");
    assert_eq!(ask(&gate, &head("/x")).await, "guest by guest");
}
