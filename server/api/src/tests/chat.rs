use axum::http::StatusCode;
use mlx_gate_core::{Effort, EngineError, FinishReason, Grammar, Prompt, Role, ToolCall, ToolChoice};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, call, finished, post, reasoning, stable, started, text};

const PATH: &str = "/v1/chat/completions";

fn ask(mut more: Value) -> Value {
    let body = more.as_object_mut().unwrap();
    body.entry("messages").or_insert_with(|| json!([{ "role": "user", "content": "hello" }]));
    more
}

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("hm"),
        text("Hel"),
        text("lo"),
        finished(FinishReason::Length),
    ]);
    let answered = answer(&app(&engine), post(PATH, &ask(json!({})))).await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.header("content-type"), "application/json");
    assert_eq!(
        stable(&answered.body),
        concat!(
            r#"{"id":"chatcmpl-..","object":"chat.completion","created":0,"model":"demo","system_fingerprint":"fp_..","choices":[{"index":0,"#,
            r#""message":{"role":"assistant","content":"Hello","refusal":null,"reasoning_content":"hm"},"#,
            r#""logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"#,
            r#""total_tokens":8,"prompt_tokens_details":{"cached_tokens":1},"#,
            r#""completion_tokens_details":{"reasoning_tokens":2}}}"#
        )
    );
}

#[tokio::test]
async fn tool_calls_are_gathered() {
    let engine = FakeEngine::says(vec![
        call(0, Some(("call_1", "get_weather")), "{\"city\":"),
        call(0, None, "\"Oslo\"}"),
        call(1, Some(("call_2", "get_time")), "{}"),
        finished(FinishReason::ToolCalls),
    ]);
    let answered = answer(&app(&engine), post(PATH, &ask(json!({})))).await.json();
    let choice = &answered["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(
        choice["message"]["tool_calls"],
        json!([
            { "id": "call_1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\":\"Oslo\"}" } },
            { "id": "call_2", "type": "function", "function": { "name": "get_time", "arguments": "{}" } },
        ])
    );
}

#[tokio::test]
async fn every_field_reaches_the_engine() {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let tool = json!({
        "type": "function",
        "function": { "name": "get_weather", "parameters": { "type": "object", "x-order": [1, 2] } },
    });
    let body = json!({
        "model": "demo",
        "messages": [
            { "role": "developer", "content": "be brief" },
            { "role": "user", "content": [{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }], "name": "bob" },
            {
                "role": "assistant", "content": null, "reasoning_content": "think", "refusal": null, "annotations": [],
                "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\":\"Oslo\"}" } },
                    { "id": "c2", "type": "function", "function": { "name": "get_weather", "arguments": "not json" } },
                ],
            },
            { "role": "tool", "tool_call_id": "c1", "content": "rain" },
        ],
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": -1,
        "presence_penalty": -1, "frequency_penalty": 1.5, "repetition_penalty": 1.1,
        "logit_bias": { "7": -100, "9": 2.5 },
        "max_tokens": 7, "max_completion_tokens": 7.0, "stop": ["a", "b"],
        "tools": [tool], "tool_choice": "auto", "parallel_tool_calls": true,
        "chat_template_kwargs": { "custom": [1] }, "reasoning_effort": "high",
        "n": 1, "logprobs": false, "top_logprobs": null, "response_format": { "type": "text" }, "stream": false,
        "user": "u1", "metadata": { "a": "b" }, "store": false, "service_tier": "auto", "modalities": ["text"],
        "safety_identifier": "s1", "prompt_cache_key": "k",
    });
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);

    let asked = engine.asked();
    assert_eq!(asked.id, answered.header("x-request-id"));
    assert_eq!(asked.model.as_deref(), Some("demo"));
    assert_eq!(asked.max_output_tokens, Some(7));
    assert_eq!(asked.stop, ["a", "b"]);
    let sampling = asked.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.9), Some(40)));
    assert_eq!((sampling.min_p, sampling.seed), (Some(0.1), Some(u64::MAX)));
    assert_eq!(sampling.presence_penalty, Some(-1.0));
    assert_eq!(sampling.frequency_penalty, Some(1.5));
    assert_eq!(sampling.repetition_penalty, Some(1.1));
    assert_eq!(sampling.logit_bias, [(7, -100.0), (9, 2.5)]);

    let Prompt::Chat(conversation) = asked.prompt else { panic!("not a conversation") };
    assert_eq!(conversation.tools, [tool]);
    assert_eq!(Value::Object(conversation.template_options), json!({ "custom": [1] }));
    assert_eq!(conversation.reasoning.effort, Some(Effort::High));
    let [system, user, assistant, result] = conversation.messages.as_slice() else { panic!("four turns") };
    assert_eq!((system.role, system.content.as_deref()), (Role::System, Some("be brief")));
    assert_eq!((user.content.as_deref(), user.name.as_deref()), (Some("one\ntwo"), Some("bob")));
    assert_eq!((assistant.content.as_deref(), assistant.reasoning.as_deref()), (None, Some("think")));
    assert_eq!(
        assistant.tool_calls,
        [
            ToolCall { id: "c1".into(), name: "get_weather".into(), arguments: json!({ "city": "Oslo" }) },
            ToolCall { id: "c2".into(), name: "get_weather".into(), arguments: json!("not json") },
        ]
    );
    assert_eq!((result.role, result.tool_call_id.as_deref()), (Role::Tool, Some("c1")));
}

#[tokio::test]
async fn a_function_that_is_named_is_no_reason_to_end() {
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let named = json!({ "type": "function", "function": { "name": "f" } });
    for (tool_choice, reason, expected) in [
        (json!("auto"), FinishReason::ToolCalls, "tool_calls"),
        (json!("required"), FinishReason::ToolCalls, "tool_calls"),
        (named.clone(), FinishReason::ToolCalls, "stop"),
        (named, FinishReason::Length, "length"),
    ] {
        for stream in [false, true] {
            let engine = FakeEngine::says(vec![call(0, Some(("c1", "f")), "{}"), finished(reason)]);
            let body = ask(json!({ "tools": tools, "tool_choice": tool_choice, "stream": stream }));
            let answered = answer(&app(&engine), post(PATH, &body)).await;
            assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
            let wanted = format!("\"finish_reason\":\"{expected}\"");
            assert!(answered.body.contains(&wanted), "{tool_choice} {stream}: {}", answered.body);
        }
    }
}

#[tokio::test]
async fn reasoning_is_bounded_in_several_words() {
    for (said, expected) in [
        (json!({ "thinking_token_budget": 100 }), (None, None, Some(100))),
        (json!({ "thinking_token_budget": -1 }), (None, None, None)),
        (json!({ "thinking_token_budget": 0 }), (None, None, Some(0))),
        (json!({ "reasoning": { "max_tokens": 7, "exclude": false } }), (None, None, Some(7))),
        (
            json!({ "reasoning": { "effort": "low" }, "reasoning_effort": "low" }),
            (None, Some(Effort::Low), None),
        ),
        (json!({ "reasoning": { "enabled": true } }), (Some(true), None, None)),
        (
            json!({ "reasoning": { "enabled": true, "max_tokens": 9 }, "reasoning_effort": "high" }),
            (Some(true), Some(Effort::High), Some(9)),
        ),
    ] {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(PATH, &ask(said.clone()))).await;
        assert_eq!(answered.status, StatusCode::OK, "{said}: {}", answered.body);
        let Prompt::Chat(conversation) = engine.asked().prompt else { panic!("not a conversation") };
        let reasoning = conversation.reasoning;
        assert_eq!((reasoning.enabled, reasoning.effort, reasoning.max_tokens), expected, "{said}");
    }
}

#[tokio::test]
async fn nulls_count_as_absent() {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let body = ask(json!({
        "model": null, "temperature": null, "stop": null, "stream": null, "stream_options": null, "tools": null,
        "tool_choice": null, "logit_bias": null, "n": null, "logprobs": null, "response_format": null, "user": null,
    }));
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    assert_eq!(engine.asked().sampling, mlx_gate_core::SamplingOverrides::default());
}

#[tokio::test]
async fn without_a_choice_of_tools_the_model_sees_none() {
    let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let body = ask(json!({ "tools": tools, "tool_choice": "none" }));
    answer(&app(&engine), post(PATH, &body)).await;
    let Prompt::Chat(conversation) = engine.asked().prompt else { panic!("not a conversation") };
    assert_eq!(conversation.tool_choice, ToolChoice::None);
    assert_eq!(conversation.offered_tools(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_choice_of_tools_reaches_the_engine() {
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "strict": true } });
    let reference = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let allowed = |mode: &str| json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": [reference("b")] } });
    let both = vec![tool("a"), tool("b")];
    for (choice, expected, tools) in [
        (json!("auto"), ToolChoice::Auto, both.clone()),
        (json!("required"), ToolChoice::Required, both.clone()),
        (reference("b"), ToolChoice::Function("b".to_owned()), both.clone()),
        (allowed("auto"), ToolChoice::Auto, vec![tool("b")]),
        (allowed("required"), ToolChoice::Required, vec![tool("b")]),
    ] {
        let engine = FakeEngine::says(vec![finished(FinishReason::ToolCalls)]);
        let body = ask(json!({ "tools": both, "tool_choice": choice, "parallel_tool_calls": false }));
        let answered = answer(&app(&engine), post(PATH, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{choice}: {}", answered.body);
        let Prompt::Chat(conversation) = engine.asked().prompt else { panic!("not a conversation") };
        assert_eq!((conversation.tool_choice, conversation.tools), (expected, tools), "{choice}");
        assert!(!conversation.parallel_tool_calls);
    }
}

#[tokio::test]
async fn grammars_come_in_several_words() {
    let schema = json!({ "type": "object", "x-order": [2, 1] });
    let named = json!({ "name": "a", "description": "d", "schema": schema, "strict": true });
    for (fields, expected) in [
        (json!({ "response_format": { "type": "text" } }), None),
        (json!({ "response_format": { "type": "json_object" } }), Some(Grammar::JsonObject)),
        (
            json!({ "response_format": { "type": "json_schema", "json_schema": named } }),
            Some(Grammar::JsonSchema(schema.clone())),
        ),
        (json!({ "guided_json": schema }), Some(Grammar::JsonSchema(schema.clone()))),
        (json!({ "guided_json": schema.to_string() }), Some(Grammar::JsonSchema(schema.clone()))),
        (json!({ "guided_regex": "a+" }), Some(Grammar::Regex("a+".to_owned()))),
        (json!({ "guided_grammar": "start: \"a\"" }), Some(Grammar::Lark("start: \"a\"".to_owned()))),
        (json!({ "guided_choice": ["a"] }), Some(Grammar::Choice(vec!["a".to_owned()]))),
        (json!({ "structured_outputs": { "json": schema } }), Some(Grammar::JsonSchema(schema.clone()))),
        (json!({ "structured_outputs": { "json_object": true } }), Some(Grammar::JsonObject)),
        (json!({ "structured_outputs": { "regex": "a+" } }), Some(Grammar::Regex("a+".to_owned()))),
        (json!({ "structured_outputs": { "grammar": "g" } }), Some(Grammar::Lark("g".to_owned()))),
        (json!({ "structured_outputs": { "choice": ["a"] } }), Some(Grammar::Choice(vec!["a".to_owned()]))),
    ] {
        for (path, body) in [(PATH, ask(fields.clone())), ("/v1/completions", with_prompt(fields.clone()))] {
            let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
            let answered = answer(&app(&engine), post(path, &body)).await;
            assert_eq!(answered.status, StatusCode::OK, "{fields}: {}", answered.body);
            assert_eq!(engine.asked().grammar, expected, "{fields}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_grammar_is_said_of_the_field_it_came_from() {
    for field in ["guided_regex", "response_format"] {
        let engine = FakeEngine::says(Vec::new());
        let wrong = EngineError::InvalidRequest { field: "grammar", message: "no such type".to_owned() };
        *engine.refuses_to_prepare.lock().unwrap() = Some(wrong);
        let value = if field == "guided_regex" { json!("a") } else { json!({ "type": "json_object" }) };
        let answered = answer(&app(&engine), post(PATH, &ask(json!({ field: value })))).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            (&answered.error()["param"], &answered.error()["message"]),
            (&json!(field), &json!("no such type"))
        );
    }
}

#[tokio::test]
async fn a_tier_is_answered_where_one_is_asked_for() {
    for (tier, expected) in
        [(json!("auto"), json!("default")), (json!("default"), json!("default")), (json!(null), json!(null))]
    {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(PATH, &ask(json!({ "service_tier": tier })))).await;
        assert_eq!(answered.json()["service_tier"], expected, "{}", answered.body);
    }
}

fn with_prompt(mut fields: Value) -> Value {
    fields.as_object_mut().unwrap().insert("prompt".to_owned(), "x".into());
    fields
}
