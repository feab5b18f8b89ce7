mod chunks;
mod families;

use std::sync::Arc;

use mlx_gate_core::{Event, OutputFormat, ReasoningSyntax, ToolSyntax};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::Value;

use super::{OutputParser, Piece};

const ALL: OutputFormat = OutputFormat {
    tools: Some(ToolSyntax::Hermes),
    reasoning: Some(ReasoningSyntax::Think),
    reasoning_open: false,
    text_is_bound: false,
};

/// What a client makes of an answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Answer {
    text: String,
    reasoning: String,
    /// Name and arguments of each call.
    calls: Vec<(String, String)>,
}

fn answer(format: OutputFormat, pieces: &[&str]) -> Answer {
    answer_with(format, &[].into(), pieces)
}

fn answer_with(format: OutputFormat, tools: &Arc<[Value]>, pieces: &[&str]) -> Answer {
    let mut parser = OutputParser::new(format, Arc::clone(tools));
    let mut found = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut found);
    }
    parser.finish(&mut found);
    let (text, mut at) = (pieces.concat(), 0);
    for Piece { event, source } in &found {
        let (Event::Text(shown) | Event::Reasoning(shown)) = event else { continue };
        assert!(source.start >= at, "out of order: {found:?}");
        at = source.end;
        // What sets messages of the same kind apart is nowhere in the text.
        assert_eq!(shown, if source.is_empty() { "\n" } else { &text[source.clone()] });
    }
    collect(&found)
}

fn collect(pieces: &[Piece]) -> Answer {
    let mut answer = Answer::default();
    for piece in pieces {
        match &piece.event {
            Event::Text(text) => answer.text.push_str(text),
            Event::Reasoning(text) => answer.reasoning.push_str(text),
            Event::ToolCall(delta) => {
                if let Some((id, name)) = &delta.opening {
                    assert!(!id.is_empty());
                    assert_eq!(delta.index as usize, answer.calls.len(), "calls are numbered in order");
                    answer.calls.push((name.clone(), String::new()));
                }
                let (_, arguments) = answer.calls.last_mut().expect("a call is opened before its arguments");
                arguments.push_str(&delta.arguments);
            }
            other => panic!("not a piece of an answer: {other:?}"),
        }
    }
    answer
}

/// Checks one text, whole and cut after each character.
fn check(format: OutputFormat, text: &str, expected_text: &str, reasoning: &str, calls: &[(&str, &str)]) {
    let expected = Answer {
        text: expected_text.to_owned(),
        reasoning: reasoning.to_owned(),
        calls: calls.iter().map(|&(name, arguments)| (name.to_owned(), arguments.to_owned())).collect(),
    };
    assert_eq!(answer(format, &[text]), expected, "whole: {text:?}");
    let characters: Vec<&str> = text.split_inclusive(|_| true).collect();
    assert_eq!(answer(format, &characters), expected, "by characters: {text:?}");
}

#[test]
fn text_without_tags_is_text() {
    check(ALL, " \n Hello,\n\n<b>world</b> < 3 \n", " \n Hello,\n\n<b>world</b> < 3 \n", "", &[]);
}

#[test]
fn tags_that_the_format_does_not_know_are_text() {
    let text = "<think>a</think> <tool_call>{\"name\": \"f\"}</tool_call>\n";
    check(OutputFormat::default(), text, text, "", &[]);
}

#[test]
fn reasoning_is_taken_apart_without_the_white_space_beside_its_tags() {
    check(ALL, "<think>\nI  think.\n\nSo.\n</think>\n\nParis.\n", "Paris.\n", "I  think.\n\nSo.", &[]);
    check(ALL, "Well <think>hm</think> yes", "Wellyes", "hm", &[]);
    check(ALL, "<think>\n\n</think>\n\nParis", "Paris", "", &[]);
    check(ALL, "<think>cut here\n", "", "cut here\n", &[]);
    check(ALL, "a</think>b", "a</think>b", "", &[]);
}

#[test]
fn reasoning_may_be_open_from_the_start() {
    let open = OutputFormat { reasoning_open: true, ..ALL };
    check(open, "I think.\n</think>\n\nParis", "Paris", "I think.", &[]);
    check(open, "\n<think>\nI think.</think>Paris", "Paris", "I think.", &[]);
    check(OutputFormat { reasoning: None, ..open }, "I think", "I think", "", &[]);
}

#[test]
fn marks_inside_of_text_that_a_grammar_says_are_text() {
    let bound = OutputFormat { text_is_bound: true, ..ALL };
    let json = "{\"a\": \"b <think> c</think> <tool_call>{}</tool_call>\"} \n";
    check(bound, json, json, "", &[]);
    check(bound, &format!("<think>\nhm\n</think>\n\n{json}"), json, "hm", &[]);
    let call = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"<think>\"}}</tool_call>";
    check(bound, &format!("{call}\n{call}"), "", "", &[("f", "{\"a\": \"<think>\"}"); 2]);
    let harmony =
        OutputFormat { tools: Some(ToolSyntax::Harmony), reasoning: Some(ReasoningSyntax::Harmony), ..bound };
    let json = "\"<|end|><|start|>assistant<|channel|>analysis<|message|>\" ";
    let answer = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>";
    check(harmony, &format!("{answer}{json}"), json, "hm", &[]);
}

#[test]
fn calls_are_read() {
    let call =
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"K\\u00f6ln {\"}}\n</tool_call>";
    let expected = ("get_weather", "{\"city\": \"K\\u00f6ln {\"}");
    check(ALL, call, "", "", &[expected]);
    check(
        ALL,
        &format!("<think>hm</think>\n\nLet me see.\n{call}\n{call}\n"),
        "Let me see.",
        "hm",
        &[expected; 2],
    );
    check(ALL, &format!("{call}\nDone."), "Done.", "", &[expected]);
}

#[test]
fn unusual_calls_are_read() {
    let cases = [
        // Arguments before the name, further keys, no white space.
        (r#"{"id":7,"arguments":{"a":[1,{"b":"}"}]},"x":null,"name":"f"}"#, r#"{"a":[1,{"b":"}"}]}"#),
        (r#"{"name":"f"}"#, "{}"),
        (r#"{"name":"f","arguments":null}"#, "{}"),
        (r#"{"name":"f","arguments":{}}"#, "{}"),
        // Arguments as a string, as OpenAI's own format has them.
        (r#"{"name":"f","arguments":"{\"a\": 1}"}"#, r#"{"a": 1}"#),
        // A closing tag inside of a string is text of the string.
        (r#"{"name":"f","arguments":{"a":"</tool_call>"}}"#, r#"{"a":"</tool_call>"}"#),
        // The outer bracket is missing.
        (r#"{"name":"f","arguments":{"a":1}"#, r#"{"a":1}"#),
        // Keys come twice: the first counts.
        (r#"{"name":"f","name":"g","arguments":{},"arguments":{"a":1}}"#, "{}"),
        (r#"{"name":"f","arguments":{"a":1</tool_call>"#, r#"{"a":1"#),
    ];
    for (call, arguments) in cases {
        let closing = if call.ends_with("</tool_call>") { "" } else { "</tool_call>" };
        check(ALL, &format!("a <tool_call>{call}{closing} b"), "ab", "", &[("f", arguments)]);
    }
}

#[test]
fn what_is_no_call_stays_text() {
    for body in [
        "",
        "get_weather(Paris)",
        "[1]",
        "{}",
        r#"{"name": 3, "arguments": {}}"#,
        r#"{"name": "", "arguments": {}}"#,
        r#"{"arguments": {"a": 1}}"#,
        r#"{"arguments": {"a": }, "name": "f"}"#,
        r#"{"name": "f", "arguments": [1]}"#,
        r#"{"name": "f", "arguments": 12}"#,
        r#"{"name": "f" "arguments": {}}"#,
        r#"{"name": "f", arguments}"#,
        r#"{"name": "f", "x": nope, "arguments": {}}"#,
    ] {
        let text = format!("See:\n <tool_call> {body} </tool_call>\nok");
        check(ALL, &text, &text, "", &[]);
    }
}

#[test]
fn a_call_cut_short_is_never_lost() {
    let unfinished = "\n <tool_call>{\"name\": \"f\", \"argu";
    check(ALL, unfinished, unfinished, "", &[]);
    check(
        ALL,
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"Par",
        "",
        "",
        &[("f", "{\"a\": \"Par")],
    );
    check(ALL, "<tool_call>{\"name\": \"f\"}</tool", "", "", &[("f", "{}")]);
    check(ALL, "<tool_call>{\"name\": \"f\"}\n</tools", "</tools", "", &[("f", "{}")]);
    check(ALL, "text <tool_c", "text <tool_c", "", &[]);
}

#[test]
fn a_call_behind_a_broken_one_is_read() {
    let text = "<tool_call>oops\n<tool_call>{\"name\": \"f\"}</tool_call>";
    check(ALL, text, "<tool_call>oops", "", &[("f", "{}")]);
}

#[test]
fn text_behind_a_call_without_closing_tag_is_shown() {
    check(ALL, "<tool_call>{\"name\": \"f\"} and more", "and more", "", &[("f", "{}")]);
}

#[test]
fn a_call_is_announced_before_its_arguments_are_complete() {
    let mut parser = OutputParser::new(ALL, [].into());
    let mut events = Vec::new();
    parser.push("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1", &mut events);
    let so_far = collect(&events);
    assert_eq!(so_far.calls, [("f".to_owned(), "{\"a\": 1".to_owned())]);
}

#[test]
fn text_is_shown_as_soon_as_it_is_certain() {
    let mut parser = OutputParser::new(ALL, [].into());
    let mut shown = |piece| {
        let mut events = Vec::new();
        parser.push(piece, &mut events);
        collect(&events).text
    };
    assert_eq!(shown("Hello"), "Hello");
    assert_eq!(shown(" wor"), " wor");
    assert_eq!(shown("ld.\n"), "ld.");
    assert_eq!(shown("<"), "");
    assert_eq!(shown("tool"), "");
    assert_eq!(shown("s>"), "\n<tools>");
}

const FRAGMENTS: &[&str] = &[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1, \"<\"]}}\n</tool_call>",
    "<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"f\"}",
    "<tool_call>\n{\"name\": \"f\", \"arguments\": ",
    "\"name\": \"f\"",
    "{\"a\": {\"b\": 1}}",
    "}}</tool_call>",
    "null",
    "1.5",
    "<th",
    "</to",
    "ol_call>",
    "<",
    ">",
    "/",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    " ",
    "\n",
    "\n\n",
    "a",
    "é",
    "日",
    "🦀",
];

#[test]
fn the_same_however_the_text_is_cut() {
    let mut random = ChaCha12Rng::seed_from_u64(11);
    let mut calls = 0;
    for round in 0..60_000 {
        let format = OutputFormat {
            tools: (round % 5 != 0).then_some(ToolSyntax::Hermes),
            reasoning: (round % 2 == 0).then_some(ReasoningSyntax::Think),
            reasoning_open: round % 8 == 0,
            text_is_bound: round % 3 == 0,
        };
        let length = random.random_range(1..14);
        let text: String = (0..length).filter_map(|_| FRAGMENTS.choose(&mut random)).copied().collect();
        let whole = answer(format, &[&text]);
        calls += whole.calls.len();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let at = random.random_range(1..=rest.len().min(9));
            let (piece, behind) = rest.split_at(rest.ceil_char_boundary(at));
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(answer(format, &pieces), whole, "{pieces:?}");
        nothing_is_lost(&text, &whole);
    }
    assert!(calls > 1_000, "the texts hold too few calls to prove anything: {calls}");
}

/// Without calls, all but tags and white space reaches the client, in order.
fn nothing_is_lost(text: &str, answer: &Answer) {
    let bare = |text: &str| -> String {
        let text = text.replace("<think>", "").replace("</think>", "");
        text.chars().filter(|character| !character.is_whitespace()).collect()
    };
    if answer.calls.is_empty() && answer.reasoning.is_empty() {
        assert_eq!(bare(&answer.text), bare(text), "{text:?}");
    } else if answer.calls.is_empty() {
        let mut shown: Vec<char> = bare(&format!("{}{}", answer.text, answer.reasoning)).chars().collect();
        let mut all: Vec<char> = bare(text).chars().collect();
        shown.sort_unstable();
        all.sort_unstable();
        assert_eq!(shown, all, "{text:?}");
    }
}
