//! One line for each request, and nothing in it that is nobody's business.

use mlx_gate_tests::{Client, Server, question_body};
use serde_json::{Value, json};

const KEY: &str = "marker-key-3fb1";
const WRONG_KEY: &str = "marker-wrong-key-77aa";
const PROMPT: &str = "marker-prompt-91c4";
const COOKIE: &str = "marker-cookie-5d20";

/// Requests of every kind, with something in each place that a log must not show.
fn provoke(client: &Client) {
    let known = client.clone().bearer(KEY).with("cookie", COOKIE);
    assert_eq!(known.post("/v1/chat/completions", &question_body(PROMPT)).status, 200);
    let text = json!({"prompt": PROMPT, "max_tokens": 3});
    assert_eq!(known.post("/v1/completions", &text).status, 200);
    let mut unknown_field = question_body(PROMPT);
    unknown_field["frobnicate"] = json!(PROMPT);
    assert_eq!(known.post("/v1/chat/completions", &unknown_field).status, 400);
    assert_eq!(known.post_bytes("/v1/chat/completions", "application/json", PROMPT.as_bytes()).status, 400);
    assert_eq!(known.get(&format!("/v1/{KEY}?key={KEY}")).status, 404);
    assert_eq!(client.clone().bearer(WRONG_KEY).get("/v1/models").status, 401);
    assert_eq!(client.clone().with("x-api-key", WRONG_KEY).get("/v1/models").status, 401);
    assert_eq!(client.clone().with("authorization", WRONG_KEY).get("/v1/models").status, 401);
}

#[test]
fn no_log_shows_a_credential_or_a_prompt() {
    for format in ["text", "json"] {
        let server = Server::start_with(
            &["--log-format", format, "--log-level", "trace"],
            &[("MLX_GATE_API_KEY", KEY)],
        );
        provoke(&server.client());
        server.interrupt();
        let (_, log) = server.wait();
        for marker in [KEY, WRONG_KEY, PROMPT, COOKIE] {
            let line = log.lines().find(|line| line.contains(marker));
            assert_eq!(line, None, "{format} log shows {marker}");
        }
    }
}

#[test]
fn json_logs_have_one_line_for_each_request() {
    let server = Server::start_with(&["--log-format", "json"], &[("MLX_GATE_API_KEY", KEY)]);
    provoke(&server.client());
    server.interrupt();
    let (_, log) = server.wait();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    let statuses: Vec<u64> = requests.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 400, 400, 404, 401, 401, 401], "{log}");
    assert_eq!(requests[0]["principal"], "api-key", "{log}");
    assert!(requests[0]["completion_tokens"].as_u64().unwrap() > 0, "{log}");
}
