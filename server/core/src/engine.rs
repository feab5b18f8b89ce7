use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use serde_json::Value;

use crate::{
    BoxFuture, EncodeRequest, Encoded, EndRules, Event, ModelCard, OutputFormat, PreparedEncode, Prompt,
    Request, Sampling, Tags,
};

/// The events of one answer. Dropping it cancels the answer, also during prefill.
pub type EventStream = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// The vectors of texts in the making. Dropping it cancels them.
pub type Encoding = BoxFuture<'static, Result<Encoded, EngineError>>;

/// Whatever generates: the local scheduler, or an upstream.
pub trait Engine: Send + Sync {
    /// The models served, in the order of the command line. The first one answers requests that name none.
    fn models(&self) -> &[ModelCard];

    /// Renders, tokenizes and checks a request against its model's limits, beside the device. After this the request's
    /// size is known and nothing about it can be the client's mistake.
    fn prepare(&self, request: Request) -> BoxFuture<'_, Result<Prepared, EngineError>>;

    /// Queues a prepared request. Fails at once where the queue is full. There is a stream for each of its choices, in
    /// order; what becomes of one choice does not touch the others.
    fn start(&self, prepared: Prepared, tags: &Tags) -> Result<Vec<EventStream>, EngineError>;

    /// Tokenizes and checks texts to be embedded or scored, beside the device.
    fn prepare_encode(&self, request: EncodeRequest) -> BoxFuture<'_, Result<PreparedEncode, EngineError>>;

    /// Queues prepared texts. Fails at once where the queue is full. Dropping the future cancels what of them is not being
    /// read yet.
    fn encode(&self, prepared: PreparedEncode, tags: &Tags) -> Result<Encoding, EngineError>;

    /// A prompt in a model's tokens, exactly as [`prepare`](Self::prepare) would have them; beside the device. Their
    /// number is the exact size of a request. A prompt longer than the context is no error here.
    fn tokenize(&self, tokenize: Tokenize) -> BoxFuture<'_, Result<Tokenized, EngineError>>;

    /// The text of some of a model's tokens, special ones included.
    fn detokenize(
        &self,
        model: Option<String>,
        tokens: Vec<u32>,
    ) -> BoxFuture<'_, Result<String, EngineError>>;
}

/// What to tokenize.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokenize {
    /// Served name of the model; `None` is the first one.
    pub model: Option<String>,
    /// The prompt.
    pub prompt: Prompt,
    /// Whether the tokenizer puts its own special tokens around the text. `None` does as a generation would: for
    /// [`Prompt::Text`], but not for what a chat template wrote.
    pub add_special_tokens: Option<bool>,
    /// Whether to give the tokens' spelling in the vocabulary too.
    pub spelled: bool,
}

impl Tokenize {
    /// The prompt as a generation would read it.
    pub const fn prompt(model: Option<String>, prompt: Prompt) -> Self {
        Self { model, prompt, add_special_tokens: None, spelled: false }
    }
}

/// A prompt in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenized {
    /// Served name of the model whose tokens these are.
    pub model: String,
    /// The tokens.
    pub tokens: Vec<u32>,
    /// How the vocabulary spells each (`\u{120}world` for " world" in byte-level tokenizers), where that is asked for.
    pub spelled: Option<Vec<String>>,
}

/// A request ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Id of the request.
    pub id: String,
    /// Served name of the model that will answer.
    pub model: String,
    /// Prompt, in the model's tokens. Never empty.
    pub prompt: Vec<u32>,
    /// How many answers to give, as in [`Request::choices`]. At least 1.
    pub choices: u32,
    /// The most tokens to generate, within context and server limit. 0 only reads the prompt.
    pub max_output_tokens: u32,
    /// Resolved sampling parameters.
    pub sampling: Sampling,
    /// Stop strings. None is empty.
    pub stop: Vec<String>,
    /// What else ends it, and when.
    pub end: EndRules,
    /// Special tokens are text, by their names.
    pub special_tokens: bool,
    /// Every token generated is told.
    pub token_ids: bool,
    /// Log probabilities of tokens, with those of this many alternatives.
    pub logprobs: Option<u32>,
    /// The same of the prompt's tokens.
    pub prompt_logprobs: Option<u32>,
    /// How the text is taken apart.
    pub format: OutputFormat,
    /// How long the model may reason.
    pub reasoning_budget: Option<ReasoningBudget>,
    /// The tools offered, as [`Conversation::tools`](crate::Conversation::tools) has them: values in calls get the types
    /// that a tool's schema says, and what looks like a call without any mark is one only where it names a tool.
    pub tools: Arc<[Value]>,
    /// The answer goes on with the prompt's text instead of being a text of its own, so that a space in front of its
    /// first word counts.
    pub continues: bool,
    /// What the answer has to look like.
    pub grammar: Option<CompiledGrammar>,
}

/// A bound on reasoning, and what the model is made to say when it reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasoningBudget {
    /// Tokens of reasoning after which it is ended.
    pub tokens: u32,
    /// Tokens that end it. Where the model takes its reasoning up again, the next of these does, and the last one from then
    /// on. At least one.
    pub endings: Arc<[Vec<u32>]>,
}

/// A grammar in the form in which the engine that prepared the request uses it; a closed box to everybody else.
#[derive(Clone)]
pub struct CompiledGrammar(Arc<dyn Any + Send + Sync>);

impl CompiledGrammar {
    /// Closes the box.
    pub fn new(grammar: Arc<dyn Any + Send + Sync>) -> Self {
        Self(grammar)
    }

    /// Opens it. `None` where another engine closed it.
    pub fn downcast<T: Any + Send + Sync>(self) -> Option<Arc<T>> {
        self.0.downcast().ok()
    }
}

/// Two are equal where they are the same one.
impl PartialEq for CompiledGrammar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for CompiledGrammar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CompiledGrammar")
    }
}

/// Why a request cannot be answered. The text of the client's own mistakes is safe to show; that of the others is for
/// the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No such model is served.
    #[error("the model `{0}` is not served here")]
    UnknownModel(String),
    /// No such adapter is served.
    #[error("the adapter `{0}` is not served here")]
    UnknownAdapter(String),
    /// A field of the request cannot be honoured.
    #[error("{message}")]
    InvalidRequest {
        /// Name of the field, in the vocabulary of [`Request`]: `messages`, `prompt`, `tools`, ...
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Prompt, or prompt and answer, do not fit. The words are those by which clients of OpenAI's and of Anthropic's API know
    /// that they have to shorten a conversation: "this model's maximum context length is", and "prompt is too long: 9 tokens >
    /// 8 maximum".
    #[error(
        "the prompt is too long: {prompt_tokens} tokens > {} maximum; this model's maximum context length is {context_length} tokens, answer included",
        .context_length.saturating_sub(1)
    )]
    PromptTooLong {
        /// Length of the prompt in tokens.
        prompt_tokens: u32,
        /// Length of the context in tokens.
        context_length: u32,
    },
    /// The model is of another kind than the request.
    #[error("the model `{model}` {problem}")]
    UnsuitedModel {
        /// Served name of the model.
        model: String,
        /// What it does not do, why, and what would be right.
        problem: &'static str,
    },
    /// A text does not fit into what the model can read.
    #[error(
        "input {index} is longer than the model's context length: it is {tokens} tokens long and the model reads {most} at the most; shorten it, or send `truncate_prompt_tokens`"
    )]
    InputTooLong {
        /// Which of the inputs, from 0.
        index: usize,
        /// Its length in tokens.
        tokens: u32,
        /// The longest it may be.
        most: u32,
    },
    /// The queue is at its bound.
    #[error("the server is at capacity: {waiting} requests are waiting")]
    Overloaded {
        /// Requests in the queue.
        waiting: usize,
    },
    /// The server is shutting down, or its device thread is gone.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Something broke inside. The text is for the log only.
    #[error("{0}")]
    Internal(String),
}
