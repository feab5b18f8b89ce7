//! Log probabilities in all four shapes: chat and completions, whole and streamed.

use std::sync::Arc;

use axum::http::StatusCode;
use mlx_gate_core::{Event, FinishReason, PromptLogprobs, TokenLogprob};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, finished, post, reasoning, started, text};

fn token(id: u32, bytes: &[u8], logprob: f32, top: &[(u32, &[u8], f32)]) -> TokenLogprob {
    let top = top.iter().map(|(id, bytes, logprob)| (*id, bytes.to_vec(), *logprob)).collect();
    TokenLogprob { token: id, bytes: bytes.to_vec(), logprob, top, shown: true }
}

/// A token that shows nothing.
fn unseen(id: u32, bytes: &[u8], logprob: f32) -> TokenLogprob {
    TokenLogprob { shown: false, ..token(id, bytes, logprob, &[]) }
}

/// "hé", of three tokens, and a tag that shows nothing.
fn said() -> Vec<Event> {
    let h = token(1, b"h", -0.5, &[(2, b"H", -0.25), (1, b"h", -0.5)]);
    let first = token(3, b"\xc3", f32::NEG_INFINITY, &[(9, b"x", 0.0)]);
    let second = token(4, b"\xa9", -1.0, &[(4, b"\xa9", -1.0)]);
    let tag = unseen(5, b"</t>", -2.0);
    vec![
        started(),
        Event::Logprobs(vec![h]),
        text("h"),
        Event::Logprobs(vec![first, second]),
        text("é"),
        Event::Logprobs(vec![tag]),
        finished(FinishReason::Stop),
    ]
}

fn chat_tokens() -> [Value; 4] {
    let alternative = |token: &str, logprob: f32, bytes: &[u8]| json!({ "token": token, "logprob": logprob, "bytes": bytes });
    let entry = |mut token: Value, top: &[Value]| {
        token["top_logprobs"] = json!(top);
        token
    };
    let (h, large) = (alternative("h", -0.5, b"h"), alternative("H", -0.25, b"H"));
    let second = alternative(r"bytes:\xa9", -1.0, b"\xa9");
    [
        entry(h.clone(), &[large, h]),
        entry(alternative(r"bytes:\xc3", -9999.0, b"\xc3"), &[alternative("x", 0.0, b"x")]),
        entry(second.clone(), &[second]),
        entry(alternative("</t>", -2.0, b"</t>"), &[]),
    ]
}

/// The choices of a stream's chunks.
fn choices(body: &str) -> Vec<Value> {
    let data = body.split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    data.map(|data| serde_json::from_str::<Value>(&format!("{{{data}")).unwrap()["choices"][0].clone())
        .collect()
}

async fn ask(path: &str, events: Vec<Event>, more: Value) -> (String, Option<u32>) {
    let mut body = if path.contains("chat") {
        json!({ "messages": [{ "role": "user", "content": "x" }], "logprobs": true, "top_logprobs": 2 })
    } else {
        json!({ "prompt": "x", "logprobs": 2 })
    };
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let engine = FakeEngine::says(events);
    let answered = answer(&app(&engine), post(path, &body)).await;
    (answered.body, engine.asked().logprobs)
}

#[tokio::test]
async fn a_chat_has_all_tokens_in_order() {
    let (body, asked) = ask("/v1/chat/completions", said(), json!({})).await;
    let answered: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answered["choices"][0]["logprobs"], json!({ "content": chat_tokens(), "refusal": null }));
    assert_eq!(asked, Some(2));

    let none = vec![started(), finished(FinishReason::Stop)];
    let (body, asked) = ask("/v1/chat/completions", none, json!({ "top_logprobs": 0 })).await;
    let answered: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answered["choices"][0]["logprobs"],
        json!({ "content": [], "refusal": null }),
        "asked for, but empty"
    );
    assert_eq!(asked, Some(0));
}

#[tokio::test]
async fn a_streamed_chat_has_them_in_the_chunk_of_their_text() {
    let (body, _) = ask("/v1/chat/completions", said(), json!({ "stream": true })).await;
    let [h, first, second, tag] = chat_tokens();
    let list = |tokens: &[&Value]| json!({ "content": tokens, "refusal": null });
    let logprobs: Vec<_> = choices(&body)
        .into_iter()
        .map(|choice| (choice["delta"].clone(), choice["logprobs"].clone()))
        .collect();
    assert_eq!(
        logprobs,
        [
            (json!({ "role": "assistant", "content": "" }), Value::Null),
            (json!({ "content": "h" }), list(&[&h])),
            (json!({ "content": "é" }), list(&[&first, &second])),
            (json!({}), list(&[&tag])),
        ]
    );
}

#[tokio::test]
async fn reasoning_has_them_too() {
    let events =
        vec![Event::Logprobs(vec![token(1, b"h", -0.5, &[])]), reasoning("h"), finished(FinishReason::Stop)];
    let (body, _) = ask("/v1/chat/completions", events, json!({ "stream": true })).await;
    let choice = &choices(&body)[1];
    assert_eq!(choice["delta"], json!({ "reasoning_content": "h" }));
    assert_eq!(choice["logprobs"]["content"][0]["token"], "h");
}

#[tokio::test]
async fn a_completion_has_lists_side_by_side() {
    let (body, asked) = ask("/v1/completions", said(), json!({})).await;
    let answered: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answered["choices"][0]["logprobs"],
        json!({
            "tokens": ["h", r"bytes:\xc3", r"bytes:\xa9", "</t>"],
            "token_logprobs": [-0.5, -9999.0, -1.0, -2.0],
            "top_logprobs": [
                { "H": -0.25, "h": -0.5 }, { "x": 0.0, r"bytes:\xc3": -9999.0 }, { r"bytes:\xa9": -1.0 }, { "</t>": -2.0 },
            ],
            "text_offset": [0, 1, 1, 2],
        })
    );
    assert_eq!(asked, Some(2));
}

#[tokio::test]
async fn a_streamed_completion_goes_on_counting() {
    let (body, _) = ask("/v1/completions", said(), json!({ "stream": true })).await;
    let chunks = choices(&body);
    let parts: Vec<_> =
        chunks.iter().map(|choice| (&choice["text"], &choice["logprobs"]["text_offset"])).collect();
    assert_eq!(
        parts,
        [(&json!("h"), &json!([0])), (&json!("é"), &json!([1, 1])), (&json!(""), &json!([2])),]
    );
}

#[tokio::test]
async fn what_is_not_in_the_text_of_a_completion_takes_no_room_in_it() {
    let special = |id| unseen(id, b"<|im_start|>", -0.5);
    let said = vec![
        started(),
        Event::Logprobs(vec![special(1), special(2), token(3, "é".as_bytes(), -1.0, &[])]),
        text("é"),
        Event::Logprobs(vec![special(4), special(5)]),
        finished(FinishReason::Length),
    ];
    let (body, _) = ask("/v1/completions", said, json!({})).await;
    let answered: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answered["choices"][0]["logprobs"]["text_offset"], json!([0, 0, 0, 1, 1]));
}

/// "<s>Aé" as a prompt, and one token behind it.
fn echoed() -> Vec<Event> {
    let first = (1, b"<s>".to_vec());
    let rest = vec![
        token(2, b"A", -0.5, &[(3, b"B", -0.25)]),
        token(4, b"\xc3", -1.0, &[(4, b"\xc3", -1.0)]),
        token(5, b"\xa9", f32::NEG_INFINITY, &[]),
    ];
    vec![
        started(),
        Event::PromptLogprobs(Arc::new(PromptLogprobs { first, rest })),
        Event::Logprobs(vec![token(6, b"!", -2.0, &[])]),
        text("!"),
        finished(FinishReason::Length),
    ]
}

#[tokio::test]
async fn an_echo_has_those_of_the_prompt() {
    let engine = FakeEngine::says(echoed());
    let body = json!({ "prompt": "Aé", "echo": true, "logprobs": 1, "max_tokens": 1 });
    let answered = answer(&app(&engine), post("/v1/completions", &body)).await.json();
    assert_eq!(answered["choices"][0]["text"], "Aé!");
    assert_eq!(
        answered["choices"][0]["logprobs"],
        json!({
            "tokens": ["<s>", "A", r"bytes:\xc3", r"bytes:\xa9", "!"],
            "token_logprobs": [null, -0.5, -1.0, -9999.0, -2.0],
            "top_logprobs": [
                null, { "B": -0.25, "A": -0.5 }, { r"bytes:\xc3": -1.0 }, { r"bytes:\xa9": -9999.0 }, { "!": -2.0 },
            ],
            "text_offset": [0, 0, 1, 1, 2],
        })
    );
    let asked = engine.asked();
    assert_eq!((asked.logprobs, asked.prompt_logprobs), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_streamed_echo_brings_them_along() {
    let engine = FakeEngine::says(echoed());
    let body = json!({ "prompt": "Aé", "echo": true, "logprobs": 1, "stream": true });
    let answered = answer(&app(&engine), post("/v1/completions", &body)).await;
    let chunks = choices(&answered.body);
    let parts: Vec<_> =
        chunks.iter().map(|choice| (&choice["text"], &choice["logprobs"]["text_offset"])).collect();
    assert_eq!(
        parts,
        [(&json!("Aé"), &json!([0, 0, 1, 1])), (&json!("!"), &json!([2])), (&json!(""), &Value::Null)]
    );
}

#[tokio::test]
async fn a_prompt_alone_is_asked_for_with_no_tokens() {
    let mut events = echoed();
    events.drain(2..4);
    let engine = FakeEngine::says(events);
    let body = json!({ "prompt": "Aé", "echo": true, "logprobs": 0, "max_tokens": 0 });
    let answered = answer(&app(&engine), post("/v1/completions", &body)).await.json();
    assert_eq!(answered["choices"][0]["text"], "Aé");
    assert_eq!(answered["choices"][0]["logprobs"]["token_logprobs"].as_array().map(Vec::len), Some(4));
    assert_eq!(answered["choices"][0]["finish_reason"], "length");
    assert_eq!(engine.asked().max_output_tokens, Some(0));
}

#[tokio::test]
async fn an_answer_about_prompts_is_bounded() {
    let body = json!({ "prompt": vec!["A"; 128], "echo": true, "logprobs": 20, "max_tokens": 1 });
    let engine = FakeEngine::says_each(vec![vec![finished(FinishReason::Stop)]; 128]);
    let answered = answer(&app(&engine), post("/v1/completions", &body)).await;
    assert_eq!(answered.status, StatusCode::OK);
    *engine.prompt_length.lock().unwrap() = 1000;
    let refused = answer(&app(&engine), post("/v1/completions", &body)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let error = refused.error();
    assert_eq!((&error["param"], &error["code"]), (&json!("logprobs"), &json!("invalid_value")));
    assert!(
        error["message"].as_str().unwrap().contains("2688000 log probabilities of prompt tokens"),
        "{error}"
    );
}
