//! Which parsers a chat template asks for, and how it is told about reasoning.

use std::fs;
use std::path::Path;

use mlx_gate_core::{
    Conversation, Effort, EngineError, Message, OutputFormat, ReasoningOptions, ReasoningSyntax, Role,
    ToolSyntax,
};
use mlx_gate_engine::text::{Assets, ModelText, ParserChoice, Parsers};
use serde_json::json;

fn load(template: &str) -> ModelText {
    let tokenizer = json!({
        "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"},
    });
    let assets = Assets {
        tokenizer: tokenizer.to_string().into_bytes(),
        chat_template: Some(template.as_bytes().to_vec()),
        ..Assets::default()
    };
    ModelText::load("tiny", &assets).expect("loads")
}

fn family(name: &str) -> ModelText {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/templates/families/{name}.jinja"));
    load(&fs::read_to_string(path).expect("a template"))
}

fn conversation(reasoning: ReasoningOptions) -> Conversation {
    let message = Message {
        role: Role::User,
        content: Some("Hi".to_owned()),
        reasoning: None,
        tool_calls: Vec::new(),
        tool_call_id: None,
        name: None,
    };
    let tools =
        vec![json!({"type": "function", "function": {"name": "f", "description": "", "parameters": {}}})];
    Conversation { messages: vec![message], tools, reasoning, ..Conversation::default() }
}

fn format(text: &ModelText) -> OutputFormat {
    text.output_format(&conversation(ReasoningOptions::default()), "")
}

#[test]
fn public_templates_choose_their_parsers() {
    let think = Some(ReasoningSyntax::Think);
    for (name, tools, reasoning) in [
        ("chatml", None, None),
        ("llama-2", None, None),
        ("gemma-3", None, None),
        ("mistral-v1", None, None),
        ("llama-3.1", Some(ToolSyntax::Llama3Json), None),
        ("mistral-v3-tools", Some(ToolSyntax::Mistral), None),
        ("qwen2.5", Some(ToolSyntax::Hermes), None),
        ("qwen3", Some(ToolSyntax::Hermes), think),
        ("qwen3-coder", Some(ToolSyntax::Qwen3Coder), None),
        ("qwq", Some(ToolSyntax::Hermes), think),
        ("hermes-3", Some(ToolSyntax::Hermes), None),
        ("smollm3", Some(ToolSyntax::Hermes), think),
        ("granite-3", Some(ToolSyntax::Granite), None),
        ("glm-4.5", Some(ToolSyntax::Glm), think),
        ("gpt-oss", Some(ToolSyntax::Harmony), Some(ReasoningSyntax::Harmony)),
        ("kimi-k2", Some(ToolSyntax::KimiK2), None),
        ("demo", Some(ToolSyntax::Hermes), think),
        ("deepseek-v3.1", Some(ToolSyntax::DeepSeekV31), think),
    ] {
        let format = format(&family(name));
        assert_eq!((format.tools, format.reasoning), (tools, reasoning), "{name}");
    }
    // Its template writes calls, but never shows the model what it could call.
    assert_eq!(format(&family("deepseek-r1")).tools, None);
}

#[test]
fn marks_in_a_template_choose_a_parser() {
    for (marks, tools) in [
        ("<minimax:tool_call>", ToolSyntax::MiniMaxM2),
        ("<seed:tool_call>\n<function=f>\n<parameter=a>", ToolSyntax::SeedOss),
        ("<|tool_call>call:<tool_call|>", ToolSyntax::Gemma4),
        ("<start_function_call>call:", ToolSyntax::FunctionGemma),
        ("<｜tool▁call▁begin｜>function ```json", ToolSyntax::DeepSeekV3),
        ("[TOOL_CALLS]f[ARGS]", ToolSyntax::MistralArgs),
        ("<|tool_list_start|>", ToolSyntax::Lfm2),
        ("<|tool_call|>[", ToolSyntax::Granite),
        ("[func_name1(params_name1=params_value1)]", ToolSyntax::Pythonic),
        (
            "{\"name\": function name, \"parameters\": dictionary of argument name and its value}",
            ToolSyntax::Llama3Json,
        ),
        ("```tool_code", ToolSyntax::ToolCode),
    ] {
        let raw = format!("{{% raw %}}{marks}{{% endraw %}}");
        assert_eq!(format(&load(&format!("{{{{ tools }}}}{raw}"))).tools, Some(tools), "{marks}");
        assert_eq!(format(&load(&raw)).tools, None, "{marks}: the model sees no tools");
    }
    for (marks, reasoning) in [
        ("[THINK]", ReasoningSyntax::Mistral),
        ("<seed:think>", ReasoningSyntax::SeedOss),
        ("◁think▷", ReasoningSyntax::Kimi),
        ("<|channel>thought", ReasoningSyntax::Gemma4),
        ("Here is my thought process:", ReasoningSyntax::Granite),
    ] {
        assert_eq!(format(&load(marks)).reasoning, Some(reasoning), "{marks}");
    }
}

#[test]
fn a_choice_goes_before_the_template() {
    let parsers = |tools, reasoning| family("qwen3").with_parsers(Parsers { tools, reasoning });
    let named = parsers(ParserChoice::Named(ToolSyntax::Json), ParserChoice::Named(ReasoningSyntax::Kimi));
    assert_eq!(format(&named).tools, Some(ToolSyntax::Json));
    assert_eq!(format(&named).reasoning, Some(ReasoningSyntax::Kimi));
    let off = parsers(ParserChoice::Off, ParserChoice::Off);
    assert_eq!(format(&off), OutputFormat::default());
    assert!(!off.capabilities().tools && !off.capabilities().reasoning);
    let forced = Parsers { tools: ParserChoice::Named(ToolSyntax::Json), ..Parsers::default() };
    assert_eq!(
        format(&family("chatml").with_parsers(forced)).tools,
        None,
        "the model would not see the tools"
    );
}

#[test]
fn wishes_about_reasoning_reach_the_template() {
    let on = ReasoningOptions { enabled: Some(true), ..ReasoningOptions::default() };
    let off = ReasoningOptions { enabled: Some(false), ..ReasoningOptions::default() };
    let effort = |effort| ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() };
    let switch = "{{ enable_thinking }} {{ thinking }}<think>";
    let seed = "{{ thinking_budget }}<seed:think>";
    let levels = "{{ reasoning_effort }}<|channel|>";
    let free = "{{ reasoning_effort|default('usual') }}<think>";
    let always = "{{ messages[0].content }}<think>";
    let never = "{{ messages[0].content }}";
    for (template, asked, expected) in [
        (switch, ReasoningOptions::default(), Ok("False False<think>")),
        (switch, on, Ok("True True<think>")),
        (switch, effort(Effort::High), Ok("True True<think>")),
        (switch, effort(Effort::Minimal), Ok("False False<think>")),
        (seed, on, Ok("-1<seed:think>")),
        (seed, off, Ok("0<seed:think>")),
        (levels, effort(Effort::Minimal), Ok("low<|channel|>")),
        (levels, effort(Effort::XHigh), Ok("high<|channel|>")),
        (levels, effort(Effort::None), Err("its least effort is `low`")),
        (levels, off, Err("cannot switch that off")),
        (free, effort(Effort::None), Ok("none<think>")),
        (free, ReasoningOptions::default(), Ok("usual<think>")),
        (always, ReasoningOptions::default(), Ok("Hi<think>")),
        (always, effort(Effort::High), Ok("Hi<think>")),
        (always, off, Err("reasons in every answer")),
        (never, off, Ok("Hi")),
        (never, effort(Effort::Low), Err("does not reason")),
    ] {
        match (load(template).render(&conversation(asked)), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{template} {asked:?}"),
            (Err(EngineError::InvalidRequest { field: "reasoning", message }), Err(expected)) => {
                assert!(message.contains(expected), "{message}");
            }
            (actual, _) => panic!("{template} {asked:?}: {actual:?}"),
        }
    }
}

#[test]
fn a_prompt_may_leave_reasoning_open() {
    let open = |template: &str| {
        let asked = ReasoningOptions { enabled: Some(true), ..ReasoningOptions::default() };
        load(template).encode_chat(&conversation(asked)).expect("renders").format.reasoning_open
    };
    assert!(open("assistant: [THINK]"));
    assert!(open("assistant: <seed:think>\n"));
    assert!(!open("assistant: <seed:think></seed:think>\n"));
    assert!(!open("assistant: <|channel|>"), "no tag opens it there");
}
