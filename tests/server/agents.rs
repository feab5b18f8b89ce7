//! Requests of well-known agents, as their public sources build them, against the demo model.

use std::path::Path;

use mlx_gate_tests::Server;
use serde_json::Value;

const KEY: &str = "demo-key-for-the-agent";

/// The requests that the API's own tests answer with events of their choice; here a model has to.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/api/src/tests/agents");

#[test]
fn agents_are_answered_to_the_end() {
    let server = Server::start(&["--api-key", KEY]);
    for agent in [
        "aider",
        "claude_code",
        "claude_code_print",
        "claude_code_title",
        "codex",
        "codex_exec",
        "continue_cli",
    ] {
        let text = std::fs::read_to_string(Path::new(RECORDED).join(agent).with_extension("json")).unwrap();
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let mut body = recorded["body"].clone();
        body["model"] = "mlx-gate-demo".into();
        let mut client = server.client().with("x-api-key", KEY);
        for (name, value) in recorded["headers"].as_object().unwrap() {
            client = client.with(name, value.as_str().unwrap());
        }
        let last = client.stream(recorded["path"].as_str().unwrap(), &body).last().unwrap();
        let last = serde_json::from_str(&last)
            .map_or(last, |event: Value| event["type"].as_str().unwrap().to_owned());
        // Whether the demo model comes to an end by itself is its own affair.
        let ends = ["[DONE]", "message_stop", "response.completed", "response.incomplete"];
        assert!(ends.contains(&last.as_str()), "{agent}: {last}");
    }
}
