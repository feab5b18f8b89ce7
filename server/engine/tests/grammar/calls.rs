//! Calls of tools that an answer has to make, or may make in one way only.

use mlx_gate_core::{Conversation, FinishReason, Grammar, Request, ToolChoice};
use mlx_gate_engine::fake::{self, FakeDecoder, Reply};
use serde_json::{Value, json};

use crate::setting::{Answer, answer, chat, rambling, speaking};

fn weather() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": { "type": "string", "minLength": 1, "maxLength": 12 },
            "unit": { "$ref": "#/$defs/unit" },
        },
        "required": ["city", "unit"],
        "additionalProperties": false,
        "$defs": { "unit": { "enum": ["C", "F"] } },
    })
}

fn tools() -> Vec<Value> {
    vec![
        json!({ "type": "function", "function": { "name": "weather", "parameters": weather() } }),
        json!({ "type": "function", "function": { "name": "weather_now" } }),
    ]
}

fn conversation(tool_choice: ToolChoice) -> Conversation {
    Conversation { tools: tools(), tool_choice, ..Conversation::default() }
}

fn check(answer: &Answer) {
    assert_eq!((answer.text.as_str(), answer.reason), ("", Some(FinishReason::ToolCalls)), "{answer:?}");
    assert!(!answer.calls.is_empty());
    for (name, arguments) in &answer.calls {
        let arguments: Value = serde_json::from_str(arguments).expect("JSON");
        match name.as_str() {
            "weather" => assert!(jsonschema::is_valid(&weather(), &arguments), "{arguments}"),
            "weather_now" => assert_eq!(arguments, json!({})),
            other => panic!("nobody offered {other}"),
        }
    }
}

#[tokio::test]
async fn a_required_call_is_made() {
    let engine = rambling(11);
    let mut names = Vec::new();
    let mut several = 0;
    for seed in 0..40 {
        let answer = answer(&engine, chat(conversation(ToolChoice::Required), seed)).await;
        check(&answer);
        several += u32::from(answer.calls.len() > 1);
        names.extend(answer.calls.into_iter().map(|(name, _)| name));
    }
    assert!(several > 0);
    assert!(names.contains(&"weather".to_owned()) && names.contains(&"weather_now".to_owned()));
}

#[tokio::test]
async fn the_function_named_is_called_and_only_once_where_one_call_is_allowed() {
    let engine = rambling(12);
    for seed in 0..20 {
        let choice = ToolChoice::Function("weather".to_owned());
        let once = Conversation { parallel_tool_calls: false, ..conversation(choice) };
        let answer = answer(&engine, chat(once, seed)).await;
        check(&answer);
        assert_eq!(answer.calls.len(), 1);
        assert_eq!(answer.calls[0].0, "weather");
    }
}

#[tokio::test]
async fn a_forced_call_wins_over_the_format_of_an_answer_that_need_not_call() {
    let engine = rambling(13);
    let format = Some(Grammar::Choice(vec!["no".to_owned()]));
    let forced = Request { grammar: format.clone(), ..chat(conversation(ToolChoice::Required), 1) };
    check(&answer(&engine, forced).await);
    let (mut texts, mut calls) = (0, 0);
    let mut strict = conversation(ToolChoice::Auto);
    for tool in &mut strict.tools {
        tool["function"]["strict"] = true.into();
    }
    for seed in 0..40 {
        let free = Request { grammar: format.clone(), ..chat(strict.clone(), seed) };
        let answer = answer(&engine, free).await;
        if answer.calls.is_empty() {
            assert_eq!((answer.text.as_str(), answer.reason), ("no", Some(FinishReason::Stop)));
            texts += 1;
        } else {
            assert_eq!(answer.reason, Some(FinishReason::ToolCalls), "{answer:?}");
            calls += 1;
        }
    }
    assert!(texts > 0 && calls > 0, "{texts} texts and {calls} calls");
}

/// A model that says this, and afterwards anything.
fn saying(beginning: &str) -> FakeDecoder {
    let said = fake::tokens(beginning);
    FakeDecoder::new(move |row| match said.get(row.answer.len()) {
        Some(&token) => Reply::Token(token),
        None => Reply::Logits((0..257).map(|token| ((token * 31) % 257) as f32 / 100.0).collect()),
    })
}

#[tokio::test]
async fn text_is_free_and_the_calls_in_it_are_not() {
    let mut strict = conversation(ToolChoice::Auto);
    strict.tools[0]["function"]["strict"] = true.into();
    let beginning = "Let me <b>look</b>.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": ";
    let mut request = chat(strict, 3);
    request.max_output_tokens = Some(400);
    let answer = answer(&speaking(saying(beginning)), request).await;
    assert!(answer.text.starts_with("Let me <b>look</b>."), "{answer:?}");
    let arguments: Value = serde_json::from_str(&answer.calls[0].1).expect("JSON");
    assert!(jsonschema::is_valid(&weather(), &arguments), "{arguments}");
}

#[tokio::test]
async fn a_second_call_is_not_possible_where_one_is_allowed() {
    let call = "<tool_call>\n{\"name\": \"weather_now\", \"arguments\": {}}\n</tool_call>";
    let twice = || speaking(saying(&format!("{call}\n{call}")));
    let request = |parallel_tool_calls| {
        let mut request = chat(Conversation { parallel_tool_calls, ..conversation(ToolChoice::Auto) }, 4);
        request.max_output_tokens = Some(300);
        request
    };
    assert_eq!(answer(&twice(), request(true)).await.calls.len(), 2);
    assert_eq!(answer(&twice(), request(false)).await.calls.len(), 1);
}

#[tokio::test]
async fn forced_calls_come_behind_the_reasoning() {
    let mut thinking = conversation(ToolChoice::Required);
    thinking.reasoning.enabled = Some(true);
    let answer = answer(&speaking(saying("I call it.</think>\n\n")), chat(thinking, 5)).await;
    assert_eq!(answer.reasoning, "I call it.");
    check(&answer);
}
