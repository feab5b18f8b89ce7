//! `access_log` behind the server: a line for every request, however it ended, and nothing in it that is nobody's business.

use mlx_gate_tests::{Client, Folder, Server, question_body, run};
use serde_json::{Value, json};

use crate::chat::endless;

const PROMPT: &str = "marker-prompt-91c4";
const WRONG_KEY: &str = "marker-wrong-77aa";
const COOKIE: &str = "marker-cookie-5d20";

/// A server with a key of anna's, which writes to `access.jsonl` in the folder.
fn start(folder: &Folder, options: &str) -> (Server, String) {
    let keys = folder.at("keys.toml");
    let made =
        run(&["key", "new", "--file", &keys, "--name", "anna", "--tenant", "acme", "--role", "dev"], &[]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let keys = format!("auth_static_keys,file={keys}");
    let log = format!("access_log,file={}{options}", folder.at("access.jsonl"));
    let server = Server::start(&["--plugin", &keys, "--plugin", &log, "--log-format", "json"]);
    (server, made.stdout.trim().to_owned())
}

/// Ends the server and reads what it wrote.
fn lines(server: Server, folder: &Folder) -> (String, Vec<Value>) {
    server.interrupt();
    server.wait();
    let text = std::fs::read_to_string(folder.at("access.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (text, lines)
}

fn line<'a>(lines: &'a [Value], id: &str) -> &'a Value {
    let of_request: Vec<_> = lines.iter().filter(|line| line["mlx_gate.request.id"] == id).collect();
    assert_eq!(of_request.len(), 1, "lines of {id}");
    of_request[0]
}

fn with_id(client: &Client, id: &str) -> Client {
    client.clone().with("x-request-id", id)
}

#[test]
fn every_request_has_a_line_by_the_conventions_names() {
    let folder = Folder::new();
    let (server, key) = start(&folder, "");
    let (stranger, anna) = (server.client(), server.client().bearer(&key).with("cookie", COOKIE));

    let mut question = question_body("What is 2 + 3?");
    question["user"] = json!("customer-7");
    question["max_tokens"] = json!(40);
    let reply = with_id(&anna, "answered").post("/v1/chat/completions", &question);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let usage = &reply.json()["usage"];

    let mut streamed = question_body("What is 2 + 3?");
    streamed["stream"] = json!(true);
    assert!(with_id(&anna, "streamed").stream("/v1/chat/completions", &streamed).count() > 2);

    let text = json!({ "prompt": PROMPT, "max_tokens": 2 });
    assert_eq!(with_id(&anna, "completed").post("/v1/completions", &text).status, 200);
    assert_eq!(with_id(&anna, "listed").get("/v1/models").status, 200);
    assert_eq!(with_id(&stranger.clone().bearer(WRONG_KEY), "refused").get("/v1/models").status, 401);
    assert_eq!(with_id(&anna, "misled").get("/v1/nothing").status, 404);
    let mut odd = question_body(PROMPT);
    odd["frobnicate"] = json!(PROMPT);
    assert_eq!(with_id(&anna, "mistaken").post("/v1/chat/completions", &odd).status, 400);

    let mut events = with_id(&anna, "left").stream("/v1/chat/completions", &endless());
    assert!(events.next().is_some());
    drop(events);
    server.wait_for_log("cancelled");

    let (text, lines) = lines(server, &folder);
    assert_eq!(lines.len(), 8, "{text}");
    for marker in [key.as_str(), WRONG_KEY, PROMPT, COOKIE, "sha256:"] {
        assert!(!text.contains(marker), "{marker} is in\n{text}");
    }

    let answered = line(&lines, "answered");
    for (name, expected) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/v1/chat/completions")),
        ("http.response.status_code", json!(200)),
        ("client.address", json!("127.0.0.1")),
        ("user.id", json!("anna")),
        ("user.roles", json!(["dev"])),
        ("enduser.id", json!("customer-7")),
        ("gen_ai.provider.name", json!("mlx_gate")),
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.request.model", json!("mlx-gate-demo")),
        ("gen_ai.request.max_tokens", json!(40)),
        ("gen_ai.request.stream", json!(false)),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.usage.input_tokens", usage["prompt_tokens"].clone()),
        ("gen_ai.usage.output_tokens", usage["completion_tokens"].clone()),
        ("mlx_gate.outcome", json!("stop")),
        ("mlx_gate.dialect", json!("openai")),
        ("mlx_gate.tenant", json!("acme")),
        ("error.type", Value::Null),
    ] {
        assert_eq!(answered[name], expected, "{name} in {answered}");
    }
    let time = |name: &str| answered[name].as_f64().unwrap();
    assert!(time("gen_ai.server.time_to_first_token") <= time("http.server.request.duration"), "{answered}");
    assert!(answered["timestamp"].as_str().unwrap().ends_with('Z'), "{answered}");

    assert_eq!(line(&lines, "streamed")["gen_ai.request.stream"], true);
    assert_eq!(line(&lines, "streamed")["gen_ai.usage.output_tokens"], usage["completion_tokens"]);
    let completed = line(&lines, "completed");
    assert_eq!(completed["gen_ai.operation.name"], "text_completion");
    assert_eq!(completed["gen_ai.response.finish_reasons"], json!(["length"]));
    assert_eq!(line(&lines, "listed")["mlx_gate.outcome"], "ok");

    let refused = line(&lines, "refused");
    assert_eq!(refused["mlx_gate.refused_by"], "authenticate/auth_static_keys");
    assert_eq!((&refused["error.type"], &refused["user.id"]), (&json!("invalid_api_key"), &Value::Null));
    assert_eq!(line(&lines, "misled")["http.response.status_code"], 404);
    assert_eq!(line(&lines, "misled")["http.route"], Value::Null);
    assert_eq!(line(&lines, "mistaken")["http.response.status_code"], 400);
    let left = line(&lines, "left");
    assert_eq!((&left["mlx_gate.outcome"], &left["error.type"]), (&json!("cancelled"), &json!("cancelled")));
    assert!(left["gen_ai.usage.input_tokens"].as_u64().unwrap() > 0, "what was consumed is written: {left}");
}

#[test]
fn people_can_be_left_out() {
    let folder = Folder::new();
    let secret = folder.write("hash.key", "0123456789abcdef");
    let options = format!(",user=hashed,client-address=hashed,hash-key={secret}");
    let (server, key) = start(&folder, &options);
    let anna = server.client().bearer(&key);
    assert_eq!((anna.get("/v1/models").status, anna.get("/v1/models").status), (200, 200));
    let (text, lines) = lines(server, &folder);
    assert_eq!(lines[0]["user.hash"], lines[1]["user.hash"]);
    assert_eq!(lines[0]["user.hash"].as_str().unwrap().len(), 32, "{text}");
    assert!(
        !text.contains("anna") && !text.contains("127.0.0.1") && !text.contains("0123456789abcdef"),
        "{text}"
    );
}

#[test]
fn lines_are_appended_and_a_file_that_cannot_be_stops_the_start() {
    let folder = Folder::new();
    folder.write("access.jsonl", "{\"earlier\":true}\n");
    let (server, key) = start(&folder, ",fields=user.id");
    assert_eq!(server.client().bearer(&key).get("/v1/models").status, 200);
    let (text, _) = lines(server, &folder);
    assert_eq!(text, "{\"earlier\":true}\n{\"user.id\":\"anna\"}\n");
    let Err(ended) =
        Server::try_start(&["--plugin", &format!("access_log,file={}", folder.at("no/such/folder"))], &[])
    else {
        panic!("the server started")
    };
    assert!(ended.stderr.contains("no/such/folder"), "{}", ended.stderr);
}
