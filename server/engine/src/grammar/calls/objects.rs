//! JSON objects with a name and arguments.

use mlx_gate_core::{EngineError, ToolSyntax};

use super::{Around, Blocks, Dialect, Function, arguments, frame};
use crate::grammar::plan::literal;

/// How one family writes its objects.
pub(super) struct Spelling {
    blocks: Blocks,
    /// The key of the arguments.
    arguments: &'static str,
}

pub(super) const HERMES: Spelling = Spelling {
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
pub(super) const LLAMA: Spelling = Spelling {
    blocks: Blocks { open: "", begin: "", within: Some("; "), close: "", between: None, bare: false },
    arguments: "parameters",
};
pub(super) const LIST: Spelling = Spelling {
    blocks: Blocks { open: "", begin: r#""[""#, within: Some(", "), close: "]", between: None, bare: true },
    arguments: "arguments",
};
pub(super) const MISTRAL: Spelling = Spelling {
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
pub(super) const GRANITE: Spelling = Spelling {
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

impl Dialect for Spelling {
    fn body(&self, syntax: ToolSyntax, around: Around, parallel: bool) -> String {
        frame(syntax, &self.blocks, around, parallel)
    }

    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError> {
        let before = format!("{{\"name\": {}, \"{}\": ", literal(function.name), self.arguments);
        Ok(format!("call_{number}: {} {} \"}}\"\n", literal(&before), arguments(function)))
    }
}
