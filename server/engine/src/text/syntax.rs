//! Which syntaxes a model speaks, found from the text of its chat template.
//!
//! A template writes earlier calls and reasoning the way its model was trained to write them, so their marks stand in
//! it. The marks that several families share come last.

use mlx_gate_core::{ReasoningSyntax, ToolSyntax};

use super::template::ChatTemplate;

/// Marks of tool calls in a template: a syntax needs all of its own.
const TOOLS: [(&[&str], ToolSyntax); 20] = [
    (&["<|channel|>", "<|message|>"], ToolSyntax::Harmony),
    (&["<minimax:tool_call>"], ToolSyntax::MiniMaxM2),
    (&["<seed:tool_call>"], ToolSyntax::SeedOss),
    (&["<|tool_call>", "<tool_call|>"], ToolSyntax::Gemma4),
    (&["<start_function_call>"], ToolSyntax::FunctionGemma),
    (&["<arg_key>"], ToolSyntax::Glm),
    (&["<function=", "<parameter="], ToolSyntax::Qwen3Coder),
    (&["<｜tool▁call▁begin｜>", "```json"], ToolSyntax::DeepSeekV3),
    (&["<｜tool▁call▁begin｜>"], ToolSyntax::DeepSeekV31),
    (&["<|tool_call_argument_begin|>"], ToolSyntax::KimiK2),
    (&["[TOOL_CALLS]", "[ARGS]"], ToolSyntax::MistralArgs),
    (&["[TOOL_CALLS]"], ToolSyntax::Mistral),
    (&["<|tool_list_start|>"], ToolSyntax::Lfm2),
    (&["<|tool_call|>"], ToolSyntax::Granite),
    (&["<tool_call>"], ToolSyntax::Hermes),
    (&["<|start_of_role|>tools"], ToolSyntax::Granite),
    (&["[func_name1("], ToolSyntax::Pythonic),
    (&["<|python_tag|>"], ToolSyntax::Llama3Json),
    // Llama 3.2 and 4 without the interpreter.
    (&["\"parameters\": dictionary of argument name and its value"], ToolSyntax::Llama3Json),
    (&["```tool_code"], ToolSyntax::ToolCode),
];

/// Marks of reasoning in a template: any of its own says that a syntax is meant.
const REASONING: [(&[&str], ReasoningSyntax); 7] = [
    (&["<|channel|>"], ReasoningSyntax::Harmony),
    (&["[THINK]"], ReasoningSyntax::Mistral),
    (&["<seed:think>"], ReasoningSyntax::SeedOss),
    (&["◁think▷"], ReasoningSyntax::Kimi),
    (&["<|channel>"], ReasoningSyntax::Gemma4),
    (&["Here is my thought process:", "'Here is my thought process:'"], ReasoningSyntax::Granite),
    (&["<think>", "</think>"], ReasoningSyntax::Think),
];

/// How a parser is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParserChoice<T> {
    /// By the chat template.
    #[default]
    Auto,
    /// No parser: the text is passed on as it is.
    Off,
    /// This one, whatever the template says.
    Named(T),
}

/// The parsers of a model's answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parsers {
    /// Of tool calls.
    pub tools: ParserChoice<ToolSyntax>,
    /// Of reasoning.
    pub reasoning: ParserChoice<ReasoningSyntax>,
}

impl Parsers {
    /// How the model with this template writes calls. A template that does not show the tools to the model leaves
    /// nothing to call.
    pub(super) fn tool_syntax(self, template: &ChatTemplate) -> Option<ToolSyntax> {
        match self.tools {
            ParserChoice::Off => None,
            _ if !template.reads("tools") => None,
            ParserChoice::Named(syntax) => Some(syntax),
            ParserChoice::Auto => {
                let found = TOOLS.iter().find(|(marks, _)| marks.iter().all(|mark| template.mentions(mark)));
                found.map(|(_, syntax)| *syntax)
            }
        }
    }

    /// How the model with this template sets reasoning apart.
    pub(super) fn reasoning_syntax(self, template: &ChatTemplate) -> Option<ReasoningSyntax> {
        match self.reasoning {
            ParserChoice::Off => None,
            ParserChoice::Named(syntax) => Some(syntax),
            ParserChoice::Auto => {
                let found =
                    REASONING.iter().find(|(marks, _)| marks.iter().any(|mark| template.mentions(mark)));
                found
                    .map(|(_, syntax)| *syntax)
                    .or_else(|| template.reads("enable_thinking").then_some(ReasoningSyntax::Think))
            }
        }
    }
}
