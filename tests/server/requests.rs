//! Requests that are wrong, each with the status and the words its sender gets.

use mlx_gate_tests::{Server, question_body};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn wrong_chats_are_refused_with_the_field_named() {
    let server = Server::start(&[]);
    let client = server.client();
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let question = || user(json!("What is 2 + 3?"));
    let table = [
        (json!({}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "hello"}), "messages"),
        (json!({"messages": [{"role": "wizard", "content": "hello"}]}), "role"),
        (json!({"messages": [{"content": "hello"}]}), "role"),
        (json!({"messages": user(json!(7))}), "content"),
        (json!({"messages": question(), "max_tokens": 0}), "max_tokens"),
        (json!({"messages": question(), "max_completion_tokens": -3}), "max_completion_tokens"),
        (json!({"messages": question(), "max_tokens": "many"}), "max_tokens"),
        (json!({"messages": question(), "temperature": -1}), "temperature"),
        (json!({"messages": question(), "temperature": 2.5}), "temperature"),
        (json!({"messages": question(), "temperature": "hot"}), "temperature"),
        (json!({"messages": question(), "top_p": 0}), "top_p"),
        (json!({"messages": question(), "stop": [""]}), "stop"),
        (json!({"messages": question(), "n": 200}), "n"),
        (json!({"messages": question(), "stream": "yes"}), "stream"),
        (json!({"messages": question(), "logit_bias": {"99999999": 1}}), "logit_bias"),
        (json!({"messages": question(), "tools": [{"type": "function"}]}), "tools"),
        (json!({"messages": question(), "frobnicate": true}), "frobnicate"),
        (json!({"messages": user(json!("word ".repeat(3000)))}), "context"),
        (json!([]), "object"),
    ];
    for (body, named) in table {
        let reply = client.post(CHAT, &body);
        let shown: String = body.to_string().chars().take(120).collect();
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text);
        let error = reply.json()["error"].clone();
        assert_eq!(error["type"], "invalid_request_error", "{shown}: {error}");
        let words = format!("{} {}", error["message"], error["param"]);
        assert!(words.contains(named), "{shown}: `{named}` is not named in {error}");
    }
    assert_eq!(client.ask("What is 2 + 3?"), "2 + 3 = 5");
}

/// As load generators ask for them, which send `ignore_eos` (vLLM's `bench serve`, guidellm) or `min_tokens` (genai-perf).
#[test]
fn answers_are_as_long_as_a_load_generator_wants_them() {
    let server = Server::start(&[]);
    let client = server.client();
    let chat = json!([{"role": "user", "content": "What is the capital of France?"}]);
    for (path, body) in [
        (CHAT, json!({"messages": chat, "max_completion_tokens": 60, "ignore_eos": true})),
        (CHAT, json!({"messages": chat, "max_tokens": 60, "min_tokens": 60, "temperature": 0})),
        (
            "/v1/completions",
            json!({"prompt": "The capital of", "max_tokens": 60, "ignore_eos": true, "repetition_penalty": 1.0}),
        ),
        (
            "/v1/completions",
            json!({"prompt": [5, 6, 7], "max_tokens": 60, "min_tokens": 60, "temperature": 0}),
        ),
    ] {
        let reply = client.post(path, &body);
        assert_eq!(reply.status, 200, "{body}: {}", reply.text);
        let reply = reply.json();
        assert_eq!(reply["usage"]["completion_tokens"], 60, "{body}: {reply}");
        assert_eq!(reply["choices"][0]["finish_reason"], "length", "{body}: {reply}");
    }
    // The tokens that are told are those of prompt and answer.
    let body = json!({"messages": chat, "temperature": 0, "return_token_ids": true, "skip_special_tokens": false,
        "include_stop_str_in_output": true});
    let reply = client.post(CHAT, &body).json();
    let spelled = |tokens: &Value| {
        client.post("/detokenize", &json!({ "tokens": tokens })).json()["prompt"].as_str().unwrap().to_owned()
    };
    let choice = &reply["choices"][0];
    let answer = choice["message"]["content"].as_str().unwrap();
    assert!(answer.contains("Paris") && answer.ends_with("<|im_end|>"), "{reply}");
    assert_eq!(spelled(&choice["token_ids"]), answer);
    let prompt = spelled(&reply["prompt_token_ids"]);
    assert!(prompt.starts_with("<|im_start|>") && prompt.contains("capital of France?"), "{prompt}");
    // A dot ends it as its own end would.
    let dot = client.post("/tokenize", &json!({"prompt": "."})).json()["tokens"].clone();
    let body = json!({"messages": chat, "temperature": 0, "stop_token_ids": dot});
    let stopped = client.post(CHAT, &body).json()["choices"][0].clone();
    assert_eq!(stopped["finish_reason"], "stop");
    assert_eq!(stopped["message"]["content"], answer.split('.').next().unwrap());
}

#[test]
fn what_is_no_chat_at_all_is_refused() {
    let server = Server::start(&[]);
    let client = server.client();
    let json = "application/json";
    let unknown = json!({"messages": [{"role": "user", "content": "hi"}], "model": "no-such-model"});
    let good = question_body("hi").to_string();
    for (path, content_type, body, status) in [
        (CHAT, json, "{\"messages\": [".to_owned(), 400),
        (CHAT, json, String::new(), 400),
        (CHAT, json, "\u{feff}{}".to_owned(), 400),
        (CHAT, json, format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), 400),
        (CHAT, "text/plain", good.clone(), 415),
        (CHAT, json, unknown.to_string(), 404),
        ("/v1/completions", json, "{\"prompt\": {}}".to_owned(), 400),
        ("/v1/completions", json, "{\"prompt\": \"a\", \"max_tokens\": -1}".to_owned(), 400),
        ("/v1/no/such/route", json, good, 404),
        ("/v1/models", json, "{}".to_owned(), 405),
    ] {
        let reply = client.post_bytes(path, content_type, body.as_bytes());
        let shown: String = body.chars().take(60).collect();
        assert_eq!(reply.status, status, "{path} {content_type} {shown}: {}", reply.text);
        assert!(
            reply.json()["error"]["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{}",
            reply.text
        );
    }
    assert_eq!(client.get(CHAT).status, 405);
    assert_eq!(client.get("/v1/models/no-such-model").status, 404);
}

#[test]
fn a_body_of_20_megabytes_is_refused() {
    let server = Server::start(&[]);
    let client = server.client();
    let body = question_body(&"a".repeat(20_000_000));
    let reply = client.post(CHAT, &body);
    assert_eq!(reply.status, 413, "{}", reply.text);
    assert_eq!(client.ask("What is 2 + 3?"), "2 + 3 = 5");
}

#[test]
fn every_answer_has_its_request_id() {
    let server = Server::start(&[]);
    let client = server.client();
    let given = client.clone().with("x-request-id", "from-the-client-1").get("/v1/models");
    assert_eq!(given.header("x-request-id"), "from-the-client-1");
    assert!(!client.get("/nothing").header("x-request-id").is_empty());
}
