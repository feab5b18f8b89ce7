//! What the engine is asked.

use axum::http::StatusCode;
use mlx_gate_core::{
    Conversation, Effort, FinishReason, Grammar, Message, Phase, Prompt, Role, ToolCall, ToolChoice,
};
use serde_json::{Value, json};

use super::{PATH, ask};
use crate::Config;
use crate::tests::fakes::{FakeEngine, FakeGate, answer, app_with, finished, post};

async fn asked(more: &Value) -> (mlx_gate_core::Request, Conversation, FakeGate) {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let gate = FakeGate::default();
    let app = app_with(&engine, gate.clone(), Config::default());
    let answered = answer(&app, post(PATH, &ask(more))).await;
    assert_eq!(answered.status, StatusCode::OK, "{more}: {}", answered.body);
    let asked = engine.asked();
    let Prompt::Chat(conversation) = asked.prompt.clone() else { panic!("not a conversation") };
    (asked, conversation, gate)
}

fn turn(role: Role, content: &str) -> Message {
    let content = Some(content.to_owned());
    Message { role, content, reasoning: None, tool_calls: Vec::new(), tool_call_id: None, name: None }
}

#[tokio::test]
async fn every_field_reaches_the_engine() {
    let schema = json!({ "type": "object" });
    let (asked, conversation, gate) = asked(&json!({
        "model": "demo", "instructions": "be brief", "max_output_tokens": 7, "temperature": 0.5, "top_p": 0.9,
        "tools": [{ "type": "function", "name": "f", "description": "d", "parameters": schema, "strict": false }],
        "tool_choice": { "type": "function", "name": "f" }, "parallel_tool_calls": false,
        "text": { "format": { "type": "json_schema", "name": "n", "schema": schema, "strict": true }, "verbosity": "medium" },
        "reasoning": { "effort": "max", "summary": "detailed" }, "user": "u0", "safety_identifier": "u1",
        "metadata": { "a": "b" }, "client_metadata": { "session": "s" }, "prompt_cache_key": "k",
        "prompt_cache_retention": "24h", "store": false, "service_tier": "auto", "truncation": "disabled",
        "background": false, "previous_response_id": null, "include": [], "max_tool_calls": 3, "top_logprobs": 0,
        "stream_options": { "include_obfuscation": false },
    }))
    .await;
    assert_eq!((asked.model.as_deref(), asked.max_output_tokens), (Some("demo"), Some(7)));
    assert_eq!((asked.sampling.temperature, asked.sampling.top_p), (Some(0.5), Some(0.9)));
    assert_eq!(asked.grammar, Some(Grammar::JsonSchema(schema.clone())));
    assert_eq!(conversation.messages, [turn(Role::System, "be brief"), turn(Role::User, "hello")]);
    let function = json!({ "name": "f", "description": "d", "parameters": schema });
    assert_eq!(conversation.tools, [json!({ "type": "function", "function": function })]);
    assert_eq!(conversation.tool_choice, ToolChoice::Function("f".to_owned()));
    assert!(!conversation.parallel_tool_calls);
    assert_eq!(conversation.reasoning.effort, Some(Effort::XHigh));
    let operation = gate.seen.operation(Phase::Authorize);
    assert_eq!((operation.end_user.as_deref(), operation.tools), (Some("u1"), 1));
}

#[tokio::test]
async fn items_become_the_turns_that_templates_know() {
    let input = json!([
        { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "ask first" }] },
        { "role": "user", "content": "one" },
        { "type": "message", "role": "user", "content": [
            { "type": "input_text", "text": "two" }, { "type": "input_text", "text": "three" },
        ] },
        { "type": "reasoning", "id": "rs_1", "summary": [], "content": [{ "type": "reasoning_text", "text": "hm" }] },
        {
            "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{ "type": "output_text", "text": "I look.", "annotations": [], "logprobs": [] }],
        },
        {
            "type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c1", "name": "f",
            "arguments": "{\"a\":1}",
        },
        { "type": "function_call", "call_id": "c2", "name": "g", "arguments": "not json" },
        { "type": "function_call_output", "call_id": "c1", "output": "rain" },
        { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "noon" }] },
        { "type": "message", "role": "developer", "content": "no more tools" },
        { "type": "reasoning", "summary": [], "encrypted_content": "mlx-gate-reasoning:d2VsbA==" },
        { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "s" }], "encrypted_content": "gAAAA" },
        { "type": "message", "role": "assistant", "content": "Rain at noon." },
        { "role": "user", "content": "bye" },
    ]);
    let (_, conversation, _) = asked(&json!({ "instructions": "be brief", "input": input })).await;
    let called = Message {
        reasoning: Some("hm".to_owned()),
        tool_calls: vec![
            ToolCall { id: "c1".into(), name: "f".into(), arguments: json!({ "a": 1 }) },
            ToolCall { id: "c2".into(), name: "g".into(), arguments: json!("not json") },
        ],
        ..turn(Role::Assistant, "I look.")
    };
    let result = |id: &str, name: &str, content: &str| Message {
        tool_call_id: Some(id.to_owned()),
        name: Some(name.to_owned()),
        ..turn(Role::Tool, content)
    };
    assert_eq!(
        conversation.messages,
        [
            turn(Role::System, "be brief\nask first"),
            turn(Role::User, "one\ntwo\nthree"),
            called,
            result("c1", "f", "rain"),
            result("c2", "g", "noon"),
            turn(Role::User, "<system-reminder>\nno more tools\n</system-reminder>"),
            Message { reasoning: Some("well".to_owned()), ..turn(Role::Assistant, "Rain at noon.") },
            turn(Role::User, "bye"),
        ]
    );
}

#[tokio::test]
async fn tools_are_called_as_the_client_says() {
    let tools = json!([{ "type": "function", "name": "f" }, { "type": "function", "name": "g" }]);
    let only_g = json!([{ "type": "function", "name": "g" }]);
    for (choice, expected, offered) in [
        (Value::Null, ToolChoice::Auto, 2),
        (json!("auto"), ToolChoice::Auto, 2),
        (json!("none"), ToolChoice::None, 2),
        (json!("required"), ToolChoice::Required, 2),
        (json!({ "type": "function", "name": "g" }), ToolChoice::Function("g".to_owned()), 2),
        (json!({ "type": "allowed_tools", "mode": "required", "tools": only_g }), ToolChoice::Required, 1),
    ] {
        let (_, conversation, _) = asked(&json!({ "tools": tools, "tool_choice": choice })).await;
        assert_eq!((conversation.tool_choice, conversation.tools.len()), (expected, offered), "{choice}");
    }
}

#[tokio::test]
async fn formats_become_grammars() {
    for (format, grammar) in [
        (Value::Null, None),
        (json!({ "type": "text" }), None),
        (json!({ "type": "json_object" }), Some(Grammar::JsonObject)),
    ] {
        let (asked, ..) = asked(&json!({ "text": { "format": format } })).await;
        assert_eq!(asked.grammar, grammar, "{format}");
    }
}
