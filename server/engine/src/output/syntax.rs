//! The table of syntaxes: which marks a family writes, and what reads the text behind them.

use mlx_gate_core::{OutputFormat, ReasoningSyntax, ToolSyntax};

use super::harmony;
use super::invocations::{self, Invocations, List};
use super::literal::Notation;
use super::mistral::Mistral;
use super::named::{self, Named, Naming};
use super::objects::{self, Objects};
use super::reader::{Ids, Reader};
use super::tagged::{self, Tagged};

/// The tags around reasoning; `None` where it is not set apart by tags.
pub const fn reasoning_tags(syntax: ReasoningSyntax) -> Option<[&'static str; 2]> {
    match syntax {
        ReasoningSyntax::Think => Some(["<think>", "</think>"]),
        ReasoningSyntax::Mistral => Some(["[THINK]", "[/THINK]"]),
        ReasoningSyntax::SeedOss => Some(["<seed:think>", "</seed:think>"]),
        ReasoningSyntax::Kimi => Some(["◁think▷", "◁/think▷"]),
        ReasoningSyntax::Granite => Some(["Here is my thought process:", "Here is my response:"]),
        ReasoningSyntax::Gemma4 => Some(["<|channel>thought", "<channel|>"]),
        ReasoningSyntax::Harmony => None,
    }
}

/// The marks that open a block of calls.
pub(crate) const fn marks(syntax: ToolSyntax) -> &'static [&'static str] {
    match syntax {
        ToolSyntax::Hermes | ToolSyntax::Glm => &["<tool_call>"],
        // Qwen3-Coder forgets the outer tag at times.
        ToolSyntax::Qwen3Coder => &["<tool_call>", "<function="],
        ToolSyntax::SeedOss => &["<seed:tool_call>"],
        ToolSyntax::MiniMaxM2 => &["<minimax:tool_call>"],
        ToolSyntax::Llama3Json => &["<|python_tag|>"],
        ToolSyntax::Pythonic => &["<|python_start|>"],
        ToolSyntax::Mistral | ToolSyntax::MistralArgs => &["[TOOL_CALLS]"],
        ToolSyntax::DeepSeekV3 | ToolSyntax::DeepSeekV31 => {
            &["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"]
        }
        ToolSyntax::KimiK2 => &["<|tool_calls_section_begin|>", "<|tool_call_begin|>"],
        ToolSyntax::FunctionGemma => &["<start_function_call>"],
        ToolSyntax::Gemma4 => &["<|tool_call>"],
        ToolSyntax::ToolCode => &["```tool_code"],
        ToolSyntax::Granite => &["<|tool_call|>", "<tool_call>"],
        ToolSyntax::Lfm2 => &["<|tool_call_start|>"],
        ToolSyntax::Json | ToolSyntax::Harmony => &[],
    }
}

/// The characters with which an answer may begin that is a call as a whole, without any mark.
pub(crate) const fn bare(syntax: ToolSyntax) -> &'static [char] {
    match syntax {
        ToolSyntax::Llama3Json => &['{'],
        ToolSyntax::Pythonic => &['['],
        ToolSyntax::Json => &['{', '['],
        _ => &[],
    }
}

/// How the ids of a family's calls look.
pub(super) const fn ids(syntax: Option<ToolSyntax>) -> Ids {
    match syntax {
        Some(ToolSyntax::Mistral | ToolSyntax::MistralArgs) => Ids::Mistral,
        _ => Ids::OpenAi,
    }
}

/// A reader of what follows `mark`; the empty one for an answer that is a call as a whole.
pub(super) fn reader(syntax: ToolSyntax, mark: &str) -> Box<dyn Reader> {
    match syntax {
        ToolSyntax::Hermes | ToolSyntax::Harmony => Box::new(Objects::new(&HERMES)),
        ToolSyntax::Granite if mark == "<tool_call>" => Box::new(Objects::new(&HERMES)),
        ToolSyntax::Granite => Box::new(Objects::new(&GRANITE)),
        ToolSyntax::Llama3Json if !mark.is_empty() => Box::new(Objects::new(&LLAMA_MARKED)),
        ToolSyntax::Llama3Json | ToolSyntax::Json => Box::new(Objects::new(&BARE)),
        ToolSyntax::Mistral | ToolSyntax::MistralArgs => {
            Box::new(Mistral::new(Objects::new(&MISTRAL), Named::new(&MISTRAL_ARGS, mark)))
        }
        ToolSyntax::DeepSeekV3 => Box::new(Named::new(&DEEPSEEK_V3, mark)),
        ToolSyntax::DeepSeekV31 => Box::new(Named::new(&DEEPSEEK_V31, mark)),
        ToolSyntax::KimiK2 => Box::new(Named::new(&KIMI, mark)),
        ToolSyntax::Qwen3Coder => Box::new(Tagged::new(&QWEN, mark)),
        ToolSyntax::SeedOss => Box::new(Tagged::new(&SEED, mark)),
        ToolSyntax::MiniMaxM2 => Box::new(Tagged::new(&MINIMAX, mark)),
        ToolSyntax::Glm => Box::new(Tagged::new(&GLM, mark)),
        ToolSyntax::Pythonic if mark.is_empty() => Box::new(Invocations::new(&PYTHONIC)),
        ToolSyntax::Pythonic => Box::new(Invocations::new(&LLAMA4)),
        ToolSyntax::Lfm2 => Box::new(Invocations::new(&LFM2)),
        ToolSyntax::ToolCode => Box::new(Invocations::new(&TOOL_CODE)),
        ToolSyntax::FunctionGemma => Box::new(Invocations::new(&FUNCTION_GEMMA)),
        ToolSyntax::Gemma4 => Box::new(Invocations::new(&GEMMA4)),
    }
}

/// Every mark that parsing an answer of this format looks for. Where a tokenizer has a special token for one, the token
/// is text all the same; other special tokens never show.
pub fn markers(format: OutputFormat) -> impl Iterator<Item = &'static str> {
    let reasoning = format.reasoning.and_then(reasoning_tags).into_iter().flatten().flat_map(token_of_tag);
    let harmony = harmony::speaks(format).then_some(harmony::MARKS).into_iter().flatten().copied();
    let opening = format.tools.map(marks).into_iter().flatten().copied();
    let inner = format.tools.map(inner_marks).into_iter().flatten().copied();
    reasoning.chain(harmony).chain(opening).chain(inner)
}

/// The special tokens that a tag may be made of: itself, and the one in front of a word.
fn token_of_tag(tag: &'static str) -> impl Iterator<Item = &'static str> {
    [Some(tag), tag.strip_suffix("thought")].into_iter().flatten()
}

/// Whether a text that was cut behind a call may have been about to become a mark of the family's.
pub(super) fn begins_mark(syntax: ToolSyntax, text: &str) -> bool {
    let text = text.trim_start();
    // Tags that are never special tokens.
    let others: &[&str] = match syntax {
        ToolSyntax::MiniMaxM2 => &["<invoke name=\"", "</invoke>", "<parameter name=\""],
        ToolSyntax::ToolCode => &["```"],
        _ => &[],
    };
    let mut marks = marks(syntax).iter().chain(inner_marks(syntax)).chain(others);
    !text.is_empty() && marks.any(|mark| mark.starts_with(text))
}

/// Marks inside of a block of calls that may be special tokens.
const fn inner_marks(syntax: ToolSyntax) -> &'static [&'static str] {
    match syntax {
        ToolSyntax::Hermes => &["</tool_call>"],
        ToolSyntax::Qwen3Coder => &["</tool_call>", "</function>", "<parameter=", "</parameter>"],
        ToolSyntax::SeedOss => {
            &["</seed:tool_call>", "</function>", "<function=", "<parameter=", "</parameter>"]
        }
        ToolSyntax::MiniMaxM2 => &["</minimax:tool_call>"],
        ToolSyntax::Glm => &["</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
        ToolSyntax::Pythonic => &["<|python_end|>"],
        ToolSyntax::Mistral | ToolSyntax::MistralArgs => &["[ARGS]", "[CALL_ID]"],
        ToolSyntax::DeepSeekV3 | ToolSyntax::DeepSeekV31 => {
            &["<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"]
        }
        ToolSyntax::KimiK2 => {
            &["<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>"]
        }
        ToolSyntax::FunctionGemma => &["<end_function_call>", "<escape>"],
        ToolSyntax::Gemma4 => &["<tool_call|>", "<|\"|>"],
        ToolSyntax::Granite => &["</tool_call>", "<|/tool_call|>"],
        ToolSyntax::Lfm2 => &["<|tool_call_end|>"],
        ToolSyntax::Llama3Json | ToolSyntax::ToolCode | ToolSyntax::Json | ToolSyntax::Harmony => &[],
    }
}

const HERMES: objects::Dialect = objects::Dialect {
    close: "</tool_call>",
    ends: &["</tool_call>"],
    list: true,
    several: false,
    bare: false,
};
const GRANITE: objects::Dialect = objects::Dialect {
    close: "<|/tool_call|>",
    ends: &["<|/tool_call|>", "<|tool_call|>"],
    list: true,
    several: false,
    bare: false,
};
const LLAMA_MARKED: objects::Dialect =
    objects::Dialect { close: "", ends: &["<|python_tag|>"], list: false, several: true, bare: false };
const BARE: objects::Dialect =
    objects::Dialect { close: "", ends: &[], list: true, several: true, bare: true };
const MISTRAL: objects::Dialect =
    objects::Dialect { close: "", ends: &["[TOOL_CALLS]"], list: true, several: false, bare: false };

const MISTRAL_ARGS: named::Dialect = named::Dialect {
    section: "",
    section_end: "",
    call: "[TOOL_CALLS]",
    kind: "",
    name_end: "[ARGS]",
    fence: "",
    call_end: "",
    ends: &["[TOOL_CALLS]"],
    naming: Naming::Mistral,
};
const DEEPSEEK_V3: named::Dialect =
    named::Dialect {
        kind: "function<｜tool▁sep｜>", name_end: "\n```json\n", fence: "```", ..DEEPSEEK_V31
    };
const DEEPSEEK_V31: named::Dialect = named::Dialect {
    section: "<｜tool▁calls▁begin｜>",
    section_end: "<｜tool▁calls▁end｜>",
    call: "<｜tool▁call▁begin｜>",
    kind: "",
    name_end: "<｜tool▁sep｜>",
    fence: "",
    call_end: "<｜tool▁call▁end｜>",
    ends: &["<｜tool▁call▁end｜>"],
    naming: Naming::Function,
};
const KIMI: named::Dialect = named::Dialect {
    section: "<|tool_calls_section_begin|>",
    section_end: "<|tool_calls_section_end|>",
    call: "<|tool_call_begin|>",
    kind: "",
    name_end: "<|tool_call_argument_begin|>",
    fence: "",
    call_end: "<|tool_call_end|>",
    ends: &["<|tool_call_end|>"],
    naming: Naming::Kimi,
};

const QWEN: tagged::Dialect = tagged::Dialect {
    function: "<function=",
    name_end: ">",
    function_end: "</function>",
    key: "<parameter=",
    key_end: ">",
    value: "",
    value_end: "</parameter>",
    framed: true,
    block_end: "</tool_call>",
};
const SEED: tagged::Dialect = tagged::Dialect { block_end: "</seed:tool_call>", ..QWEN };
const MINIMAX: tagged::Dialect = tagged::Dialect {
    function: "<invoke name=\"",
    name_end: "\">",
    function_end: "</invoke>",
    key: "<parameter name=\"",
    key_end: "\">",
    block_end: "</minimax:tool_call>",
    ..QWEN
};
const GLM: tagged::Dialect = tagged::Dialect {
    function: "",
    name_end: "",
    function_end: "",
    key: "<arg_key>",
    key_end: "</arg_key>",
    value: "<arg_value>",
    value_end: "</arg_value>",
    framed: false,
    block_end: "</tool_call>",
};

const PYTHONIC: invocations::Dialect = invocations::Dialect {
    prefix: "",
    open: "(",
    assign: "=",
    end: ")",
    notation: Notation::Python,
    list: List::Always,
    close: "",
    bare: true,
};
const LLAMA4: invocations::Dialect =
    invocations::Dialect { close: "<|python_end|>", bare: false, ..PYTHONIC };
const LFM2: invocations::Dialect =
    invocations::Dialect { close: "<|tool_call_end|>", bare: false, ..PYTHONIC };
const TOOL_CODE: invocations::Dialect =
    invocations::Dialect { list: List::Maybe, close: "```", bare: false, ..PYTHONIC };
const FUNCTION_GEMMA: invocations::Dialect = invocations::Dialect {
    prefix: "call:",
    open: "{",
    assign: ":",
    end: "}",
    notation: Notation::Gemma("<escape>"),
    list: List::Never,
    close: "<end_function_call>",
    bare: false,
};
const GEMMA4: invocations::Dialect =
    invocations::Dialect { notation: Notation::Gemma("<|\"|>"), close: "<tool_call|>", ..FUNCTION_GEMMA };
