//! Grammars that cannot be followed, and what is said about them.

use std::time::Duration;

use mlx_gate_core::Engine as _;
use mlx_gate_core::{Conversation, EngineError, Grammar, Request, ToolChoice};
use mlx_gate_engine::{Config, LocalEngine, fake};
use serde_json::{Value, json};

use crate::setting::{answer, chat, following, rambling, refusal};

#[tokio::test]
async fn what_cannot_be_followed_is_refused_with_the_reason() {
    let engine = rambling(21);
    let schema = |schema: Value| Grammar::JsonSchema(schema);
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "type": "array", "items": inner }));
    let cases = [
        (schema(json!({ "type": "array", "uniqueItems": true })), "uniqueItems"),
        (schema(json!({ "oneOf": [{ "type": "integer" }, { "type": "number", "minimum": 3 }] })), "oneOf"),
        (schema(json!({ "oneOf": [{ "const": 1 }, { "const": 1.0 }] })), "oneOf"),
        (
            schema(
                json!({ "oneOf": [{ "properties": { "a": { "const": 1 } } }, { "properties": { "a": { "const": 2 } } }] }),
            ),
            "oneOf",
        ),
        (schema(json!({ "properties": { "a": { "not": {} } } })), "not"),
        (schema(json!({ "type": "string", "format": "credit-card" })), "credit-card"),
        (schema(json!({ "type": "text" })), "text"),
        (schema(json!({ "$ref": "#/$defs/none" })), "none"),
        (schema(json!({ "$ref": "https://example.com/schema" })), "example.com"),
        (schema(json!({ "type": "integer", "minimum": 5, "maximum": 1 })), "minimum (5)"),
        (schema(json!({ "type": "string", "pattern": "(?=a)b" })), "look-around"),
        (schema(json!({ "x-guidance": { "lenient": true }, "uniqueItems": true })), "x-guidance"),
        (schema(json!(false)), "neither an object nor `true`"),
        (schema(json!("string")), "neither an object nor `true`"),
        (Grammar::Regex("a(b".to_owned()), "unclosed group"),
        (Grammar::Regex("(".repeat(100_000)), ""),
        (Grammar::Lark("begin: \"a\"".to_owned()), "start"),
        (Grammar::Lark("start: missing".to_owned()), "missing"),
        (Grammar::Lark(format!("start: {}\"a\"{}", "(".repeat(50_000), ")".repeat(50_000))), "nested"),
        (Grammar::Choice(Vec::new()), "choice"),
        (Grammar::Choice(vec![String::new()]), "choice"),
    ];
    for (grammar, reason) in cases {
        let shown = format!("{grammar:.100?}");
        let (field, message) = refusal(&engine, following(grammar, 0)).await;
        assert_eq!(field, "grammar", "{shown}");
        assert!(message.contains(reason), "{message:?} for {shown}");
        assert!(!message.contains("backtrace") && !message.contains("non-verbose"), "{message}");
    }
    let accepted =
        answer(&engine, Request { max_output_tokens: Some(9), ..following(schema(deep), 0) }).await;
    assert_eq!(accepted.error, None, "what nests deep is no mistake");
}

#[tokio::test]
async fn calls_that_cannot_be_bound_are_refused() {
    let engine = rambling(22);
    let tool = |parameters: Value| json!({ "type": "function", "function": { "name": "f", "strict": true, "parameters": parameters } });
    let cases = [
        (vec![], ToolChoice::Required, "tool_choice", "`tools` has none"),
        (vec![tool(json!({}))], ToolChoice::Function("g".to_owned()), "tool_choice", "no function `g`"),
        (
            vec![tool(json!({ "uniqueItems": true }))],
            ToolChoice::Required,
            "tools",
            "the parameters of `f`: ",
        ),
        (vec![tool(json!({ "type": "string" }))], ToolChoice::Required, "tools", "another `type`"),
        (vec![tool(json!([]))], ToolChoice::Required, "tools", "no JSON schema"),
        (vec![json!({ "type": "function" })], ToolChoice::Required, "tools", "no name"),
    ];
    for (tools, tool_choice, expected, reason) in cases {
        let conversation = Conversation { tools, tool_choice, ..Conversation::default() };
        let (field, message) = refusal(&engine, chat(conversation, 0)).await;
        assert_eq!(field, expected, "{message}");
        assert!(message.contains(reason), "{message:?}");
    }
}

#[tokio::test]
async fn compiling_takes_no_longer_than_it_may() {
    let config = Config { grammar_time_limit: Duration::ZERO, ..Config::default() };
    let engine = LocalEngine::spawn(config, vec![fake::model("fake", fake::says(""))]).expect("it loads");
    // Large enough that it is not there at once.
    let choice = Grammar::Choice((0..20_000).map(|number| format!("choice {number}")).collect());
    let refused = engine.prepare(following(choice, 0)).await;
    let Err(EngineError::InvalidRequest { field, message }) = refused else { panic!("it is accepted") };
    assert_eq!((field, message.contains("0 s")), ("grammar", true), "{message}");
}
