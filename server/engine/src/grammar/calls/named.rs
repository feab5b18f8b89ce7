//! A name, and then the arguments as JSON.

use std::fmt::Write as _;

use mlx_gate_core::EngineError;

use super::{Blocks, Function, arguments};
use crate::grammar::plan::literal;

/// How one family writes such calls.
pub(super) struct Dialect {
    blocks: Blocks,
    /// Stands in front of the name.
    name: &'static str,
    /// Follows the name, in Lark.
    name_end: &'static str,
    /// Follows the arguments.
    end: &'static str,
}

pub(super) const MISTRAL: Dialect = Dialect {
    blocks: Blocks {
        open: "[TOOL_CALLS]",
        begin: "",
        within: None,
        close: "",
        between: Some(""),
        bare: false,
    },
    name: "",
    name_end: r#""[ARGS]""#,
    end: "",
};
pub(super) const DEEPSEEK_V3: Dialect = Dialect {
    blocks: Blocks { within: Some("\n"), ..DEEPSEEK_V31.blocks },
    name: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    name_end: r#""\n```json\n""#,
    end: "\n```<｜tool▁call▁end｜>",
};
pub(super) const DEEPSEEK_V31: Dialect = Dialect {
    blocks: Blocks {
        open: "<｜tool▁calls▁begin｜>",
        begin: "",
        within: Some(""),
        close: "<｜tool▁calls▁end｜>",
        between: None,
        bare: false,
    },
    name: "<｜tool▁call▁begin｜>",
    name_end: r#""<｜tool▁sep｜>""#,
    end: "<｜tool▁call▁end｜>",
};
pub(super) const KIMI: Dialect = Dialect {
    blocks: Blocks {
        open: "<|tool_calls_section_begin|>",
        begin: "",
        within: Some(""),
        close: "<|tool_calls_section_end|>",
        between: None,
        bare: false,
    },
    name: "<|tool_call_begin|>functions.",
    // The number of the call in the conversation.
    name_end: r#"":" /[0-9]|[1-9][0-9]{1,2}/ "<|tool_call_argument_begin|>""#,
    end: "<|tool_call_end|>",
};

pub(super) fn rules(
    dialect: &'static Dialect,
    functions: &[Function<'_>],
) -> Result<(&'static Blocks, String), EngineError> {
    let mut rules = String::new();
    for (number, function) in functions.iter().enumerate() {
        let name = literal(&format!("{}{}", dialect.name, function.name));
        let (name_end, end) = (dialect.name_end, literal(dialect.end));
        let _ = writeln!(rules, "call_{number}: {name} {name_end} {} {end}", arguments(function)?);
    }
    Ok((&dialect.blocks, rules))
}
