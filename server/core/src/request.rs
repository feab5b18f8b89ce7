use serde_json::{Map, Value};

use crate::Truncate;

/// A generation request, in no client's dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Unique id, also the response's `x-request-id`.
    pub id: String,
    /// Served name of the model; `None` is the first one.
    pub model: Option<String>,
    /// What to continue.
    pub prompt: Prompt,
    /// How many answers to give to the prompt, which is read once for all of them. Each has a seed of its own: the first one
    /// that of [`sampling`](Self::sampling), the others those that follow it. At least 1, at most [`MOST_CHOICES`].
    pub choices: u32,
    /// What the client said about sampling; the model's own defaults fill the rest.
    pub sampling: SamplingOverrides,
    /// The most tokens to generate; `None` is the server's limit, and 0 only reads the prompt.
    pub max_output_tokens: Option<u32>,
    /// Generation ends before the first of these; none of it is shown.
    pub stop: Vec<String>,
    /// What else ends it, and when.
    pub end: EndRules,
    /// Cuts a prompt that is longer at its beginning.
    pub truncate: Option<Truncate>,
    /// Special tokens are text, by their names.
    pub special_tokens: bool,
    /// Every token generated is told, see [`Event::Tokens`](crate::Event::Tokens).
    pub token_ids: bool,
    /// Log probabilities of the tokens generated, each with those of this many likeliest tokens; `None` is none at all.
    /// At most [`MOST_LOGPROBS`].
    pub logprobs: Option<u32>,
    /// The same of the prompt's tokens.
    pub prompt_logprobs: Option<u32>,
    /// What the answer has to look like.
    pub grammar: Option<Grammar>,
}

/// The most answers to one prompt, OpenAI's bound of `n`.
pub const MOST_CHOICES: u32 = 128;

/// The most alternatives beside a token's own log probability, as in OpenAI's `top_logprobs`.
pub const MOST_LOGPROBS: u32 = 20;

impl Request {
    /// A request that asks for nothing in particular.
    pub fn new(id: String, prompt: Prompt) -> Self {
        Self {
            id,
            model: None,
            prompt,
            choices: 1,
            sampling: SamplingOverrides::default(),
            max_output_tokens: None,
            stop: Vec::new(),
            end: EndRules::default(),
            truncate: None,
            special_tokens: false,
            token_ids: false,
            logprobs: None,
            prompt_logprobs: None,
            grammar: None,
        }
    }
}

/// When an answer may end, and what of its end is shown. The default: where the model ends it, and nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndRules {
    /// Tokens that end it as the model's own end-of-sequence tokens do.
    pub tokens: Vec<u32>,
    /// It has this many tokens before any of these tokens, or a stop string, ends it. A grammar goes before: an answer that
    /// can only end ends.
    pub min_tokens: u32,
    /// The model's own end-of-sequence tokens do not end it. Not for an answer that follows a grammar.
    pub ignores_model: bool,
    /// The stop string or token that ends it is part of its text.
    pub shown: bool,
}

/// The set of texts an answer may be. What a model reasons before its answer is free.
#[derive(Debug, Clone, PartialEq)]
pub enum Grammar {
    /// Any JSON object (`json_object` of OpenAI's `response_format`).
    JsonObject,
    /// JSON that is valid by this JSON Schema.
    JsonSchema(Value),
    /// A text that a regular expression matches as a whole.
    Regex(String),
    /// A context-free grammar in llguidance's dialect of Lark.
    Lark(String),
    /// One of these texts.
    Choice(Vec<String>),
}

/// What a generation continues.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// Rendered through the model's chat template.
    Chat(Conversation),
    /// Tokenized as it is, with the tokenizer's own special tokens.
    Text(String),
    /// Used as it is.
    Tokens(Vec<u32>),
}

/// Input of a chat template.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Turns, oldest first. Never empty once validated.
    pub messages: Vec<Message>,
    /// Tools as the client sent them (`{"type": "function", "function": {..}}`). Empty means the template sees none.
    pub tools: Vec<Value>,
    /// Whether and which of the tools the answer has to call.
    pub tool_choice: ToolChoice,
    /// Whether one answer may call tools several times.
    pub parallel_tool_calls: bool,
    /// Whether and how much the model thinks before it answers.
    pub reasoning: ReasoningOptions,
    /// Further template variables (`chat_template_kwargs`). They go before what [`reasoning`](Self::reasoning) sets.
    pub template_options: Map<String, Value>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            parallel_tool_calls: true,
            reasoning: ReasoningOptions::default(),
            template_options: Map::new(),
        }
    }
}

impl Conversation {
    /// The tools the model gets to see: what it does not see it does not call.
    pub fn offered_tools(&self) -> &[Value] {
        if self.tool_choice == ToolChoice::None { &[] } else { &self.tools }
    }
}

/// Whether and which tools an answer calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Auto,
    /// None, and the model sees none.
    None,
    /// At least one, whichever.
    Required,
    /// The function of this name. One of the tools has it.
    Function(String),
}

/// What a client said about the model's reasoning. The default leaves it to the server, which switches reasoning off
/// where a template can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReasoningOptions {
    /// Whether to reason at all.
    pub enabled: Option<bool>,
    /// How much.
    pub effort: Option<Effort>,
    /// The most tokens of reasoning, after which the model has to answer.
    pub max_tokens: Option<u32>,
    /// A wish, not a demand: a model that does not reason answers without.
    pub optional: bool,
}

impl ReasoningOptions {
    /// Whether reasoning is asked for, or its absence. Most open models know only on and off; [`Effort::Minimal`] is
    /// OpenAI's word for as good as none.
    pub fn wanted(&self) -> Option<bool> {
        let by_effort = || self.effort.map(|effort| effort > Effort::Minimal);
        self.enabled.or_else(by_effort).or(self.max_tokens.map(|tokens| tokens > 0))
    }
}

/// How much a model reasons, as OpenAI names it (`reasoning_effort`), least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As good as not at all.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    XHigh,
}

impl Effort {
    /// Every effort there is, least first.
    pub const ALL: [Self; 6] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh];

    /// The name in requests and templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
        }
    }
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; `None` in an assistant turn that only calls tools.
    pub content: Option<String>,
    /// Reasoning an assistant turn carried.
    pub reasoning: Option<String>,
    /// Calls an assistant turn made.
    pub tool_calls: Vec<ToolCall>,
    /// The call a tool turn answers.
    pub tool_call_id: Option<String>,
    /// Name of the speaker or tool.
    pub name: Option<String>,
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions. OpenAI's `developer` is this too.
    System,
    /// The person asking.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The name templates know.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Unique in the conversation.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The function's arguments, a JSON object where the text parses as one.
    pub arguments: Value,
}

/// What a client said about sampling. `None` leaves the choice to the model's `generation_config.json`, then to
/// [`Sampling::default`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplingOverrides {
    /// See [`Sampling::temperature`].
    pub temperature: Option<f32>,
    /// See [`Sampling::top_p`].
    pub top_p: Option<f32>,
    /// See [`Sampling::top_k`].
    pub top_k: Option<u32>,
    /// See [`Sampling::min_p`].
    pub min_p: Option<f32>,
    /// See [`Sampling::seed`].
    pub seed: Option<u64>,
    /// See [`Sampling::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
    /// See [`Sampling::presence_penalty`].
    pub presence_penalty: Option<f32>,
    /// See [`Sampling::frequency_penalty`].
    pub frequency_penalty: Option<f32>,
    /// See [`Sampling::logit_bias`].
    pub logit_bias: Vec<(u32, f32)>,
}

/// How the next token is chosen from the logits. Values are checked: an API that takes them from a client refuses what
/// is out of range before it gets here.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 always takes the likeliest token. 0 to 2.
    pub temperature: f32,
    /// Nucleus: the likeliest tokens whose probabilities add up to this. In (0, 1]; 1 is off (Holtzman et al. 2020).
    pub top_p: f32,
    /// Only the k likeliest tokens; 0 is off.
    pub top_k: u32,
    /// Only tokens at least this times as likely as the likeliest. In [0, 1]; 0 is off (Nguyen et al. 2024).
    pub min_p: f32,
    /// Makes the choice repeatable.
    pub seed: Option<u64>,
    /// Divides positive and multiplies negative logits of tokens seen in prompt or answer; 1 is off (Keskar et al. 2019).
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of each token already in the answer. -2 to 2.
    pub presence_penalty: f32,
    /// Subtracted from a token's logit for each time it is in the answer. -2 to 2.
    pub frequency_penalty: f32,
    /// Added to a token's logit, -100 to 100.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            seed: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
        }
    }
}

impl Sampling {
    /// Whether the likeliest token is the answer whatever happens, with logits untouched: the device can then choose.
    #[expect(clippy::float_cmp, reason = "these are the exact values that switch a step off")]
    pub fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0
            && self.repetition_penalty == 1.0
            && self.presence_penalty == 0.0
            && self.frequency_penalty == 0.0
            && self.logit_bias.is_empty()
    }
}
