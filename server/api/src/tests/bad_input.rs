//! What clients get wrong and what they are told.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, post, request};
use crate::Config;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// A body that is fine but for what the case is about.
fn body(kind: &str, json: &str) -> (&'static str, Value) {
    let change: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let with = |mut valid: Value| {
        valid.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        valid
    };
    match kind {
        "chat" => (CHAT, change),
        "chat+" => (CHAT, with(chat())),
        "message" => (CHAT, json!({ "messages": [change] })),
        "completion" => (COMPLETIONS, change),
        "completion+" => (COMPLETIONS, with(json!({ "prompt": "x" }))),
        "tokenize" => ("/tokenize", change),
        "detokenize" => ("/detokenize", change),
        "embedding" => ("/v1/embeddings", change),
        "embedding+" => ("/v1/embeddings", with(json!({ "input": "x" }))),
        "rerank" => ("/v1/rerank", change),
        "rerank+" => ("/v1/rerank", with(json!({ "query": "x", "documents": ["y"] }))),
        "score" => ("/v1/score", change),
        "score+" => ("/v1/score", with(json!({ "text_1": "x", "text_2": "y" }))),
        _ => panic!("no kind of case: {kind}"),
    }
}

fn chat() -> Value {
    json!({ "messages": [{ "role": "user", "content": "x" }] })
}

#[tokio::test]
async fn every_mistake_is_named() {
    let app = app(&FakeEngine::says(Vec::new()));
    let cases = include_str!("bad_input.cases").lines();
    for case in cases.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts = case.split('|').map(str::trim).collect::<Vec<_>>();
        let [kind, json, code, param, message] = parts.as_slice() else { panic!("five parts: {case}") };
        let (path, body) = body(kind, json);
        let answered = answer(&app, post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{case}: {}", answered.body);
        let error = answered.error();
        assert_eq!(error["type"], "invalid_request_error", "{case}");
        assert_eq!(error["code"], *code, "{case}: {error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), *param, "{case}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{case}: {error}");
    }
}

/// What a client sends comes back in messages, but not at any length, and not as control characters.
#[tokio::test]
async fn messages_stay_short_and_printable() {
    let app = app(&FakeEngine::says(Vec::new()));
    let long = "\u{1b}[31m".to_owned() + &"long ".repeat(10_000);
    for body in [
        json!({ "messages": [], "model": "x", long.as_str(): 1 }),
        json!({ "messages": [{ "role": long, "content": "x" }] }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "model": long }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "user": long }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "n": long }),
        json!({ "messages": [{ "role": "user", "content": "x" }], "logit_bias": { long.as_str(): 1 } }),
        json!({ "messages": [{ "role": "user", "content": "x" }], long.as_str(): 1 }),
    ] {
        let answered = answer(&app, post(CHAT, &body)).await;
        assert!(answered.status.is_client_error());
        assert!(answered.body.len() < 600, "{}", answered.body);
        let message = answered.error()["message"].as_str().unwrap().to_owned();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_404() {
    let app = app(&FakeEngine::says(Vec::new()));
    for (path, body) in [
        (CHAT, body("chat+", r#"{ "model": "gpt-9" }"#).1),
        (COMPLETIONS, json!({ "prompt": "x", "model": "gpt-9" })),
    ] {
        let answered = answer(&app, post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND);
        assert_eq!(answered.error()["code"], "model_not_found");
        assert_eq!(answered.error()["param"], "model");
        assert!(answered.error()["message"].as_str().unwrap().contains("gpt-9"));
    }
}

#[tokio::test]
async fn what_is_not_json_is_named_with_its_place() {
    let app = app(&FakeEngine::says(Vec::new()));
    let deep = "[".repeat(200);
    let cases: [(&[u8], &str); 6] = [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"{\n  \"messages\": [,]}", "at line 2 column 16"),
        (b"{\"messages\": ", "EOF"),
        (b"{} {}", "trailing characters at line 1 column 4"),
        (b"{\"a\": \"\xff\"}", "line 1"),
        (deep.as_bytes(), "recursion limit exceeded"),
    ];
    for (body, message) in cases {
        let answered = answer(&app, request("POST", CHAT, body.to_vec())).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{message}");
        assert_eq!(answered.error()["code"], "invalid_json", "{message}");
        assert!(answered.error()["message"].as_str().unwrap().contains(message), "{}", answered.body);
    }
}

#[tokio::test]
async fn the_content_type_has_to_be_json() {
    let app = app(&FakeEngine::says(Vec::new()));
    let cases = [
        (None, "missing"),
        (Some("text/plain"), "`text/plain`"),
        (Some("application/x-www-form-urlencoded"), "urlencoded"),
        (Some("application/jsonp"), "`application/jsonp`"),
    ];
    for (content_type, message) in cases {
        let mut request = post(CHAT, &chat());
        request.headers_mut().remove("content-type");
        if let Some(value) = content_type {
            request.headers_mut().insert("content-type", HeaderValue::from_static(value));
        }
        let answered = answer(&app, request).await;
        assert_eq!(answered.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
        assert!(answered.error()["message"].as_str().unwrap().contains(message), "{}", answered.body);
    }
    for allowed in ["application/json; charset=utf-8", "Application/JSON"] {
        let mut request = post(CHAT, &json!({}));
        request.headers_mut().insert("content-type", HeaderValue::from_static(allowed));
        assert_eq!(answer(&app, request).await.status, StatusCode::BAD_REQUEST, "{allowed}");
    }
}

#[tokio::test]
async fn a_body_of_20_mb_is_413_with_or_without_its_length() {
    let app = app(&FakeEngine::says(Vec::new()));
    let bytes = vec![b' '; 20 * 1024 * 1024];
    let mut announced = request("POST", CHAT, bytes.clone());
    announced.headers_mut().insert("content-length", HeaderValue::from(bytes.len()));
    let chunks =
        bytes.chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    let chunked = request("POST", CHAT, Body::from_stream(futures_util::stream::iter(chunks)));
    for request in [announced, chunked] {
        let answered = answer(&app, request).await;
        assert_eq!(answered.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answered.error()["code"], "request_too_large");
        assert!(answered.error()["message"].as_str().unwrap().contains("8388608 bytes"), "{}", answered.body);
    }
}

#[tokio::test]
async fn a_body_of_more_values_than_memory_is_413() {
    let app = app(&FakeEngine::says(Vec::new()));
    let messages = |message: &str, number| format!("{{\"messages\": [{}]}}", vec![message; number].join(","));
    for body in [messages("[0]", 400_000), messages("{}", 400_000), messages("0", 4_000_000)] {
        let answered = answer(&app, request("POST", CHAT, body)).await;
        assert_eq!(answered.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answered.body);
        assert_eq!(answered.error()["code"], "request_too_large");
    }
    // What stands in texts is no value, and a million tokens are as many as anybody asks about.
    let text = json!({"messages": [{"role": "user", "content": "[{,\\\"".repeat(500_000)}]}).to_string();
    let tokens = json!({"prompt": vec![12_345; 1_000_000]}).to_string();
    for (path, body) in [(CHAT, text), ("/v1/completions", tokens)] {
        let answered = answer(&app, request("POST", path, body)).await;
        assert_ne!(answered.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answered.body);
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408_and_one_that_breaks_off_400() {
    let config = Config { body_timeout: Duration::from_millis(1), ..Config::default() };
    let app = app_with(&FakeEngine::says(Vec::new()), FakeGate::default(), config);
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answered = answer(&app, request("POST", CHAT, endless)).await;
    assert_eq!(answered.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answered.error()["code"], "body_timeout");

    let broken = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("reset"))]);
    let answered = answer(&app, request("POST", CHAT, Body::from_stream(broken))).await;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    assert_eq!(answered.error()["code"], "incomplete_body");
}
