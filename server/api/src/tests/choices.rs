//! Several answers to one request: `n`, and several prompts.

use axum::http::StatusCode;
use mlx_gate_core::{EngineError, Event, FinishReason, Outcome, Phase, Prompt};
use serde_json::{Value, json};

use super::fakes::{
    FakeEngine, FakeGate, Say, answer, app, app_with, finished, post, read, send, started, text,
};
use crate::Config;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

fn chat(more: &Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": "x" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn saying(words: &[&str]) -> Vec<Vec<Event>> {
    words.iter().map(|word| vec![started(), text(word), finished(FinishReason::Stop)]).collect()
}

/// The chunks of a stream.
fn chunks(body: &str) -> Vec<Value> {
    let data = body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn each_choice_has_its_index_and_its_text() {
    let engine = FakeEngine::says_each(saying(&["a", "b", "c"]));
    let answered = answer(&app(&engine), post(CHAT, &chat(&json!({ "n": 3, "seed": 7 })))).await.json();
    let texts = |index: usize| answered["choices"][index]["message"]["content"].clone();
    assert_eq!((texts(0), texts(1), texts(2)), (json!("a"), json!("b"), json!("c")));
    assert_eq!(answered["choices"][2]["index"], 2);
    let started: Vec<_> =
        engine.started.lock().unwrap().iter().map(|one| (one.choices, one.sampling.seed)).collect();
    assert_eq!(started, [(3, Some(7))], "one prompt, of which the engine makes three answers");
    // Three tokens of a prompt that is read once, and five tokens of each answer.
    let usage = &answered["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(3), &json!(15)));
    assert_eq!(usage["total_tokens"], 18);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 1);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 6);
}

#[tokio::test]
async fn prompts_and_their_choices_are_numbered_through() {
    let engine = FakeEngine::says_each(saying(&["a0", "a1", "b0", "b1"]));
    let body = json!({ "prompt": ["A", [7, 8]], "n": 2, "echo": true });
    let answered = answer(&app(&engine), post(COMPLETIONS, &body)).await.json();
    let texts: Vec<_> = answered["choices"].as_array().unwrap().iter().map(|one| &one["text"]).collect();
    assert_eq!(texts, ["Aa0", "Aa1", "[7, 8]b0", "[7, 8]b1"], "the fake engine writes tokens as numbers");
    let indices: Vec<_> = answered["choices"].as_array().unwrap().iter().map(|one| &one["index"]).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    let prompts: Vec<_> = engine.asked.lock().unwrap().iter().map(|asked| asked.prompt.clone()).collect();
    assert_eq!(prompts, [Prompt::Text("A".to_owned()), Prompt::Tokens(vec![7, 8])]);
    assert_eq!(answered["usage"]["prompt_tokens"], 6, "each prompt once");
    assert_eq!(answered["usage"]["completion_tokens"], 20);
}

#[tokio::test]
async fn choices_stream_side_by_side() {
    let (engine, says) = FakeEngine::holding(2);
    let body = chat(&json!({ "n": 2, "stream": true, "stream_options": { "include_usage": true } }));
    let answering = send(&app(&engine), post(CHAT, &body)).await;
    let say = |choice: usize, event| says[choice].send(Say::Event(event)).unwrap();
    say(1, text("b"));
    say(0, text("a"));
    say(1, finished(FinishReason::Length));
    say(0, text("aa"));
    say(0, finished(FinishReason::Stop));
    let answered = read(answering).await;
    assert!(answered.body.ends_with("data: [DONE]\n\n"));
    let chunks = chunks(&answered.body);
    let (last, chunks) = chunks.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(10)));
    let of = |index: u32| {
        let mine = chunks.iter().map(|chunk| &chunk["choices"][0]).filter(move |one| one["index"] == index);
        mine.map(|one| (one["delta"].clone(), one["finish_reason"].clone())).collect::<Vec<_>>()
    };
    let role = (json!({ "role": "assistant", "content": "" }), Value::Null);
    let piece = |text: &str| (json!({ "content": text }), Value::Null);
    assert_eq!(of(0), [role.clone(), piece("a"), piece("aa"), (json!({}), json!("stop"))]);
    assert_eq!(of(1), [role, piece("b"), (json!({}), json!("length"))]);
}

#[tokio::test]
async fn an_echo_streams_before_its_answer() {
    let engine = FakeEngine::says_each(saying(&["b"]));
    let body = json!({ "prompt": "A", "echo": true, "stream": true });
    let answered = answer(&app(&engine), post(COMPLETIONS, &body)).await;
    let texts: Vec<_> =
        chunks(&answered.body).iter().map(|chunk| chunk["choices"][0]["text"].clone()).collect();
    assert_eq!(texts, ["A", "b", ""]);
}

#[tokio::test]
async fn one_permit_covers_them_all() {
    let gate = FakeGate::default();
    let engine = FakeEngine::says_each(saying(&["a0", "a1", "b0", "b1"]));
    let app = app_with(&engine, gate.clone(), Config::default());
    let body = json!({ "prompt": ["abcdefgh", "abcd"], "n": 2, "max_tokens": 10 });
    assert_eq!(answer(&app, post(COMPLETIONS, &body)).await.status, StatusCode::OK);
    let estimated = gate.seen.operation(Phase::Authorize);
    assert_eq!((estimated.input_tokens, estimated.max_output_tokens), (3, Some(40)));
    let exact = gate.seen.operation(Phase::RateLimit);
    // The fake engine takes any prompt for three tokens.
    assert_eq!((exact.input_tokens, exact.max_output_tokens), (6, Some(40)));
    assert_eq!(gate.seen.phases().iter().filter(|phase| **phase == Phase::RateLimit).count(), 1);
    let ended = gate.seen.ended().await;
    assert_eq!((ended.usage.input_tokens, ended.usage.output_tokens), (6, 20));
    assert_eq!(ended.outcome, Outcome::Finished(FinishReason::Stop));
}

#[tokio::test]
async fn a_choice_that_fails_ends_them_all() {
    let failed = vec![started(), Event::Failed(EngineError::Internal("a row broke".to_owned()))];
    let engine = FakeEngine::says_each(vec![vec![started(), text("a")], failed]);
    let answered = answer(&app(&engine), post(CHAT, &chat(&json!({ "n": 2 })))).await;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    engine.streams(0).await;
}

#[tokio::test]
async fn who_hangs_up_pays_for_what_was_said_and_frees_every_row() {
    let gate = FakeGate::default();
    let (engine, says) = FakeEngine::holding(2);
    let app = app_with(&engine, gate.clone(), Config::default());
    let response = send(&app, post(CHAT, &chat(&json!({ "n": 2, "stream": true })))).await;
    engine.streams(2).await;
    says[0].send(Say::Event(finished(FinishReason::Stop))).unwrap();
    says[1].send(Say::Event(text("b"))).unwrap();
    drop(response);
    engine.streams(0).await;
    let ended = gate.seen.ended().await;
    assert_eq!(ended.outcome, Outcome::Cancelled, "one of two had not ended");
    assert_eq!((ended.usage.input_tokens, ended.usage.output_tokens), (3, 6));
}
