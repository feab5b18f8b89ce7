//! Messages in channels, as gpt-oss writes them. Such an answer makes one call at the most: the call ends it.

use mlx_gate_core::{EngineError, ToolSyntax};

use super::{Around, Dialect, Function, arguments};
use crate::grammar::plan::{literal, without};

/// What ends a message. Text has none of them.
const ENDS: &[&str] = &["<|end|>", "<|return|>", "<|call|>", "<|start|>"];

/// Between two messages.
const NEXT: &str = "<|end|><|start|>assistant";

/// The rule `reasoning`: messages of the analysis channel, which come before everything else.
pub(in crate::grammar) fn reasoning() -> String {
    let (open, next, text) = (literal("<|channel|>analysis<|message|>"), literal(NEXT), without(ENDS, &[]));
    format!("reasoning: THOUGHT+\nTHOUGHT: {open} ({text}) {next}\n")
}

/// What an answer that calls nothing begins with.
pub(in crate::grammar) const fn answer() -> &'static str {
    "<|channel|>final<|message|>"
}

/// The way in which gpt-oss writes calls.
pub(super) struct Channels;

impl Dialect for Channels {
    fn body(&self, _: ToolSyntax, around: Around, _: bool) -> String {
        if around == Around::Nothing {
            return "body: call\n".to_owned();
        }
        // Messages up to the last one, which is a call or the answer.
        let (next, text) = (literal(NEXT), without(ENDS, &[]));
        let open = r#""<|channel|>" ("analysis" | "commentary" | "final") "<|message|>""#;
        format!("body: MESSAGE* (call | LAST)\nMESSAGE: {open} ({text}) {next}\nLAST: {open} ({text})\n")
    }

    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError> {
        let header =
            format!("<|channel|>commentary to=functions.{} <|constrain|>json<|message|>", function.name);
        Ok(format!("call_{number}: {} {}\n", literal(&header), arguments(function)))
    }
}
