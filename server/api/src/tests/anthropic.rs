//! Anthropic's dialect, on the wire.

mod bad_input;
mod conversation;
mod errors;
mod models;
mod streams;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use mlx_gate_core::{Event, FinishReason, Finished};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, call, finished, post, reasoning, stable, started, text};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";

/// A request's body with these fields beside those that have to be there.
fn ask(more: &Value) -> Value {
    let mut body = json!({ "max_tokens": 100, "messages": [{ "role": "user", "content": "hello" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A request as Anthropic's clients send it.
fn from_client(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    request
}

fn stopped_by(sequence: &str) -> Event {
    let Event::Finished(finished) = finished(FinishReason::Stop) else { panic!("it is the end") };
    Event::Finished(Finished { stop_sequence: Some(sequence.to_owned()), ..finished })
}

#[tokio::test]
async fn an_answer_has_anthropics_shape() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("h"),
        reasoning("m"),
        text("Let me "),
        text("look."),
        call(0, Some(("call_1", "get_weather")), "{\"city\":"),
        call(0, None, "\"Oslo\"}"),
        call(1, Some(("call_2", "get_time")), ""),
        finished(FinishReason::ToolCalls),
    ]);
    let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    assert_eq!(answered.header("content-type"), "application/json");
    assert_eq!(answered.header("request-id"), answered.header("x-request-id"));
    // SHA-256 of "hm".
    let signature = "b82e2178ecf4d0c5859dc2e169d7fed8673f9f6eeb9f3591bed5f253b7742408";
    assert_eq!(
        stable(&answered.body).replace(signature, ".."),
        concat!(
            r#"{"id":"msg_..","type":"message","role":"assistant","model":"demo","content":["#,
            r#"{"type":"thinking","thinking":"hm","signature":".."},{"type":"text","text":"Let me look."},"#,
            r#"{"type":"tool_use","id":"call_1","name":"get_weather","input":{"city":"Oslo"}},"#,
            r#"{"type":"tool_use","id":"call_2","name":"get_time","input":{}}],"#,
            r#""stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":2,"#,
            r#""cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":5,"#,
            r#""output_tokens_details":{"thinking_tokens":2},"service_tier":"standard"}}"#
        )
    );
}

#[tokio::test]
async fn every_end_has_its_reason() {
    for (end, reason, sequence) in [
        (finished(FinishReason::Stop), "end_turn", Value::Null),
        (finished(FinishReason::Length), "max_tokens", Value::Null),
        (finished(FinishReason::ToolCalls), "tool_use", Value::Null),
        (stopped_by("END"), "stop_sequence", json!("END")),
    ] {
        for stream in [false, true] {
            let said = if reason == "tool_use" { call(0, Some(("call_1", "f")), "{}") } else { text("Hi") };
            let app = app(&FakeEngine::says(vec![said, end.clone()]));
            let answered = answer(&app, post(MESSAGES, &ask(&json!({ "stream": stream })))).await;
            let told = if stream {
                let events = streams::events(&answered.body);
                events[events.len() - 2].1["delta"].clone()
            } else {
                answered.json()
            };
            assert_eq!(told["stop_reason"], reason);
            assert_eq!(told["stop_sequence"], sequence, "{reason}");
        }
    }
}

/// Nobody may carry out a call of which only a part is known.
#[tokio::test]
async fn a_call_that_breaks_off_is_text() {
    let engine = FakeEngine::says(vec![
        call(0, Some(("call_1", "remove")), "{\"path\":\"/tm"),
        finished(FinishReason::Length),
    ]);
    let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await.json();
    assert_eq!(answered["content"], json!([{ "type": "text", "text": "remove {\"path\":\"/tm" }]));
    assert_eq!(answered["stop_reason"], "max_tokens");
}

#[tokio::test]
async fn a_call_whose_arguments_are_no_object_is_text_and_no_reason_to_wait_for_a_result() {
    let whole = |arguments: &'static str| call(0, Some(("call_1", "get_weather")), arguments);
    let text_of = |arguments: &str| json!([{ "type": "text", "text": format!("get_weather {arguments}") }]);
    for arguments in ["Paris", "[\"Paris\"]", "{\"city\": Paris}"] {
        let engine = FakeEngine::says(vec![whole(arguments), finished(FinishReason::ToolCalls)]);
        let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await.json();
        assert_eq!(answered["content"], text_of(arguments));
        assert_eq!(answered["stop_reason"], "end_turn", "{arguments}");
    }
    // One of them is one.
    let engine = FakeEngine::says(vec![
        whole("Paris"),
        call(1, Some(("call_2", "get_time")), "{}"),
        finished(FinishReason::ToolCalls),
    ]);
    let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await.json();
    assert_eq!(answered["content"][0], text_of("Paris")[0]);
    assert_eq!(answered["content"][1]["type"], "tool_use");
    assert_eq!(answered["stop_reason"], "tool_use");
}

#[tokio::test]
async fn tokens_are_counted_without_a_generation() {
    let engine = FakeEngine::says(Vec::new());
    let body = json!({
        "model": "demo", "system": "be brief", "messages": [{ "role": "user", "content": "x" }],
        "tools": [{ "name": "f", "input_schema": { "type": "object" } }],
        "thinking": { "type": "enabled", "budget_tokens": 2000 },
    });
    let answered = answer(&app(&engine), from_client(post(COUNT, &body))).await;
    assert_eq!((answered.status, answered.json()), (StatusCode::OK, json!({ "input_tokens": 3 })));
    assert!(engine.tags.lock().unwrap().is_empty(), "nothing was started");

    let answered = answer(&app(&engine), post(COUNT, &ask(&json!({})))).await;
    assert_eq!(answered.error()["details"]["param"], "max_tokens", "{}", answered.body);
}
