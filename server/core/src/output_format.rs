/// How generated text is taken apart into [`Event`](crate::Event)s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputFormat {
    /// How the model writes tool calls. `None`: nothing in the answer is a call.
    pub tools: Option<ToolSyntax>,
    /// How the model sets reasoning apart. `None`: nothing in the answer is reasoning.
    pub reasoning: Option<ReasoningSyntax>,
    /// The prompt itself ends inside an open reasoning block, as some templates write it, so the answer begins as
    /// reasoning.
    pub reasoning_open: bool,
    /// A grammar says what the text of the answer is. It may have the marks of reasoning and calls inside of it, where they
    /// are text like any other.
    pub text_is_bound: bool,
}

/// How a family of models writes tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolSyntax {
    /// `<tool_call>{"name": .., "arguments": {..}}</tool_call>`: Hermes, Qwen 2.5 and 3.
    Hermes,
    /// `<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>`: Qwen3-Coder, Qwen 3.5.
    Qwen3Coder,
    /// `{"name": .., "parameters": {..}}` as the whole answer, or after `<|python_tag|>`: Llama 3.1 and later.
    Llama3Json,
    /// `[NAME(KEY=VALUE), ..]` as the whole answer, or after `<|python_start|>`: Llama 3.2 and 4.
    Pythonic,
    /// `[TOOL_CALLS][{"name": .., "arguments": {..}}]`: Mistral up to 2024.
    Mistral,
    /// `[TOOL_CALLS]NAME[ARGS]{..}`: Mistral since tokenizer v11, and Devstral.
    MistralArgs,
    /// `<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME`, then the arguments in a JSON code block: DeepSeek V3 and R1.
    DeepSeekV3,
    /// `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{..}<｜tool▁call▁end｜>`: DeepSeek V3.1.
    DeepSeekV31,
    /// `<tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>`: GLM 4.5 and later.
    Glm,
    /// Messages to `functions.NAME` in the commentary channel: gpt-oss. Goes with [`ReasoningSyntax::Harmony`].
    Harmony,
    /// `<start_function_call>call:NAME{KEY:<escape>TEXT<escape>}<end_function_call>`: FunctionGemma.
    FunctionGemma,
    /// `<|tool_call>call:NAME{KEY:<|"|>TEXT<|"|>}<tool_call|>`: Gemma 4.
    Gemma4,
    /// A code block `tool_code` that holds calls in Python: Gemma 3, as its documentation prompts it.
    ToolCode,
    /// `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{..}<|tool_call_end|>`: Kimi K2.
    KimiK2,
    /// `<minimax:tool_call><invoke name="NAME"><parameter name="KEY">VALUE</parameter></invoke>..`: MiniMax M2.
    MiniMaxM2,
    /// `<seed:tool_call><function=NAME><parameter=KEY>VALUE</parameter></function>..`: Seed-OSS.
    SeedOss,
    /// `<|tool_call|>[{"name": .., "arguments": {..}}]`: Granite 3, and Phi-4-mini with a closing tag.
    Granite,
    /// `<|tool_call_start|>[NAME(KEY=VALUE), ..]<|tool_call_end|>`: LFM 2.
    Lfm2,
    /// `{"name": .., "arguments": {..}}`, or a list of them, as the whole answer.
    Json,
}

impl ToolSyntax {
    /// Every syntax there is.
    pub const ALL: [Self; 19] = [
        Self::Hermes,
        Self::Qwen3Coder,
        Self::Llama3Json,
        Self::Pythonic,
        Self::Mistral,
        Self::MistralArgs,
        Self::DeepSeekV3,
        Self::DeepSeekV31,
        Self::Glm,
        Self::Harmony,
        Self::FunctionGemma,
        Self::Gemma4,
        Self::ToolCode,
        Self::KimiK2,
        Self::MiniMaxM2,
        Self::SeedOss,
        Self::Granite,
        Self::Lfm2,
        Self::Json,
    ];

    /// The name of `--tool-parser`: vLLM's `--tool-call-parser` where it has one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hermes => "hermes",
            Self::Qwen3Coder => "qwen3_coder",
            Self::Llama3Json => "llama3_json",
            Self::Pythonic => "pythonic",
            Self::Mistral => "mistral",
            Self::MistralArgs => "mistral_args",
            Self::DeepSeekV3 => "deepseek_v3",
            Self::DeepSeekV31 => "deepseek_v31",
            Self::Glm => "glm45",
            Self::Harmony => "harmony",
            Self::FunctionGemma => "functiongemma",
            Self::Gemma4 => "gemma4",
            Self::ToolCode => "tool_code",
            Self::KimiK2 => "kimi_k2",
            Self::MiniMaxM2 => "minimax_m2",
            Self::SeedOss => "seed_oss",
            Self::Granite => "granite",
            Self::Lfm2 => "lfm2",
            Self::Json => "json",
        }
    }
}

/// How a family of models sets reasoning apart from the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasoningSyntax {
    /// `<think>..</think>`: Qwen, DeepSeek R1, GLM, SmolLM, MiniMax and most others.
    Think,
    /// `[THINK]..[/THINK]`: Magistral.
    Mistral,
    /// `<seed:think>..</seed:think>`: Seed-OSS.
    SeedOss,
    /// `◁think▷..◁/think▷`: Kimi-VL and Kimi k1.5.
    Kimi,
    /// `Here is my thought process:` up to `Here is my response:`: Granite 3.2.
    Granite,
    /// `<|channel>thought..<channel|>`: Gemma 4.
    Gemma4,
    /// Messages in the analysis channel: gpt-oss.
    Harmony,
}

impl ReasoningSyntax {
    /// Every syntax there is.
    pub const ALL: [Self; 7] =
        [Self::Think, Self::Mistral, Self::SeedOss, Self::Kimi, Self::Granite, Self::Gemma4, Self::Harmony];

    /// The name of `--reasoning-parser`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Think => "think",
            Self::Mistral => "mistral",
            Self::SeedOss => "seed_oss",
            Self::Kimi => "kimi",
            Self::Granite => "granite",
            Self::Gemma4 => "gemma4",
            Self::Harmony => "harmony",
        }
    }
}
