use serde_json::{Map, Value};

/// A generation request, in no client's dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Unique id, also the response's `x-request-id`.
    pub id: String,
    /// Served name of the model; `None` is the first one.
    pub model: Option<String>,
    /// What to continue.
    pub prompt: Prompt,
    /// What the client said about sampling; the model's own defaults fill the rest.
    pub sampling: SamplingOverrides,
    /// The most tokens to generate; `None` is the server's limit.
    pub max_output_tokens: Option<u32>,
    /// Generation ends before the first of these; none of it is shown.
    pub stop: Vec<String>,
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// Turns, oldest first. Never empty once validated.
    pub messages: Vec<Message>,
    /// Tools as the client sent them (`{"type": "function", "function": {..}}`). Empty means the template sees none.
    pub tools: Vec<Value>,
    /// Further template variables (`chat_template_kwargs`), `enable_thinking` for instance.
    pub template_options: Map<String, Value>,
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
