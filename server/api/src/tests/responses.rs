//! `POST /v1/responses`, on the wire.

mod bad_input;
mod conversation;
mod streams;

use axum::http::StatusCode;
use mlx_gate_core::{EngineError, FinishReason};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, call, finished, post, reasoning, stable, started, text};

const PATH: &str = "/v1/responses";

fn ask(more: &Value) -> Value {
    let mut body = json!({ "input": "hello" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("h"),
        reasoning("m"),
        text("Let me "),
        text("look."),
        call(0, Some(("call_1", "get_weather")), "{\"city\":"),
        call(0, None, "\"Oslo\"}"),
        call(1, Some(("call_2", "get_time")), "{}"),
        finished(FinishReason::ToolCalls),
    ]);
    let body = ask(&json!({
        "instructions": "be brief", "temperature": 0.5, "max_output_tokens": 9, "metadata": { "run": "7" },
        "reasoning": { "effort": "low", "summary": "auto" }, "include": ["reasoning.encrypted_content"],
        "tools": [{ "type": "function", "name": "get_weather", "parameters": null, "strict": true }],
    }));
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    let mut answer: Value = serde_json::from_str(&stable(&answered.body)).unwrap();
    for key in ["created_at", "completed_at"] {
        let at = answer.as_object_mut().unwrap().shift_remove(key);
        assert!(at.is_some_and(|at| at.is_u64()), "{key}");
    }
    assert_eq!(
        answer,
        json!({
            "id": "resp_..", "object": "response", "status": "completed", "error": null, "incomplete_details": null,
            "model": "demo",
            "output": [
                {
                    "type": "reasoning", "id": "rs_..", "status": "completed", "summary": [],
                    "content": [{ "type": "reasoning_text", "text": "hm" }],
                    "encrypted_content": "mlx-gate-reasoning:aG0=",
                },
                {
                    "type": "message", "id": "msg_..", "status": "completed", "role": "assistant",
                    "content": [{ "type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": [] }],
                },
                {
                    "type": "function_call", "id": "fc_..", "status": "completed", "call_id": "call_1",
                    "name": "get_weather", "arguments": "{\"city\":\"Oslo\"}",
                },
                {
                    "type": "function_call", "id": "fc_..", "status": "completed", "call_id": "call_2",
                    "name": "get_time", "arguments": "{}",
                },
            ],
            "usage": {
                "input_tokens": 3, "input_tokens_details": { "cached_tokens": 1, "cache_write_tokens": 0 },
                "output_tokens": 5, "output_tokens_details": { "reasoning_tokens": 2 }, "total_tokens": 8,
            },
            "instructions": "be brief", "max_output_tokens": 9, "max_tool_calls": null, "metadata": { "run": "7" },
            "prompt_cache_key": null, "prompt_cache_retention": null,
            "reasoning": { "effort": "low", "summary": "auto" }, "safety_identifier": null, "temperature": 0.5,
            "top_p": null, "user": null, "previous_response_id": null, "conversation": null, "background": false,
            "prompt": null, "store": false, "service_tier": "default", "top_logprobs": 0, "truncation": "disabled",
            "parallel_tool_calls": true, "text": { "format": { "type": "text" } }, "tool_choice": "auto",
            "tools": [{ "type": "function", "name": "get_weather", "parameters": null, "strict": true }],
        })
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_incomplete() {
    let engine = FakeEngine::says(vec![reasoning("hm"), text("He"), finished(FinishReason::Length)]);
    let answered = answer(&app(&engine), post(PATH, &ask(&json!({})))).await.json();
    assert_eq!(answered["status"], "incomplete");
    assert_eq!(answered["incomplete_details"], json!({ "reason": "max_output_tokens" }));
    assert_eq!(answered["output"][0]["status"], "completed");
    assert_eq!(answered["output"][0]["encrypted_content"], Value::Null, "nobody asked for it");
    assert_eq!(answered["output"][1]["status"], "incomplete");
    assert_eq!(answered["completed_at"], Value::Null);
}

#[tokio::test]
async fn hosted_tools_are_left_out_and_named() {
    for stream in [false, true] {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let body = ask(&json!({ "stream": stream, "tools": [
            { "type": "web_search", "external_web_access": false },
            { "type": "function", "name": "f", "description": "d", "parameters": { "type": "object" } },
            { "type": "image_generation", "output_format": "png" },
        ] }));
        let answered = answer(&app(&engine), post(PATH, &body)).await;
        assert_eq!(answered.header("x-tools-not-offered"), "web_search, image_generation");
        let mlx_gate_core::Prompt::Chat(conversation) = engine.asked().prompt else {
            panic!("a conversation")
        };
        assert_eq!(
            conversation.tools,
            [
                json!({ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object" } } })
            ]
        );
        if !stream {
            assert_eq!(answered.json()["tools"].as_array().unwrap().len(), 1);
        }
    }
}

/// As Codex declares its own.
#[tokio::test]
async fn functions_of_a_namespace_are_spelled_for_the_model_and_told_apart_for_the_client() {
    let schema = json!({ "type": "object" });
    let body = json!({
        "input": [
            { "role": "user", "content": "close them" },
            { "type": "function_call", "call_id": "c1", "namespace": "agents", "name": "close", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": "closed" },
        ],
        "tools": [
            { "type": "function", "name": "close", "description": "A door.", "parameters": schema },
            { "type": "namespace", "name": "agents", "description": "About agents.", "tools": [
                { "type": "function", "name": "close", "description": "One of them.", "parameters": schema },
            ] },
        ],
        "tool_choice": { "type": "function", "namespace": "agents", "name": "close" },
    });
    for stream in [false, true] {
        let engine = FakeEngine::says(vec![
            call(0, Some(("call_1", "agents__close")), "{}"),
            call(1, Some(("call_2", "close")), "{}"),
            finished(FinishReason::ToolCalls),
        ]);
        let mut body = body.clone();
        body["stream"] = stream.into();
        let answered = answer(&app(&engine), post(PATH, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        let mlx_gate_core::Prompt::Chat(asked) = engine.asked().prompt else { panic!("a conversation") };
        let offered = |at: usize, key: &str| asked.tools[at]["function"][key].clone();
        assert_eq!((offered(0, "name"), offered(1, "name")), (json!("close"), json!("agents__close")));
        assert_eq!(offered(1, "description"), "About agents.\n\nOne of them.");
        assert_eq!(asked.messages[1].tool_calls[0].name, "agents__close");
        assert_eq!(asked.tool_choice, mlx_gate_core::ToolChoice::Function("agents__close".to_owned()));
        let last = answered.body.lines().rev().find_map(|line| line.strip_prefix("data: "));
        let whole = match last {
            Some(event) => serde_json::from_str::<Value>(event).unwrap()["response"].clone(),
            None => answered.json(),
        };
        let called =
            |at: usize| (whole["output"][at]["namespace"].clone(), whole["output"][at]["name"].clone());
        assert_eq!(called(0), (json!("agents"), json!("close")));
        assert_eq!(called(1), (Value::Null, json!("close")));
        assert_eq!(whole["tools"], body["tools"]);
    }
}

#[tokio::test]
async fn an_error_has_openais_shape() {
    let engine = FakeEngine::says(Vec::new());
    *engine.refuses_to_prepare.lock().unwrap() =
        Some(EngineError::PromptTooLong { prompt_tokens: 9, context_length: 8 });
    let answered = answer(&app(&engine), post(PATH, &ask(&json!({})))).await;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    assert_eq!(answered.error()["code"], "context_length_exceeded");
    assert_eq!(answered.error()["param"], "input");
}
