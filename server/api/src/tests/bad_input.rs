//! One list of what clients get wrong and what they are told.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, post, request};
use crate::Config;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// Route, what is wrong, the code, the field named, and a part of the message.
type Case = (&'static str, Value, &'static str, &'static str, &'static str);

/// A valid chat request with some fields replaced.
fn chat(changes: Value) -> Value {
    merged(json!({ "messages": [{ "role": "user", "content": "x" }] }), changes)
}

/// A chat request of one message.
fn message(message: Value) -> Value {
    json!({ "messages": [message] })
}

fn merged(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    body.as_object_mut().unwrap().extend(changes);
    body
}

fn sampling() -> Vec<Case> {
    vec![
        (
            CHAT,
            chat(json!({ "temperature": -1 })),
            "invalid_value",
            "temperature",
            ">= 0 and <= 2, but got -1",
        ),
        (CHAT, chat(json!({ "temperature": 2.1 })), "invalid_value", "temperature", "but got 2.1"),
        (
            CHAT,
            chat(json!({ "temperature": "hot" })),
            "invalid_type",
            "temperature",
            "expected a number, but got a string",
        ),
        (CHAT, chat(json!({ "top_p": 0 })), "invalid_value", "top_p", "above 0 and <= 1, but got 0"),
        (CHAT, chat(json!({ "top_p": 1.5 })), "invalid_value", "top_p", "but got 1.5"),
        (CHAT, chat(json!({ "top_k": -2 })), "invalid_value", "top_k", "but got -2"),
        (
            CHAT,
            chat(json!({ "top_k": 1.5 })),
            "invalid_type",
            "top_k",
            "expected an integer, but got a decimal number",
        ),
        (CHAT, chat(json!({ "min_p": 2 })), "invalid_value", "min_p", "but got 2"),
        (CHAT, chat(json!({ "presence_penalty": 3 })), "invalid_value", "presence_penalty", ">= -2 and <= 2"),
        (CHAT, chat(json!({ "frequency_penalty": -3 })), "invalid_value", "frequency_penalty", "but got -3"),
        (CHAT, chat(json!({ "repetition_penalty": 0 })), "invalid_value", "repetition_penalty", "above 0"),
        (
            CHAT,
            chat(json!({ "repetition_penalty": 1e300 })),
            "invalid_value",
            "repetition_penalty",
            "<= 100, but got 1e",
        ),
        (CHAT, chat(json!({ "seed": 1.5 })), "invalid_type", "seed", "a 64-bit integer"),
        (CHAT, chat(json!({ "logit_bias": [1] })), "invalid_type", "logit_bias", "expected an object"),
        (CHAT, chat(json!({ "logit_bias": { "a": 1 } })), "invalid_value", "logit_bias.a", "a token id"),
        (CHAT, chat(json!({ "logit_bias": { "1": 101 } })), "invalid_value", "logit_bias.1", "<= 100"),
        (CHAT, chat(json!({ "logit_bias": { "1": "x" } })), "invalid_type", "logit_bias.1", "a number"),
        (CHAT, chat(json!({ "max_tokens": 0 })), "invalid_value", "max_tokens", ">= 1, but got 0"),
        (CHAT, chat(json!({ "max_tokens": "9" })), "invalid_type", "max_tokens", "but got a string"),
        (
            CHAT,
            chat(json!({ "max_tokens": 1, "max_completion_tokens": 2 })),
            "invalid_value",
            "max_completion_tokens",
            "`max_tokens` says 1",
        ),
        (CHAT, chat(json!({ "stop": 1 })), "invalid_type", "stop", "a string or an array"),
        (CHAT, chat(json!({ "stop": ["a", 1] })), "invalid_type", "stop[1]", "a string"),
        (CHAT, chat(json!({ "stop": "" })), "invalid_value", "stop", "empty stop string"),
        (CHAT, chat(json!({ "stop": vec!["a"; 17] })), "invalid_value", "stop", "at most 16"),
    ]
}

fn messages() -> Vec<Case> {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": {} } });
    let image = json!([{ "type": "image_url", "image_url": { "url": "http://x" } }]);
    vec![
        (CHAT, json!({}), "missing_required_parameter", "messages", "missing required"),
        (CHAT, json!([]), "invalid_type", "", "the request body: expected an object, but got an array"),
        (CHAT, json!({ "messages": [] }), "empty_array", "messages", "at least one message"),
        (
            CHAT,
            json!({ "messages": "hi" }),
            "invalid_type",
            "messages",
            "expected an array, but got a string",
        ),
        (CHAT, json!({ "messages": ["hi"] }), "invalid_type", "messages[0]", "expected an object"),
        (
            CHAT,
            message(json!({ "content": "x" })),
            "missing_required_parameter",
            "messages[0].role",
            "missing",
        ),
        (
            CHAT,
            message(json!({ "role": "wizard", "content": "x" })),
            "invalid_value",
            "messages[0].role",
            "'assistant', 'tool', but got 'wizard'",
        ),
        (CHAT, message(json!({ "role": 1, "content": "x" })), "invalid_type", "messages[0].role", "a string"),
        (
            CHAT,
            message(json!({ "role": "user" })),
            "missing_required_parameter",
            "messages[0].content",
            "missing",
        ),
        (
            CHAT,
            message(json!({ "role": "assistant" })),
            "missing_required_parameter",
            "messages[0].content",
            "missing",
        ),
        (
            CHAT,
            message(json!({ "role": "user", "content": 1 })),
            "invalid_type",
            "messages[0].content",
            "content parts, but got an integer",
        ),
        (
            CHAT,
            message(json!({ "role": "user", "content": image })),
            "unsupported_value",
            "messages[0].content[0].type",
            "'image_url'",
        ),
        (
            CHAT,
            message(json!({ "role": "user", "content": [{ "type": "text" }] })),
            "missing_required_parameter",
            "messages[0].content[0].text",
            "missing",
        ),
        (
            CHAT,
            message(json!({ "role": "user", "content": "x", "mood": 1 })),
            "unsupported_parameter",
            "messages[0].mood",
            "refused, not ignored",
        ),
        (
            CHAT,
            message(json!({ "role": "user", "content": "x", "tool_calls": [] })),
            "unsupported_parameter",
            "messages[0].tool_calls",
            "unsupported",
        ),
        (
            CHAT,
            message(json!({ "role": "tool", "content": "x" })),
            "missing_required_parameter",
            "messages[0].tool_call_id",
            "missing",
        ),
        (
            CHAT,
            message(json!({ "role": "assistant", "tool_calls": [call] })),
            "invalid_type",
            "messages[0].tool_calls[0].function.arguments",
            "a string, but got an object",
        ),
        (
            CHAT,
            message(json!({ "role": "assistant", "content": "x", "audio": { "id": "a" } })),
            "unsupported_value",
            "messages[0].audio",
            "an object is not supported",
        ),
    ]
}

fn options() -> Vec<Case> {
    let tool = json!([{ "type": "function", "function": { "name": "f" } }]);
    vec![
        (CHAT, chat(json!({ "frobnicate": 1 })), "unsupported_parameter", "frobnicate", "'frobnicate'"),
        (CHAT, chat(json!({ "functions": [] })), "unsupported_parameter", "functions", "'functions'"),
        (
            CHAT,
            chat(json!({ "n": 2 })),
            "unsupported_value",
            "n",
            "2 is not supported here; leave it out, or send 1",
        ),
        (CHAT, chat(json!({ "logprobs": true })), "unsupported_value", "logprobs", "send false"),
        (
            CHAT,
            chat(json!({ "response_format": { "type": "json_object" } })),
            "unsupported_value",
            "response_format",
            "send {\"type\":\"text\"}",
        ),
        (
            CHAT,
            chat(json!({ "metadata": { "a": "b" } })),
            "unsupported_value",
            "metadata",
            "an object is not supported",
        ),
        (
            CHAT,
            chat(json!({ "service_tier": "flex" })),
            "unsupported_value",
            "service_tier",
            "send \"auto\" or \"default\"",
        ),
        (CHAT, chat(json!({ "user": "u".repeat(257) })), "invalid_value", "user", "at most 256 bytes"),
        (CHAT, chat(json!({ "stream": "yes" })), "invalid_type", "stream", "expected a boolean"),
        (CHAT, chat(json!({ "stream_options": {} })), "invalid_value", "stream_options", "only allowed with"),
        (
            CHAT,
            chat(json!({ "stream": true, "stream_options": { "x": 1 } })),
            "unsupported_parameter",
            "stream_options.x",
            "'stream_options.x'",
        ),
        (
            CHAT,
            chat(json!({ "tools": [{ "type": "magic" }] })),
            "invalid_value",
            "tools[0].type",
            "'function'",
        ),
        (
            CHAT,
            chat(json!({ "tools": [{ "type": "function", "function": {} }] })),
            "missing_required_parameter",
            "tools[0].function.name",
            "missing",
        ),
        (
            CHAT,
            chat(json!({ "tools": [{ "type": "function", "function": { "name": "a b" } }] })),
            "invalid_value",
            "tools[0].function.name",
            "1 to 64",
        ),
        (
            CHAT,
            chat(json!({ "tools": [{ "type": "function", "function": { "name": "f", "strict": true } }] })),
            "unsupported_value",
            "tools[0].function.strict",
            "true is not supported",
        ),
        (
            CHAT,
            chat(json!({ "tools": tool, "tool_choice": "required" })),
            "unsupported_value",
            "tool_choice",
            "cannot be forced",
        ),
        (
            CHAT,
            chat(json!({ "tools": tool, "tool_choice": { "type": "function" } })),
            "unsupported_value",
            "tool_choice",
            "cannot be forced",
        ),
        (CHAT, chat(json!({ "tool_choice": "sometimes" })), "invalid_value", "tool_choice", "'auto', 'none'"),
        (
            CHAT,
            chat(json!({ "model": "org/plain", "tools": tool })),
            "unsupported_value",
            "tools",
            "cannot call tools",
        ),
        (
            CHAT,
            chat(json!({ "model": "org/plain", "reasoning_effort": "high" })),
            "unsupported_value",
            "reasoning_effort",
            "no reasoning",
        ),
        (CHAT, chat(json!({ "reasoning_effort": "huge" })), "invalid_value", "reasoning_effort", "'minimal'"),
        (
            CHAT,
            chat(json!({ "reasoning_effort": "none", "chat_template_kwargs": { "enable_thinking": true } })),
            "invalid_value",
            "reasoning_effort",
            "contradicts",
        ),
        (
            CHAT,
            chat(json!({ "chat_template_kwargs": { "messages": [] } })),
            "invalid_value",
            "chat_template_kwargs.messages",
            "set by the server",
        ),
        (CHAT, chat(json!({ "model": 7 })), "invalid_type", "model", "a string, but got an integer"),
        (COMPLETIONS, json!({}), "missing_required_parameter", "prompt", "missing"),
        (COMPLETIONS, json!({ "prompt": [] }), "invalid_value", "prompt", "empty array"),
        (
            COMPLETIONS,
            json!({ "prompt": ["a", "b"] }),
            "unsupported_value",
            "prompt",
            "one prompt per request, but got 2",
        ),
        (COMPLETIONS, json!({ "prompt": [1, -1] }), "invalid_type", "prompt[1]", "a token id"),
        (
            COMPLETIONS,
            json!({ "prompt": [{}] }),
            "invalid_type",
            "prompt[0]",
            "an array of tokens, but got an object",
        ),
        (
            COMPLETIONS,
            json!({ "prompt": "x", "suffix": "y" }),
            "unsupported_value",
            "suffix",
            "not supported",
        ),
        (
            COMPLETIONS,
            json!({ "prompt": "x", "logprobs": 5 }),
            "unsupported_value",
            "logprobs",
            "leave it out",
        ),
        (
            COMPLETIONS,
            json!({ "prompt": "x", "messages": [] }),
            "unsupported_parameter",
            "messages",
            "'messages'",
        ),
    ]
}

#[tokio::test]
async fn every_mistake_is_named() {
    let app = app(&FakeEngine::says(Vec::new()));
    for (path, body, code, param, message) in [sampling(), messages(), options()].concat() {
        let answered = answer(&app, post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{body}: {}", answered.body);
        let error = answered.error();
        assert_eq!(error["type"], "invalid_request_error", "{body}");
        assert_eq!(error["code"], code, "{body}: {error}");
        assert_eq!(error["param"], param, "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{body}: {error}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_404() {
    let app = app(&FakeEngine::says(Vec::new()));
    for (path, body) in
        [(CHAT, chat(json!({ "model": "gpt-9" }))), (COMPLETIONS, json!({ "prompt": "x", "model": "gpt-9" }))]
    {
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
        let mut request = post(CHAT, &chat(json!({})));
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
