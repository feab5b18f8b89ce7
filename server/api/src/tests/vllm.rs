//! Fields of vLLM's that both completions take.

use axum::http::StatusCode;
use mlx_gate_core::{EndRules, Event, FinishReason, Truncate};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, finished, post, started, text};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// The same request for both, with these fields besides.
fn requests(fields: &Value) -> [(&'static str, Value); 2] {
    let with = |mut body: Value| {
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    [
        (CHAT, with(json!({ "messages": [{ "role": "user", "content": "x" }] }))),
        (COMPLETIONS, with(json!({ "prompt": "x" }))),
    ]
}

fn tokens(tokens: &[u32]) -> Event {
    Event::Tokens(tokens.to_vec())
}

#[tokio::test]
async fn every_field_reaches_the_engine() {
    let fields = json!({
        "min_tokens": 3, "ignore_eos": true, "stop_token_ids": [7, 9], "include_stop_str_in_output": true,
        "skip_special_tokens": false, "spaces_between_special_tokens": false, "return_token_ids": true,
        "truncate_prompt_tokens": 5,
    });
    for (path, body) in requests(&fields) {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        let asked = engine.asked();
        let end = EndRules { tokens: vec![7, 9], min_tokens: 3, ignores_model: true, shown: true };
        assert_eq!(asked.end, end, "{path}");
        assert_eq!((asked.special_tokens, asked.token_ids), (true, true), "{path}");
        assert_eq!(asked.truncate, Some(Truncate::To(5)), "{path}");
    }
    for (path, body) in requests(&json!({ "truncate_prompt_tokens": -1, "min_tokens": null })) {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        let asked = engine.asked();
        assert_eq!((asked.end, asked.truncate), (EndRules::default(), Some(Truncate::ToModel)), "{path}");
        assert!(!asked.special_tokens && !asked.token_ids, "{path}");
    }
}

/// The fake engine's prompt is 1, 2, 3.
#[tokio::test]
async fn tokens_come_with_the_answer_where_they_are_asked_for() {
    let said =
        vec![started(), tokens(&[7]), tokens(&[8]), text("ab"), tokens(&[2]), finished(FinishReason::Stop)];
    for (path, body) in requests(&json!({ "return_token_ids": true, "n": 2 })) {
        let engine = FakeEngine::says_each(vec![said.clone(), said.clone()]);
        let body = answer(&app(&engine), post(path, &body)).await.json();
        for choice in body["choices"].as_array().unwrap() {
            assert_eq!(choice["token_ids"], json!([7, 8, 2]), "{path}: {body}");
            let prompt = if path == CHAT { &body } else { choice };
            assert_eq!(prompt["prompt_token_ids"], json!([1, 2, 3]), "{path}: {body}");
        }
    }
    for (path, body) in requests(&json!({})) {
        let engine = FakeEngine::says(vec![text("a"), finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(path, &body)).await;
        assert!(!answered.body.contains("token_ids"), "{}", answered.body);
    }
}

#[tokio::test]
async fn tokens_stream_with_the_text_they_became() {
    let said =
        vec![started(), tokens(&[7]), tokens(&[8]), text("ab"), tokens(&[2]), finished(FinishReason::Stop)];
    for (path, body) in requests(&json!({ "return_token_ids": true, "stream": true })) {
        let engine = FakeEngine::says(said.clone());
        let answered = answer(&app(&engine), post(path, &body)).await;
        let chunks = answered.body.lines().filter_map(|line| line.strip_prefix("data: {"));
        let chunks: Vec<Value> =
            chunks.map(|chunk| serde_json::from_str(&format!("{{{chunk}")).unwrap()).collect();
        let prompts: Vec<&Value> = chunks
            .iter()
            .map(|chunk| if path == CHAT { chunk } else { &chunk["choices"][0] })
            .filter_map(|holder| holder.get("prompt_token_ids"))
            .collect();
        assert_eq!(prompts, [&json!([1, 2, 3])], "{path}: once, in {}", answered.body);
        let holder = if path == CHAT { &chunks[0] } else { &chunks[0]["choices"][0] };
        assert!(holder.get("prompt_token_ids").is_some(), "{path}: at once, in {}", answered.body);
        let told: Vec<&Value> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0].get("token_ids")).collect();
        assert_eq!(told, [&json!([7, 8]), &json!([2])], "{path}: {}", answered.body);
    }
}
