//! What models of each family write, as their public templates, model cards and guides show it.

use std::sync::Arc;

use mlx_gate_core::{OutputFormat, ReasoningSyntax, ToolSyntax};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, answer_with, collect};
use crate::output::OutputParser;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    family: Option<String>,
    reasoning: Option<String>,
    #[serde(default)]
    open: bool,
    from: String,
    r#in: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thought: String,
    calls: Vec<(String, String)>,
}

impl Case {
    fn format(&self) -> OutputFormat {
        let tools = self.family.as_ref().map(|name| {
            ToolSyntax::ALL.into_iter().find(|syntax| syntax.as_str() == name).expect("a family")
        });
        let reasoning = self.reasoning.as_ref().map(|name| {
            ReasoningSyntax::ALL.into_iter().find(|syntax| syntax.as_str() == name).expect("a syntax")
        });
        OutputFormat { tools, reasoning, reasoning_open: self.open, text_is_bound: false }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("families.json")).expect("cases")
}

/// The texts of a family.
pub(super) fn texts(family: ToolSyntax) -> Vec<String> {
    let of_family = |case: &Case| case.family.as_deref() == Some(family.as_str());
    cases().into_iter().filter(of_family).map(|case| case.r#in).collect()
}

/// The tools that the cases offer.
pub(super) fn tools() -> Arc<[Value]> {
    let function = |name: &str, properties: Value| {
        json!({"type": "function", "function": {
            "name": name, "parameters": {"type": "object", "properties": properties, "$defs": {"Days": {"type": "integer"}}}}})
    };
    [
        function(
            "get_weather",
            json!({
                "city": {"type": "string"}, "days": {"$ref": "#/$defs/Days"},
                "metric": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "tags": {"type": ["array", "null"]},
            }),
        ),
        function("get_time", json!({})),
        function("write_file", json!({"path": {"enum": ["42"]}, "content": {"type": "string"}})),
    ]
    .into()
}

#[test]
fn every_family_is_read_however_its_text_is_cut() {
    for case in cases() {
        let expected =
            Answer { text: case.text.clone(), reasoning: case.thought.clone(), calls: case.calls.clone() };
        let format = case.format();
        let family = case.family.as_deref().or(case.reasoning.as_deref()).unwrap_or_default();
        assert_eq!(answer_with(format, &tools(), &[&case.r#in]), expected, "{family}: {}", case.from);
        let characters: Vec<&str> = case.r#in.split_inclusive(|_| true).collect();
        assert_eq!(
            answer_with(format, &tools(), &characters),
            expected,
            "by characters, {family}: {}",
            case.from
        );
        for at in (1..case.r#in.len()).filter(|&at| case.r#in.is_char_boundary(at)) {
            let (front, back) = case.r#in.split_at(at);
            assert_eq!(answer_with(format, &tools(), &[front, back]), expected, "{front:?} {back:?}");
        }
    }
}

/// What is cut short is cut short, and never lost: all of it is shown, as arguments or as text.
#[test]
fn every_beginning_of_a_text_shows_what_it_has() {
    for case in cases() {
        for at in (1..case.r#in.len()).filter(|&at| case.r#in.is_char_boundary(at)) {
            let beginning = &case.r#in[..at];
            let whole = answer_with(case.format(), &tools(), &[beginning]);
            let characters: Vec<&str> = beginning.split_inclusive(|_| true).collect();
            assert_eq!(answer_with(case.format(), &tools(), &characters), whole, "{beginning:?}");
            for word in ["Paris", "Rome", "London", "Köln", "Hm.", "look."] {
                let shown = format!("{}{}{:?}", whole.text, whole.reasoning, whole.calls);
                let (given, found) = (beginning.matches(word).count(), shown.matches(word).count());
                assert!(found >= given, "{word} is lost: {beginning:?} became {shown}");
            }
        }
    }
}

#[test]
fn every_family_has_two_calls_or_more() {
    let cases = cases();
    for syntax in ToolSyntax::ALL {
        let calls: usize = cases
            .iter()
            .filter(|case| case.family.as_deref() == Some(syntax.as_str()))
            .map(|case| case.calls.len())
            .sum();
        assert!(calls >= 2, "{}", syntax.as_str());
    }
}

#[test]
fn a_call_that_is_cut_inside_the_marks_that_close_it_leaves_no_text() {
    for (family, call, closing) in [
        (ToolSyntax::Hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {}}", "\n</tool_call>"),
        (ToolSyntax::Qwen3Coder, "<function=f><parameter=a>1</parameter>", "\n</function>\n</tool_call>"),
        (ToolSyntax::Glm, "<tool_call>f\n<arg_key>a</arg_key><arg_value>1</arg_value>", "\n</tool_call>"),
        (
            ToolSyntax::MiniMaxM2,
            "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">1</parameter>",
            "\n</invoke>\n</minimax:tool_call>",
        ),
        (
            ToolSyntax::DeepSeekV31,
            "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}",
            "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        ),
        (
            ToolSyntax::KimiK2,
            "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}",
            "<|tool_call_end|>",
        ),
        (ToolSyntax::Gemma4, "<|tool_call>call:f{a:1}", "<tool_call|>"),
        (ToolSyntax::ToolCode, "```tool_code\nf(a=1)", "\n```"),
    ] {
        let format = OutputFormat { tools: Some(family), ..OutputFormat::default() };
        for (at, _) in closing.char_indices().chain([(closing.len(), ' ')]) {
            let read = answer_with(format, &tools(), &[call, &closing[..at]]);
            assert_eq!((read.text.as_str(), read.calls.len()), ("", 1), "{call}{}", &closing[..at]);
        }
    }
}

#[test]
fn arguments_stream() {
    let so_far = |family: ToolSyntax, text: &str| {
        let format = OutputFormat { tools: Some(family), ..OutputFormat::default() };
        let mut parser = OutputParser::new(format, tools());
        let mut events = Vec::new();
        parser.push(text, &mut events);
        collect(&events).calls.pop().map(|(_, arguments)| arguments)
    };
    for (family, text, arguments) in [
        (
            ToolSyntax::Qwen3Coder,
            "<tool_call><function=write_file><parameter=content>ab\n",
            "{\"content\": \"ab",
        ),
        (
            ToolSyntax::Glm,
            "<tool_call>write_file\n<arg_key>content</arg_key><arg_value>ab",
            "{\"content\": \"ab",
        ),
        (ToolSyntax::Pythonic, "[write_file(content='ab", "{\"content\": \"ab"),
        (ToolSyntax::Gemma4, "<|tool_call>call:f{a:<|\"|>ab<|", "{\"a\": \"ab"),
        (ToolSyntax::MistralArgs, "[TOOL_CALLS]f[ARGS]{\"a\": \"ab", "{\"a\": \"ab"),
        (ToolSyntax::Llama3Json, "{\"name\": \"get_time\", \"parameters\": {\"a\": \"ab", "{\"a\": \"ab"),
        (ToolSyntax::Harmony, "<|channel|>commentary to=functions.f<|message|>{\"a\": \"ab", "{\"a\": \"ab"),
    ] {
        assert_eq!(so_far(family, text).as_deref(), Some(arguments), "{}", family.as_str());
    }
}

#[test]
fn ids_are_what_the_familys_template_takes() {
    let ids = |family: ToolSyntax, text: &str| {
        let format = OutputFormat { tools: Some(family), ..OutputFormat::default() };
        let mut pieces = Vec::new();
        OutputParser::new(format, tools()).push(text, &mut pieces);
        let ids = pieces.into_iter().filter_map(|piece| match piece.event {
            mlx_gate_core::Event::ToolCall(delta) => delta.opening.map(|(id, _)| id),
            _ => None,
        });
        ids.collect::<Vec<_>>()
    };
    let mistral = ids(ToolSyntax::Mistral, "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}]");
    assert!(
        mistral[0].len() == 9 && mistral[0].bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{mistral:?}"
    );
    assert_eq!(ids(ToolSyntax::MistralArgs, "[TOOL_CALLS]f[CALL_ID]abcDEF123[ARGS]{}"), ["abcDEF123"]);
    let kimi = "<|tool_call_begin|>functions.f:3<|tool_call_argument_begin|>{}";
    assert_eq!(ids(ToolSyntax::KimiK2, kimi), ["functions.f:3"]);
}
