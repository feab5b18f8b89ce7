//! Parsers of generated text: what comes out does not depend on how the text was cut, and no sentinel of it is lost.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mlx_gate_core::{Event, OutputFormat, ReasoningSyntax, ToolSyntax};
use mlx_gate_engine::output::OutputParser;
use mlx_gate_fuzz::{Input, cut};
use serde_json::{Value, json};

static TOOLS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    vec![json!({"type": "function", "function": {"name": "f", "parameters": {"properties": {
        "s": {"type": "string"}, "n": {"type": "number"}, "b": {"type": ["boolean", "null"]}, "o": {"type": "object"}}}}})]
});

/// Text, reasoning, and the names and arguments of calls.
#[derive(Debug, Default, PartialEq)]
struct Answer(String, String, Vec<(String, String)>);

fn answer(format: OutputFormat, pieces: &[&str]) -> Answer {
    let mut parser = OutputParser::new(format, TOOLS.as_slice().into());
    let mut found = Vec::new();
    pieces.iter().for_each(|piece| parser.push(piece, &mut found));
    parser.finish(&mut found);
    let mut answer = Answer::default();
    for piece in found {
        match piece.event {
            Event::Text(text) => answer.0.push_str(&text),
            Event::Reasoning(text) => answer.1.push_str(&text),
            Event::ToolCall(delta) => {
                if let Some((id, name)) = delta.opening {
                    assert!(!id.is_empty() && !name.is_empty());
                    assert_eq!(delta.index as usize, answer.2.len());
                    answer.2.push((name, String::new()));
                }
                answer.2.last_mut().expect("a call is opened first").1.push_str(&delta.arguments);
            }
            other => panic!("not a piece of an answer: {other:?}"),
        }
    }
    answer
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let format = OutputFormat {
        tools: input.choice(&ToolSyntax::ALL),
        reasoning: input.choice(&ReasoningSyntax::ALL),
        reasoning_open: input.byte() % 4 == 0,
        ..OutputFormat::default()
    };
    let seed = input.byte();
    let format = OutputFormat { text_is_bound: seed % 4 == 0, ..format };
    let seed = u64::from(seed);
    let text = input.text();
    let whole = answer(format, &[&text]);
    assert_eq!(answer(format, &cut(&text, seed)), whole, "{format:?} {text:?}");
    if format == OutputFormat::default() || format.tools.is_none() && format.reasoning.is_none() {
        assert_eq!(whole.0, text);
    }
});
