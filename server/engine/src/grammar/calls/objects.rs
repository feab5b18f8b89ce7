//! JSON objects with a name and arguments.

use std::fmt::Write as _;

use mlx_gate_core::EngineError;

use super::{Blocks, Function, arguments};
use crate::grammar::plan::literal;

/// How one family writes its objects.
pub(super) struct Dialect {
    blocks: Blocks,
    /// The key of the arguments.
    arguments: &'static str,
}

pub(super) const HERMES: Dialect = Dialect {
    blocks: Blocks {
        open: "<tool_call>",
        begin: r#""\n""#,
        within: None,
        close: "\n</tool_call>",
        between: Some("\n"),
        bare: false,
    },
    arguments: "arguments",
};
pub(super) const LLAMA: Dialect = Dialect {
    blocks: Blocks { open: "", begin: "", within: Some("; "), close: "", between: None, bare: false },
    arguments: "parameters",
};
pub(super) const LIST: Dialect = Dialect {
    blocks: Blocks { open: "", begin: r#""[""#, within: Some(", "), close: "]", between: None, bare: true },
    arguments: "arguments",
};
pub(super) const MISTRAL: Dialect = Dialect {
    // Tokenizers of SentencePiece put a space in front of what follows a special token.
    blocks: Blocks {
        open: "[TOOL_CALLS]",
        begin: r#"" "? "[""#,
        within: Some(", "),
        close: "]",
        between: None,
        bare: false,
    },
    arguments: "arguments",
};
pub(super) const GRANITE: Dialect = Dialect {
    blocks: Blocks {
        open: "<|tool_call|>",
        begin: r#""[""#,
        within: Some(", "),
        close: "]",
        between: None,
        bare: false,
    },
    arguments: "arguments",
};

pub(super) fn rules(
    dialect: &'static Dialect,
    functions: &[Function<'_>],
) -> Result<(&'static Blocks, String), EngineError> {
    let mut rules = String::new();
    for (number, function) in functions.iter().enumerate() {
        let before = format!("{{\"name\": {}, \"{}\": ", literal(function.name), dialect.arguments);
        let _ = writeln!(rules, "call_{number}: {} {} \"}}\"", literal(&before), arguments(function)?);
    }
    Ok((&dialect.blocks, rules))
}
