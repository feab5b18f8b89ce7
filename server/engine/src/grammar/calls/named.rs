//! A name, and then the arguments as JSON.

use mlx_gate_core::{EngineError, ToolSyntax};

use super::{Around, Blocks, Dialect, Function, arguments, frame};
use crate::grammar::plan::literal;

/// How one family writes such calls.
pub(super) struct Spelling {
    blocks: Blocks,
    /// Stands in front of the name.
    name: &'static str,
    /// Follows the name, in Lark.
    name_end: &'static str,
    /// Follows the arguments.
    end: &'static str,
}

pub(super) const MISTRAL: Spelling = Spelling {
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
pub(super) const DEEPSEEK_V3: Spelling = Spelling {
    blocks: Blocks { within: Some("\n"), ..DEEPSEEK_V31.blocks },
    name: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    name_end: r#""\n```json\n""#,
    end: "\n```<｜tool▁call▁end｜>",
};
pub(super) const DEEPSEEK_V31: Spelling = Spelling {
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
pub(super) const KIMI: Spelling = Spelling {
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

impl Dialect for Spelling {
    fn body(&self, syntax: ToolSyntax, around: Around, parallel: bool) -> String {
        frame(syntax, &self.blocks, around, parallel)
    }

    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError> {
        let name = literal(&format!("{}{}", self.name, function.name));
        let (name_end, end) = (self.name_end, literal(self.end));
        Ok(format!("call_{number}: {name} {name_end} {} {end}\n", arguments(function)))
    }
}
