//! `authz_policy` in front of the server: who may use which model, and how long an answer may be.

use mlx_gate_tests::{Client, Folder, Server, run};
use serde_json::{Value, json};

/// The demo model in a folder, to be served under several names.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/models/demo/model");

const POLICY: &str = r#"
    [[allow]]
    roles = ["dev"]
    models = ["small*"]
    endpoints = ["chat"]
    max-input-tokens = 200
    max-output-tokens = 3

    [[allow]]
    tenants = ["acme"]
    models = ["gpt-*"]
    serve = "large"
    streaming = false

    [[allow]]
    roles = ["ops"]

    [[deny]]
    models = ["*-secret"]
    reason = "that model is not released"

    [[test]]
    roles = ["dev"]
    model = "small"
    expect = "allow"
"#;

/// A server with a key for each of these callers, given as name and flags of `mlx-gate key new`.
struct Guarded {
    server: Server,
    keys: Vec<(&'static str, String)>,
    _folder: Folder,
}

impl Guarded {
    fn start(policy: &str, callers: &[(&'static str, &[&str])]) -> Self {
        let folder = Folder::new();
        let (file, policy) = (folder.at("keys.toml"), folder.write("policy.toml", policy));
        let key = |(name, flags): &(&'static str, &[&str])| {
            let made = run(&[&["key", "new", "--file", &file, "--name", name], *flags].concat(), &[]);
            assert_eq!(made.code, Some(0), "{}", made.stderr);
            (*name, made.stdout.trim().to_owned())
        };
        let keys = callers.iter().map(key).collect();
        let [small, large, secret] = ["small", "large", "small-secret"].map(|name| format!("{name}={MODEL}"));
        let (keyed, policed) =
            (format!("auth_static_keys,file={file}"), format!("authz_policy,file={policy}"));
        let server = Server::start(&[
            "--model", &small, "--model", &large, "--model", &secret, "--plugin", &keyed, "--plugin",
            &policed,
        ]);
        Self { server, keys, _folder: folder }
    }

    fn client(&self, name: &str) -> Client {
        let (_, key) = self.keys.iter().find(|(caller, _)| *caller == name).unwrap();
        self.server.client().bearer(key)
    }
}

fn guarded() -> Guarded {
    Guarded::start(
        POLICY,
        &[
            ("dora", &["--role", "dev"]),
            ("carl", &["--role", "dev", "--tenant", "acme"]),
            ("olga", &["--role", "ops"]),
            ("gina", &["--role", "guest"]),
        ],
    )
}

fn question(model: &str, more: &Value) -> Value {
    let mut body = json!({
        "model": model, "messages": [{"role": "user", "content": "Count from 1 to 9."}], "temperature": 0
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// `200`, or status and code of the refusal.
fn verdict(client: &Client, path: &str, body: &Value) -> String {
    let reply = client.post(path, body);
    match reply.status {
        200 => "200".to_owned(),
        status => format!("{status} {}", reply.json()["error"]["code"].as_str().unwrap_or("?")),
    }
}

#[test]
fn the_policy_decides_about_models_endpoints_and_features() {
    let guarded = guarded();
    let chat = "/v1/chat/completions";
    let long = json!({ "messages": [{"role": "user", "content": "word ".repeat(2_000)}] });
    for (caller, model, more, expected) in [
        ("dora", "small", json!({}), "200"),
        ("dora", "large", json!({}), "403 model_not_allowed"),
        // What is not served looks like what is not allowed.
        ("dora", "absent", json!({}), "403 model_not_allowed"),
        ("dora", "gpt-4o", json!({}), "403 model_not_allowed"),
        ("dora", "small", long, "403 input_too_long"),
        ("dora", "small-secret", json!({}), "403 denied_by_policy"),
        ("carl", "gpt-4o", json!({}), "200"),
        ("carl", "gpt-4o", json!({ "stream": true }), "403 streaming_not_allowed"),
        ("olga", "large", json!({}), "200"),
        ("olga", "small-secret", json!({}), "403 denied_by_policy"),
        ("gina", "small", json!({}), "403 caller_not_allowed"),
    ] {
        let client = guarded.client(caller);
        assert_eq!(verdict(&client, chat, &question(model, &more)), expected, "{caller} {model} {more}");
    }
    let text = json!({ "model": "small", "prompt": "1 2 3", "max_tokens": 2 });
    assert_eq!(verdict(&guarded.client("dora"), "/v1/completions", &text), "403 endpoint_not_allowed");
    assert_eq!(verdict(&guarded.client("olga"), "/v1/completions", &text), "200");
    let told = guarded.client("olga").post(chat, &question("small-secret", &json!({}))).json();
    assert_eq!(told["error"]["message"], "that model is not released");
}

#[test]
fn caps_and_aliases_reach_the_model() {
    let guarded = guarded();
    let ask = |caller: &str, model: &str, more: Value| {
        let reply = guarded.client(caller).post("/v1/chat/completions", &question(model, &more));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    };
    // Dora may have 3 tokens, whatever she asks for.
    for more in [json!({}), json!({ "max_tokens": 50 })] {
        let answer = ask("dora", "small", more);
        assert_eq!(answer["usage"]["completion_tokens"], 3, "{answer}");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
    }
    assert_eq!(ask("dora", "small", json!({ "max_tokens": 1 }))["usage"]["completion_tokens"], 1);
    assert!(ask("olga", "small", json!({}))["usage"]["completion_tokens"].as_u64().unwrap() > 3);
    // Nothing of the name `gpt-4o-mini` is served.
    assert_eq!(ask("carl", "gpt-4o-mini", json!({}))["model"], "large");
}

#[test]
fn the_list_of_models_is_the_callers_own() {
    let guarded = guarded();
    for (caller, expected) in
        [("dora", vec!["small"]), ("carl", vec!["small", "large"]), ("olga", vec!["small", "large"])]
    {
        let client = guarded.client(caller);
        let list = client.get("/v1/models").json();
        let ids: Vec<_> =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{caller}");
        for model in ["small", "large", "small-secret", "absent"] {
            let found = client.get(&format!("/v1/models/{model}"));
            let listed = expected.contains(&model);
            assert_eq!(found.status, if listed { 200 } else { 404 }, "{caller} {model}: {}", found.text);
        }
    }
    assert_eq!(guarded.client("gina").get("/v1/models").json()["error"]["code"], "caller_not_allowed");
    assert_eq!(guarded.server.client().get("/v1/models").status, 401);
}

#[test]
fn anonymous_callers_need_a_rule_of_their_own() {
    let folder = Folder::new();
    let start = |policy: &str| {
        let policy = folder.write("policy.toml", policy);
        Server::start(&["--plugin", &format!("authz_policy,file={policy}")])
    };
    let closed = start("[[allow]]");
    assert_eq!(closed.client().get("/v1/models").json()["error"]["code"], "caller_not_allowed");
    let open = start("[[allow]]\ncallers = 'anonymous'\nendpoints = ['chat']");
    assert_eq!(open.client().ask("What is 2 + 3?"), "2 + 3 = 5");
    let text = json!({ "prompt": "1 2 3", "max_tokens": 2 });
    assert_eq!(verdict(&open.client(), "/v1/completions", &text), "403 endpoint_not_allowed");
}

#[test]
fn a_changed_policy_counts_at_once_and_a_wrong_one_never() {
    let folder = Folder::new();
    let policy = folder.write("policy.toml", "[[allow]]\ncallers = 'anonymous'");
    let server = Server::start(&["--plugin", &format!("authz_policy,file={policy}")]);
    let models = || server.client().get("/v1/models").status;
    assert_eq!(models(), 200);
    // It would let everybody in again, but does not do what it says of itself.
    folder.write("policy.toml", "[[allow]]\ncallers = 'everyone'\n[[test]]\nexpect = 'model_not_allowed'");
    server.wait_for_log("test 1: expected `model_not_allowed`, but the policy says `allow`");
    folder.write("policy.toml", "[[allow]]\nroles = ['dev']");
    server.wait_for_log("generation=2");
    assert_eq!(models(), 403);
    folder.write("policy.toml", "[[allow]]\ncallers = 'anonymous'\nmodles = ['a']");
    server.wait_for_log("modles");
    assert_eq!(models(), 403);
}

#[test]
fn a_wrong_policy_stops_the_start() {
    let folder = Folder::new();
    for (policy, expected) in [
        ("[[allow]]\nmodles = ['a']", vec!["policy.toml", "line 2", "allow 1", "modles"]),
        ("[[allow]]\n[[deny]]\nendpoints = ['chats']", vec!["policy.toml", "deny 1", "chats", "completion"]),
        ("[[test]]\nexpect = 'allow'", vec!["`[[allow]]`"]),
        (
            "[[allow]]\n[[test]]\nexpect = 'allow'",
            vec!["policy.toml", "test 1", "`allow`", "caller_not_allowed"],
        ),
    ] {
        let file = folder.write("policy.toml", policy);
        let Err(ended) = Server::try_start(&["--plugin", &format!("authz_policy,file={file}")], &[]) else {
            panic!("the server started with {policy}")
        };
        for text in expected {
            assert!(ended.stderr.contains(text), "{policy}: `{text}` is not in\n{}", ended.stderr);
        }
    }
}
