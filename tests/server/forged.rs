//! What a client claims in headers changes nothing about who it is. Two credentials at once are in `auth`.

use mlx_gate_tests::{Server, question_body};
use serde_json::Value;

const KEY: &str = "forged-tests-key-2c41";

/// The log's line about a request that claims a lot.
fn claimed(flags: &[&str]) -> Value {
    let flags = [flags, &["--log-format", "json"]].concat();
    let server = Server::start_with(&flags, &[("MLX_GATE_API_KEY", KEY)]);
    let mut client = server.client().bearer(KEY);
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9, 198.51.100.7"),
        ("x-tenant-id", "mallory"),
        ("x-tenant", "mallory"),
        ("x-priority", "high"),
        ("x-forwarded-user", "root"),
    ] {
        client = client.with(name, value);
    }
    assert_eq!(client.post("/v1/chat/completions", &question_body("What is 2 + 3?")).status, 200);
    server.interrupt();
    let (_, log) = server.wait();
    assert!(!log.contains("mallory") && !log.contains("root"), "{log}");
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["message"] == "request").unwrap()
}

#[test]
fn a_strangers_claims_are_not_believed() {
    for flags in [&[][..], &["--trusted-proxy", "10.0.0.0/8"]] {
        let line = claimed(flags);
        assert_eq!((&line["peer"], &line["priority"]), (&"127.0.0.1".into(), &"normal".into()), "{line}");
        assert_eq!((line.get("tenant"), &line["principal"]), (None, &"api-key".into()), "{line}");
    }
}

#[test]
fn a_trusted_proxy_names_the_client_and_nothing_else() {
    let line = claimed(&["--trusted-proxy", "127.0.0.1"]);
    assert_eq!((&line["peer"], &line["priority"]), (&"198.51.100.7".into(), &"normal".into()), "{line}");
    assert_eq!((line.get("tenant"), &line["principal"]), (None, &"api-key".into()), "{line}");
}
