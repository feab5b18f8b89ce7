//! Every kind of grammar, and what surrounds it: reasoning, limits, stop strings, seeds, other rows.

use futures_util::future::{join, join_all};
use mlx_gate_core::{
    Conversation, EndRules, EngineError, FinishReason, Grammar, ReasoningOptions, Request, SamplingOverrides,
};
use mlx_gate_engine::fake::{self, FakeDecoder, Reply};
use serde_json::{Value, json};

use crate::setting::{answer, chat, following, free, rambling, speaking};

/// A conversation whose prompt ends inside of `<think>`.
fn thinking() -> Conversation {
    let reasoning = ReasoningOptions { enabled: Some(true), ..ReasoningOptions::default() };
    Conversation { reasoning, ..Conversation::default() }
}

fn digits() -> Grammar {
    Grammar::Regex("[0-9]{3}-[0-9]{2}".to_owned())
}

fn is_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 6 && bytes[3] == b'-' && bytes.iter().filter(|byte| byte.is_ascii_digit()).count() == 5
}

#[tokio::test]
async fn each_kind_of_grammar_is_followed_to_its_end() {
    let engine = rambling(2);
    for seed in 0..20 {
        let choice = Grammar::Choice(vec!["yes".to_owned(), "yes, but".to_owned(), "né\"\\".to_owned()]);
        let chosen = answer(&engine, following(choice, seed)).await;
        assert!(["yes", "yes, but", "né\"\\"].contains(&chosen.text.as_str()), "{chosen:?}");

        let number = answer(&engine, following(digits(), seed)).await;
        assert!(is_digits(&number.text), "{number:?}");

        let anchored = Grammar::Regex("^(a/b|c\\$)$".to_owned());
        let anchored = answer(&engine, following(anchored, seed)).await;
        assert!(["a/b", "c$"].contains(&anchored.text.as_str()), "{anchored:?}");

        let sum = "start: term (\"+\" term)*\nterm: /[0-9]/ | \"(\" start \")\"\n".to_owned();
        let sum = answer(&engine, following(Grammar::Lark(sum), seed)).await;
        let (open, close) = (sum.text.matches('(').count(), sum.text.matches(')').count());
        assert!(sum.reason == Some(FinishReason::Length) || open == close, "{sum:?}");

        for answer in [&chosen, &number, &anchored] {
            assert_eq!((answer.reason, &answer.error), (Some(FinishReason::Stop), &None), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_object_of_any_kind_is_an_object() {
    let engine = rambling(3);
    let answers = join_all((0..20).map(|seed| answer(&engine, following(Grammar::JsonObject, seed)))).await;
    let complete = answers.iter().filter(|answer| answer.reason == Some(FinishReason::Stop));
    let mut count = 0;
    for answer in complete {
        count += 1;
        let object = serde_json::from_str::<Value>(&answer.text);
        assert!(object.as_ref().is_ok_and(Value::is_object), "{object:?} {answer:?}");
    }
    assert!(count > 0);
}

#[tokio::test]
async fn the_likeliest_token_is_taken_among_those_allowed() {
    // It always wants to say 7; then 9 is nearest.
    let decoder = || {
        FakeDecoder::new(|_| {
            let mut logits = vec![0.0; 257];
            logits[usize::from(b'7')] = 9.0;
            logits[usize::from(b'9')] = 8.0;
            Reply::Logits(logits)
        })
    };
    let greedy = SamplingOverrides { temperature: Some(0.0), ..SamplingOverrides::default() };
    let request = Request { sampling: greedy, ..following(Grammar::Regex("[0-689]{4}7?".to_owned()), 0) };
    let answer = answer(&speaking(decoder()), request).await;
    assert_eq!((answer.text.as_str(), answer.reason), ("99997", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn reasoning_is_free_and_the_grammar_begins_behind_it() {
    for thought in ["Hm, 12?</think>", "<think>a</thin</think>\n\n", "</think>", "é🦀\n</think> "] {
        // After its thought it says nonsense, out of which the grammar makes sense.
        let said = fake::tokens(thought);
        let decoder = FakeDecoder::new(move |row| match said.get(row.answer.len()) {
            Some(&token) => Reply::Token(token),
            None => Reply::Logits((0..257).map(|token| -(token as f32)).collect()),
        });
        let engine = speaking(decoder);
        let answer = answer(&engine, Request { grammar: Some(digits()), ..chat(thinking(), 5) }).await;
        assert!(is_digits(&answer.text), "{answer:?}");
        let shown = thought.trim_start_matches("<think>").split("</think>").next().unwrap_or_default().trim();
        assert_eq!(answer.reasoning, shown);
    }
}

#[tokio::test]
async fn a_model_cannot_end_inside_its_reasoning() {
    // It wants nothing but to end.
    let decoder = FakeDecoder::new(|_| Reply::Token(fake::END));
    let request = Request { grammar: Some(digits()), max_output_tokens: Some(40), ..chat(thinking(), 1) };
    let answer = answer(&speaking(decoder), request).await;
    assert_eq!(answer.reason, Some(FinishReason::Length));
}

#[tokio::test]
async fn without_reasoning_the_grammar_begins_at_once() {
    let engine = rambling(4);
    let request = Request { grammar: Some(digits()), ..chat(Conversation::default(), 1) };
    let answer = answer(&engine, request).await;
    assert!(is_digits(&answer.text) && answer.reasoning.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn limits_and_stop_strings_cut_an_answer_as_any_other() {
    let engine = rambling(5);
    let long = Grammar::Regex("a{50}b{50}".to_owned());
    let cut = Request { max_output_tokens: Some(10), ..following(long.clone(), 0) };
    let cut = answer(&engine, cut).await;
    assert_eq!((cut.text.as_str(), cut.reason), ("aaaaaaaaaa", Some(FinishReason::Length)));
    let stopped = Request { stop: vec!["ab".to_owned()], ..following(long, 0) };
    let stopped = answer(&engine, stopped).await;
    assert_eq!((stopped.text, stopped.reason), ("a".repeat(49), Some(FinishReason::Stop)));
}

#[tokio::test]
async fn a_grammar_at_its_end_goes_before_a_least_length() {
    let engine = rambling(6);
    for (grammar, expected) in [("a{3}", 3), ("a{3,8}", 6), ("a{3,}", 6)] {
        let end = EndRules { min_tokens: 6, ..EndRules::default() };
        let request = Request { end, ..following(Grammar::Regex(grammar.to_owned()), 2) };
        let answer = answer(&engine, request).await;
        assert_eq!(answer.reason, Some(FinishReason::Stop), "{grammar}");
        assert!(
            answer.text.len() >= expected && answer.text.chars().all(|letter| letter == 'a'),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_grammar_that_gets_too_ambiguous_fails_its_own_row() {
    let engine = speaking(FakeDecoder::new(|_| Reply::Token(u32::from(b'a'))));
    let ambiguous = Grammar::Lark("start: s\ns: \"a\" | s s\n".to_owned());
    let free = Request { max_output_tokens: Some(3_000), ..free("Say:", 1) };
    let (bound, free) = join(answer(&engine, following(ambiguous, 0)), answer(&engine, free)).await;
    let Some(EngineError::InvalidRequest { field, message }) = bound.error else { panic!("{bound:?}") };
    assert_eq!((field, message.is_empty()), ("grammar", false));
    assert_eq!((free.reason, free.text.len()), (Some(FinishReason::Length), 3_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_the_same_alone_and_among_others() {
    let schema = json!({
        "type": "object",
        "properties": { "name": { "type": "string", "maxLength": 9 }, "age": { "type": "integer", "maximum": 99 } },
        "required": ["name", "age"],
    });
    let request = |seed| match seed % 3 {
        0 => Request { max_output_tokens: Some(60), ..free("Say:", seed) },
        1 => following(Grammar::JsonSchema(schema.clone()), seed),
        _ => following(digits(), seed),
    };
    let (alone, together) = (rambling(6), rambling(6));
    let mut expected = Vec::new();
    for seed in 0..30 {
        expected.push(answer(&alone, request(seed)).await);
    }
    let answers = join_all((0..30).map(|seed| answer(&together, request(seed)))).await;
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn branches_that_exclude_each_other_are_one_of_them() {
    let engine = rambling(7);
    let kind = |name: &str, more: Value| {
        json!({
            "type": "object",
            "properties": { "kind": { "const": name }, "value": more },
            "required": ["kind", "value"],
            "additionalProperties": false,
        })
    };
    let small = json!({ "type": "integer", "minimum": 0, "maximum": 9 });
    let schemas = [
        json!({
            "oneOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/b" }],
            "discriminator": { "propertyName": "kind" },
            "$defs": { "a": kind("a", small.clone()), "b": kind("b", json!({ "type": "boolean" })) },
        }),
        json!({ "oneOf": [{ "enum": [1, 2] }, { "enum": [3, "x"] }, { "type": "null" }] }),
        json!({ "oneOf": [small.clone(), { "anyOf": [{ "const": "a" }, { "type": "boolean" }] }] }),
        json!({ "oneOf": [
            { "type": "object", "properties": { "a": small }, "required": ["a"], "additionalProperties": false },
            { "type": "object", "properties": { "b": { "const": 1 } }, "required": ["b"], "additionalProperties": false },
        ] }),
        json!({ "type": "array", "items": { "enum": ["x", "y"] }, "uniqueItems": true, "maxItems": 1 }),
        json!({ "type": "array", "items": { "enum": ["x", "y"] }, "uniqueItems": false, "maxItems": 3 }),
    ];
    for schema in schemas {
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for seed in 0..8 {
            let answer = answer(&engine, following(Grammar::JsonSchema(schema.clone()), seed)).await;
            let value: Value =
                serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
            assert!(validator.is_valid(&value), "{value} by {schema}");
        }
    }
}
