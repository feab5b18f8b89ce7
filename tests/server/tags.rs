//! `tenant_tags` in front of the server: what callers are is in the tags, what clients say of themselves is not.

use mlx_gate_tests::{Folder, Server, run};
use serde_json::Value;

const TAGS: &str = r#"
    [[tag]]
    roles = ["vip"]
    tenant = "{tenant}-gold"
    priority = "high"
    labels = { team = "{subject}" }
"#;

/// The line of a request in the server's log, as JSON.
fn request_line(log: &str, id: &str) -> Value {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut lines = lines.filter(|line| line["message"] == "request" && line.to_string().contains(id));
    lines.next().unwrap_or_else(|| panic!("no line of {id} in\n{log}"))
}

#[test]
fn tags_come_from_the_principal_and_never_from_headers() {
    let folder = Folder::new();
    let (keys, tags) = (folder.at("keys.toml"), folder.write("tags.toml", TAGS));
    let key = |name: &str, flags: &[&str]| {
        let made = run(&[&["key", "new", "--file", &keys, "--name", name], flags].concat(), &[]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    };
    let anna = key("anna", &["--tenant", "acme", "--role", "vip"]);
    let bob = key("bob", &["--tenant", "acme"]);
    let eve = key("eve", &[]);
    let access = folder.at("access.jsonl");
    let (keys, tags) = (format!("auth_static_keys,file={keys}"), format!("tenant_tags,file={tags}"));
    let access_log = format!("access_log,file={access}");
    let server = Server::start(&[
        "--plugin",
        &keys,
        "--plugin",
        &tags,
        "--plugin",
        &access_log,
        "--log-format",
        "json",
    ]);
    for (id, key) in [("req-anna", &anna), ("req-bob", &bob), ("req-eve", &eve)] {
        let client = server.client().bearer(key).with("x-request-id", id);
        let client = client.with("x-tenant-id", "forged").with("x-priority", "high").with("x-team", "forged");
        assert_eq!(client.ask("What is 2 + 3?"), "2 + 3 = 5");
    }
    server.interrupt();
    let (_, log) = server.wait();
    let lines = std::fs::read_to_string(access).unwrap();
    let tagged = |id: &str| {
        let line = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let line = line.into_iter().find(|line| line["mlx_gate.request.id"] == id).unwrap();
        ["tenant", "priority", "label.team"]
            .map(|name| line[format!("mlx_gate.{name}")].as_str().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(tagged("req-anna"), [some("acme-gold"), some("high"), some("anna")]);
    assert_eq!(tagged("req-bob"), [some("acme"), some("normal"), None]);
    assert_eq!(tagged("req-eve"), [None, some("normal"), None]);
    assert_eq!(request_line(&log, "req-anna")["tenant"], "acme-gold", "{log}");
    assert_eq!(request_line(&log, "req-bob")["tenant"], "acme", "{log}");
    assert!(!log.contains("forged") && !lines.contains("forged"), "{log}\n{lines}");
}

#[test]
fn a_wrong_rule_stops_the_start() {
    let folder = Folder::new();
    let file = folder.write("tags.toml", "[[tag]]\npriority = 'urgent'");
    let Err(ended) = Server::try_start(&["--plugin", &format!("tenant_tags,file={file}")], &[]) else {
        panic!("the server started")
    };
    for text in ["tags.toml", "tag 1", "priority", "batch"] {
        assert!(ended.stderr.contains(text), "`{text}` is not in\n{}", ended.stderr);
    }
}
