//! Messages in channels, as gpt-oss writes them. Such an answer makes one call at the most: the call ends it.

use std::fmt::Write as _;

use mlx_gate_core::EngineError;

use super::{Function, arguments, without};
use crate::grammar::plan::literal;

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

pub(super) fn rules(functions: &[Function<'_>], in_text: bool) -> Result<String, EngineError> {
    let mut rules = String::new();
    if in_text {
        // Messages up to the last one, which is a call or the answer.
        let (next, text) = (literal(NEXT), without(ENDS, &[]));
        let open = r#""<|channel|>" ("analysis" | "commentary" | "final") "<|message|>""#;
        let _ = write!(
            rules,
            "body: MESSAGE* (call | LAST)\nMESSAGE: {open} ({text}) {next}\nLAST: {open} ({text})\n"
        );
    } else {
        rules.push_str("body: call\n");
    }
    let names: Vec<String> = (0..functions.len()).map(|number| format!("call_{number}")).collect();
    let _ = writeln!(rules, "call: {}", names.join(" | "));
    for (number, function) in functions.iter().enumerate() {
        let header =
            format!("<|channel|>commentary to=functions.{} <|constrain|>json<|message|>", function.name);
        let _ = writeln!(rules, "call_{number}: {} {}", literal(&header), arguments(function)?);
    }
    Ok(rules)
}
