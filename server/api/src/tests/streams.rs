use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use mlx_gate_core::{EngineError, Event, FinishReason};
use serde_json::{Value, json};

use super::fakes::{
    FakeEngine, FakeGate, Say, answer, app, app_with, call, finished, post, read, reasoning, send, stable,
    started, text,
};
use crate::Config;

const PATH: &str = "/v1/chat/completions";

fn ask(include_usage: bool) -> Value {
    let options = if include_usage { json!({ "include_usage": true }) } else { Value::Null };
    json!({ "messages": [{ "role": "user", "content": "x" }], "stream": true, "stream_options": options })
}

/// The golden form of one chunk: `delta` and the rest of the line after `finish_reason`.
fn chunk(delta: &str, finish_reason: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-..\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"demo\",\"system_fingerprint\":\"fp_..\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish_reason}}}]{usage}}}\n\n"
    )
}

#[tokio::test]
async fn a_stream_has_openais_shape() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("hm"),
        text("Hi"),
        call(0, Some(("call_1", "f")), ""),
        call(0, None, "{}"),
        finished(FinishReason::ToolCalls),
    ]);
    let answered = answer(&app(&engine), post(PATH, &ask(false))).await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(answered.header("cache-control"), "no-cache");
    assert_eq!(answered.header("x-accel-buffering"), "no");
    let expected = [
        chunk(r#"{"role":"assistant","content":""}"#, "null", ""),
        chunk(r#"{"reasoning_content":"hm"}"#, "null", ""),
        chunk(r#"{"content":"Hi"}"#, "null", ""),
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}"#,
            "null",
            "",
        ),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, "null", ""),
        chunk("{}", r#""tool_calls""#, ""),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(stable(&answered.body), expected.concat());
}

#[tokio::test]
async fn usage_comes_in_a_chunk_of_its_own() {
    let engine = FakeEngine::says(vec![text("Hi"), finished(FinishReason::Stop)]);
    let answered = answer(&app(&engine), post(PATH, &ask(true))).await;
    let expected = [
        chunk(r#"{"role":"assistant","content":""}"#, "null", r#","usage":null"#),
        chunk(r#"{"content":"Hi"}"#, "null", r#","usage":null"#),
        chunk("{}", r#""stop""#, r#","usage":null"#),
        concat!(
            r#"data: {"id":"chatcmpl-..","object":"chat.completion.chunk","created":0,"model":"demo","system_fingerprint":"fp_..","choices":[],"#,
            r#""usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,"#,
            r#""prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
            "\n\ndata: [DONE]\n\n"
        )
        .to_owned(),
    ];
    assert_eq!(stable(&answered.body), expected.concat());
}

/// The last event of a stream, as JSON.
fn last_event(body: &str) -> Value {
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap()
}

#[tokio::test]
async fn an_error_inside_a_stream_is_its_last_event() {
    let broken = Event::Failed(EngineError::Internal("a secret of the device".to_owned()));
    let engine = FakeEngine::says(vec![text("Hi"), broken]);
    let answered = answer(&app(&engine), post(PATH, &ask(false))).await;
    assert_eq!(answered.status, StatusCode::OK);
    let error = &last_event(&answered.body)["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("internal_error")));
    assert!(!answered.body.contains("secret") && !answered.body.contains("[DONE]"));
    engine.streams(0).await;
}

#[tokio::test]
async fn events_that_end_without_a_result_are_an_error() {
    let engine = FakeEngine::says(vec![text("Hi")]);
    let answered = answer(&app(&engine), post(PATH, &ask(false))).await;
    assert_eq!(last_event(&answered.body)["error"]["code"], "internal_error");
}

#[tokio::test]
async fn a_panic_inside_a_stream_ends_that_stream_alone() {
    let (engine, says) = FakeEngine::held();
    says.send(Say::Event(text("Hi"))).unwrap();
    says.send(Say::Panic).unwrap();
    let app = app(&engine);
    let answered = answer(&app, post(PATH, &ask(false))).await;
    assert_eq!(last_event(&answered.body)["error"]["code"], "internal_error");
    assert_eq!(app.in_flight(), 0);
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_for_its_request_alone() {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let app = app(&engine);
    *engine.panics.lock().unwrap() = true;
    let answered = answer(&app, post(PATH, &ask(false))).await;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answered.error()["code"], "internal_error");
    assert_eq!(app.in_flight(), 0);

    engine.panics.clear_poison();
    *engine.panics.lock().unwrap() = false;
    assert_eq!(answer(&app, post(PATH, &ask(false))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn dropping_a_stream_cancels_its_generation() {
    let (engine, says) = FakeEngine::held();
    says.send(Say::Event(text("Hi"))).unwrap();
    let app = app(&engine);
    let mut response = send(&app, post(PATH, &ask(false))).await;
    response.body_mut().frame().await.unwrap().unwrap();
    engine.streams(1).await;
    drop(response);
    engine.streams(0).await;
    assert_eq!(app.in_flight(), 0);
}

#[tokio::test]
async fn dropping_a_request_cancels_its_generation() {
    let (engine, _says) = FakeEngine::held();
    let app = app(&engine);
    let body = json!({ "messages": [{ "role": "user", "content": "x" }] });
    let mut answering = Box::pin(send(&app, post(PATH, &body)));
    assert!(answering.as_mut().now_or_never().is_none());
    engine.streams(1).await;
    assert_eq!(app.in_flight(), 1);
    drop(answering);
    engine.streams(0).await;
    assert_eq!(app.in_flight(), 0);
}

#[tokio::test]
async fn the_time_limit_ends_a_stream_and_an_answer() {
    for stream in [true, false] {
        let (engine, _says) = FakeEngine::held();
        let config = Config { request_timeout: Duration::from_millis(1), ..Config::default() };
        let app = app_with(&engine, FakeGate::default(), config);
        let body = json!({ "messages": [{ "role": "user", "content": "x" }], "stream": stream });
        let answered = answer(&app, post(PATH, &body)).await;
        let error = if stream && answered.status == StatusCode::OK {
            last_event(&answered.body)["error"].clone()
        } else {
            assert_eq!(answered.status, StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(answered.header("x-should-retry"), "false");
            answered.error()
        };
        assert_eq!(error["code"], "request_timeout");
        engine.streams(0).await;
    }
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let (engine, says) = FakeEngine::held();
    let config = Config { keep_alive: Duration::from_millis(1), ..Config::default() };
    let app = app_with(&engine, FakeGate::default(), config);
    let mut response = send(&app, post(PATH, &ask(false))).await;
    for _ in 0..2 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), ": keep-alive\n\n");
    }
    says.send(Say::Event(finished(FinishReason::Stop))).unwrap();
    assert!(read(response).await.body.ends_with("data: [DONE]\n\n"));
}
