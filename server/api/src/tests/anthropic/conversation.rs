//! What the engine is asked.

use axum::http::StatusCode;
use mlx_gate_core::{
    Conversation, Effort, FinishReason, Grammar, Message, Prompt, ReasoningOptions, Role, ToolCall,
    ToolChoice,
};
use serde_json::{Value, json};

use super::{MESSAGES, ask, from_client};
use crate::Config;
use crate::tests::fakes::{FakeEngine, FakeGate, answer, app, app_with, finished, post};

/// Sends a request, and gives what the engine was asked and what the gate was told.
async fn asked(more: &Value) -> (mlx_gate_core::Request, Conversation, FakeGate) {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let gate = FakeGate::default();
    let app = app_with(&engine, gate.clone(), Config::default());
    let answered = answer(&app, from_client(post(MESSAGES, &ask(more)))).await;
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
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let (asked, conversation, gate) = asked(&json!({
        "model": "demo", "max_tokens": 4096, "temperature": 0.5, "top_p": 0.9, "top_k": 40,
        "stop_sequences": ["a", "b"], "metadata": { "user_id": "u1" }, "service_tier": "standard_only",
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=fa690;" },
            { "type": "text", "text": "be brief", "cache_control": { "type": "ephemeral", "ttl": "1h" } },
            { "type": "text", "text": "be kind", "citations": null },
        ],
        "tools": [{
            "type": "custom", "name": "get_weather", "description": "d", "input_schema": schema,
            "input_examples": [{ "city": "Oslo" }], "cache_control": { "type": "ephemeral" },
            "eager_input_streaming": true, "defer_loading": false, "allowed_callers": ["direct"], "strict": false,
        }],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "thinking": { "type": "enabled", "budget_tokens": 2048, "display": "summarized" },
        "output_config": { "effort": "max", "format": { "type": "json_schema", "schema": schema } },
        "cache_control": { "type": "ephemeral" }, "speed": "standard",
    }))
    .await;
    assert_eq!(asked.model.as_deref(), Some("demo"));
    assert_eq!(asked.max_output_tokens, Some(4096));
    assert_eq!(asked.stop, ["a", "b"]);
    assert_eq!(asked.grammar, Some(Grammar::JsonSchema(schema)));
    let sampling = asked.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.9), Some(40)));
    assert_eq!(conversation.messages, [turn(Role::System, "be brief\nbe kind"), turn(Role::User, "hello")]);
    assert_eq!(
        conversation.tools,
        [json!({ "type": "function", "function": {
            "name": "get_weather", "description": "d",
            "parameters": {
                "type": "object", "properties": { "city": { "type": "string" } },
                "examples": [{ "city": "Oslo" }],
            },
        } })]
    );
    assert!(!conversation.parallel_tool_calls);
    assert_eq!(
        conversation.reasoning,
        ReasoningOptions {
            enabled: Some(true),
            effort: Some(Effort::XHigh),
            max_tokens: Some(2048),
            optional: true
        }
    );
    let operation = gate.seen.operation(mlx_gate_core::Phase::Authorize);
    assert_eq!((operation.end_user.as_deref(), operation.tools), (Some("u1"), 1));
}

#[tokio::test]
async fn turns_become_those_that_templates_know() {
    let messages = json!([
        { "role": "system", "content": "from the start" },
        { "role": "user", "content": [{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }] },
        { "role": "system", "content": [{ "type": "text", "text": "in between" }] },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "redacted_thinking", "data": "opaque" },
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "t1", "name": "get_weather", "input": { "city": "Oslo" } },
            { "type": "tool_use", "id": "t2", "name": "get_time", "input": {}, "caller": { "type": "direct" } },
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "t1", "content": "rain" },
            {
                "type": "tool_result", "tool_use_id": "t2", "is_error": true,
                "content": [{ "type": "text", "text": "no" }, { "type": "text", "text": "clock" }],
            },
            { "type": "text", "text": "well?" },
        ] },
        { "role": "user", "content": "go on" },
        { "role": "assistant", "content": "" },
        { "role": "assistant", "content": "Rain." },
        { "role": "user", "content": "bye" },
    ]);
    let (_, conversation, _) = asked(&json!({ "system": "be brief", "messages": messages })).await;
    let called = Message {
        reasoning: Some("hm".to_owned()),
        tool_calls: vec![
            ToolCall { id: "t1".into(), name: "get_weather".into(), arguments: json!({ "city": "Oslo" }) },
            ToolCall { id: "t2".into(), name: "get_time".into(), arguments: json!({}) },
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
            turn(Role::System, "be brief\nfrom the start"),
            turn(Role::User, "one\ntwo\n<system-reminder>\nin between\n</system-reminder>"),
            called,
            result("t1", "get_weather", "rain"),
            result("t2", "get_time", "Error: no\nclock"),
            turn(Role::User, "well?\ngo on"),
            turn(Role::Assistant, "Rain."),
            turn(Role::User, "bye"),
        ]
    );
    assert_eq!(conversation.reasoning, ReasoningOptions::default(), "nobody asked for thinking");
}

#[tokio::test]
async fn tools_are_called_as_the_client_says() {
    let tools = json!([{ "name": "f", "input_schema": { "type": "object" } }]);
    for (choice, expected, parallel) in [
        (Value::Null, ToolChoice::Auto, true),
        (json!({ "type": "auto" }), ToolChoice::Auto, true),
        (json!({ "type": "none" }), ToolChoice::None, true),
        (json!({ "type": "any", "disable_parallel_tool_use": true }), ToolChoice::Required, false),
        (json!({ "type": "tool", "name": "f" }), ToolChoice::Function("f".to_owned()), true),
    ] {
        let (_, conversation, _) = asked(&json!({ "tools": tools, "tool_choice": choice })).await;
        assert_eq!(
            (conversation.tool_choice, conversation.parallel_tool_calls),
            (expected, parallel),
            "{choice}"
        );
    }
}

#[tokio::test]
async fn effort_counts_where_there_is_thinking() {
    let on = |effort| ReasoningOptions { enabled: Some(true), effort, max_tokens: None, optional: true };
    let off = ReasoningOptions { enabled: Some(false), ..ReasoningOptions::default() };
    let low = json!({ "effort": "low" });
    for (thinking, output, expected) in [
        (json!({ "type": "adaptive" }), Value::Null, on(None)),
        (json!({ "type": "adaptive" }), low.clone(), on(Some(Effort::Low))),
        (json!({ "type": "disabled" }), low.clone(), off),
        (Value::Null, low, ReasoningOptions::default()),
    ] {
        let (_, conversation, _) = asked(&json!({ "thinking": thinking, "output_config": output })).await;
        assert_eq!(conversation.reasoning, expected, "{thinking}");
    }
}

#[tokio::test]
async fn a_budget_is_less_than_the_answer_has_unless_thinking_is_interleaved() {
    let body = |budget: u32| {
        ask(&json!({ "max_tokens": 4000, "thinking": { "type": "enabled", "budget_tokens": budget } }))
    };
    for (budget, beta, status) in [
        (1024, None, 200),
        (3999, None, 200),
        (4000, None, 400),
        (4000, Some("files-api-2025-04-14"), 400),
        (31_999, Some("claude-code-20250219, interleaved-thinking-2025-05-14"), 200),
    ] {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let mut request = post(MESSAGES, &body(budget));
        if let Some(beta) = beta {
            request.headers_mut().insert("anthropic-beta", beta.parse().unwrap());
        }
        let answered = answer(&app(&engine), request).await;
        assert_eq!(answered.status.as_u16(), status, "{budget} {beta:?}: {}", answered.body);
        if status == 400 {
            assert_eq!(answered.error()["details"]["param"], "max_tokens");
            continue;
        }
        let Prompt::Chat(conversation) = engine.asked().prompt else { panic!("a conversation") };
        assert_eq!(conversation.reasoning.max_tokens, Some(budget));
    }
}

#[tokio::test]
async fn older_thinking_is_cleared_where_the_client_says_so() {
    let thinking = |text: &str| json!({ "role": "assistant", "content": [{ "type": "thinking", "thinking": text }, { "type": "text", "text": "x" }] });
    let user = json!({ "role": "user", "content": "x" });
    let messages = json!([user, thinking("one"), user, thinking("two"), user, thinking("three"), user]);
    for (edits, kept) in [
        (json!([]), vec!["one", "two", "three"]),
        (json!([{ "type": "clear_thinking_20251015", "keep": "all" }]), vec!["one", "two", "three"]),
        (json!([{ "type": "clear_thinking_20251015" }]), vec!["three"]),
        (
            json!([{ "type": "clear_thinking_20251015", "keep": { "type": "thinking_turns", "value": 2 } }]),
            vec!["two", "three"],
        ),
    ] {
        let more = json!({ "messages": messages, "context_management": { "edits": edits } });
        let (_, conversation, _) = asked(&more).await;
        let left = conversation.messages.iter().filter_map(|turn| turn.reasoning.as_deref());
        assert_eq!(left.collect::<Vec<_>>(), kept, "{edits}");
    }
}
