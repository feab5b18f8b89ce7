//! A model's text side: everything between a conversation and token ids, and between token ids and text.
//!
//! [`ModelText`] is built from the bytes of the files that lie beside a model's weights and never touches a file itself.
//! It renders conversations through the model's own chat template ([`ChatTemplate`]), tokenizes, and hands out
//! [`Detokenizer`]s for the way back.

mod assets;
mod chat;
mod detokenizer;
mod reading;
mod syntax;
mod template;
mod thinking;
mod vocabulary;

use std::sync::Arc;

use mlx_gate_core::{
    Capabilities, Conversation, EngineError, OutputFormat, ReasoningOptions, ReasoningSyntax, Sampling,
    ToolSyntax,
};
use tokenizers::Tokenizer;

pub use assets::Assets;
pub use detokenizer::{Beginning, Detokenizer};
pub use syntax::{ParserChoice, Parsers};
pub use template::{ChatTemplate, Clock};

use crate::output;
use assets::{Document, SpecialTokens};
use vocabulary::Vocabulary;

/// Tokenizer, chat template and defaults of one model. Shared by all its requests.
pub struct ModelText {
    name: String,
    tokenizer: Tokenizer,
    vocabulary: Arc<Vocabulary>,
    template: Option<ChatTemplate>,
    special_tokens: SpecialTokens,
    stop_tokens: Vec<u32>,
    defaults: Sampling,
    tool_syntax: Option<ToolSyntax>,
    reasoning_syntax: Option<ReasoningSyntax>,
    /// Special tokens that its parsers look for.
    markers: Vec<u32>,
}

/// A conversation as its model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatPrompt {
    /// The prompt in the model's tokens.
    pub tokens: Vec<u32>,
    /// How the answer is to be taken apart.
    pub format: OutputFormat,
    /// Whether the answer may begin with reasoning, as far as the prompt tells.
    pub may_reason: bool,
}

/// Why a model's text files cannot be used. Each says which file and key, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not JSON, or not a JSON object.
    #[error("{file} is not a JSON object: {cause}")]
    NotJson {
        /// Name of the file in the model's folder.
        file: &'static str,
        /// The parser's words.
        cause: String,
    },
    /// A key holds something else than it should.
    #[error("{file}: `{key}` is {found}, but should be {expected}")]
    BadValue {
        /// Name of the file in the model's folder.
        file: &'static str,
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// `tokenizer.json` describes no tokenizer.
    #[error("tokenizer.json describes no usable tokenizer: {0}")]
    Tokenizer(String),
    /// The tokenizer decodes in a way that cannot be streamed here.
    #[error(
        "tokenizer.json: `decoder` uses {found}; supported are ByteLevel, Metaspace, Replace, ByteFallback, Fuse and Strip"
    )]
    UnsupportedDecoder {
        /// What stands there.
        found: String,
    },
    /// A chat template does not compile.
    #[error("{file}: the chat template `{template}` does not compile: {cause}")]
    Template {
        /// Name of the file in the model's folder.
        file: &'static str,
        /// `default` or `tool_use`.
        template: &'static str,
        /// The compiler's words, with the line.
        cause: String,
    },
}

/// The tokenizer as transformers uses it: without the truncation and the padding it was once saved with.
fn tokenizer(assets: &Assets) -> Result<Tokenizer, Error> {
    let failed = |error: tokenizers::Error| Error::Tokenizer(error.to_string());
    let mut tokenizer = Tokenizer::from_bytes(&assets.tokenizer).map_err(failed)?;
    tokenizer.with_truncation(None).map_err(failed)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

impl ModelText {
    /// Builds the text side of the model served as `name`.
    pub fn load(name: impl Into<String>, assets: &Assets) -> Result<Self, Error> {
        Self::load_with_clock(name, assets, template::system_clock())
    }

    /// As [`load`](Self::load), with another clock for templates that print the date.
    pub fn load_with_clock(name: impl Into<String>, assets: &Assets, clock: Clock) -> Result<Self, Error> {
        let tokenizer = tokenizer(assets)?;
        let config = Document::parse("config.json", assets.config.as_deref())?;
        let tokenizer_config = Document::parse("tokenizer_config.json", assets.tokenizer_config.as_deref())?;
        let generation_config =
            Document::parse("generation_config.json", assets.generation_config.as_deref())?;
        let special_tokens_map =
            Document::parse("special_tokens_map.json", assets.special_tokens_map.as_deref())?;

        let template = match assets::chat_templates(assets.chat_template.as_deref(), &tokenizer_config)? {
            Some(sources) => Some(ChatTemplate::compile(&sources, clock)?),
            None => None,
        };
        let special_tokens = SpecialTokens::find(&tokenizer_config, &special_tokens_map)?;
        let stop_tokens = assets::stop_tokens(&generation_config, &config, &special_tokens, &tokenizer)?;
        let text = Self {
            name: name.into(),
            vocabulary: Arc::new(Vocabulary::new(&tokenizer)?),
            tokenizer,
            tool_syntax: None,
            reasoning_syntax: None,
            markers: Vec::new(),
            template,
            special_tokens,
            stop_tokens,
            defaults: assets::sampling_defaults(&generation_config)?,
        };
        Ok(text.with_parsers(Parsers::default()))
    }

    /// With other parsers of answers than those that the chat template asks for.
    pub fn with_parsers(mut self, parsers: Parsers) -> Self {
        let template = self.template.as_ref();
        self.tool_syntax = template.and_then(|template| parsers.tool_syntax(template));
        self.reasoning_syntax = template.and_then(|template| parsers.reasoning_syntax(template));
        let format = OutputFormat {
            tools: self.tool_syntax,
            reasoning: self.reasoning_syntax,
            ..OutputFormat::default()
        };
        self.markers = output::markers(format).filter_map(|text| self.vocabulary.special(text)).collect();
        self
    }

    /// Renders a conversation through the chat template, ready for the model's answer.
    pub fn render(&self, conversation: &Conversation) -> Result<String, EngineError> {
        let template = self.template.as_ref().ok_or_else(|| EngineError::InvalidRequest {
            field: "messages",
            message: format!(
                "the model `{}` has no chat template and cannot take messages; send a `prompt` for completion instead",
                self.name
            ),
        })?;
        let reasoning =
            thinking::variables(conversation.reasoning, template, self.reasoning_syntax, &self.name)?;
        template.render(
            &chat::variables(conversation, &self.special_tokens, reasoning)?,
            !conversation.offered_tools().is_empty(),
        )
    }

    /// Renders and tokenizes a conversation. The template writes the special tokens itself, so none is added.
    pub fn encode_chat(&self, conversation: &Conversation) -> Result<ChatPrompt, EngineError> {
        let text = self.render(conversation)?;
        let format = self.output_format(conversation, &text);
        let may_reason = match (format.reasoning, &self.template) {
            (Some(syntax), Some(template)) => thinking::may_begin(syntax, conversation, template, &text),
            _ => false,
        };
        Ok(ChatPrompt { tokens: self.encode(&text, false)?, format, may_reason })
    }

    /// The most tokens of reasoning that a request wants, explicitly or by an effort that the chat template does not know.
    pub fn reasoning_budget(&self, reasoning: ReasoningOptions) -> Option<u32> {
        thinking::budget(reasoning, self.template.as_ref()?)
    }

    /// Tokenizes text; `add_special` lets the tokenizer put its own special tokens around it (BOS, mostly).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        self.tokenizer.encode_fast(text, add_special).map(|encoding| encoding.get_ids().to_vec()).map_err(
            |error| EngineError::Internal(format!("the tokenizer of `{}` failed: {error}", self.name)),
        )
    }

    /// The text of tokens, special ones included.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, EngineError> {
        self.tokenizer.decode(tokens, false).map_err(|error| {
            EngineError::Internal(format!("the tokenizer of `{}` failed: {error}", self.name))
        })
    }

    /// How the vocabulary spells a token; empty for an unknown id.
    pub fn spelling(&self, id: u32) -> String {
        self.tokenizer.id_to_token(id).unwrap_or_default()
    }

    /// How the answer to a conversation is taken apart; `rendered` is its prompt.
    pub fn output_format(&self, conversation: &Conversation, rendered: &str) -> OutputFormat {
        OutputFormat {
            tools: self.tool_syntax.filter(|_| !conversation.offered_tools().is_empty()),
            reasoning: self.reasoning_syntax,
            reasoning_open: self
                .reasoning_syntax
                .and_then(output::reasoning_tags)
                .is_some_and(|[tag, _]| thinking::is_open(rendered, tag)),
            ..OutputFormat::default()
        }
    }

    /// Tokens that end an answer.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stop_tokens
    }

    /// The sampling parameters the model's makers recommend.
    pub fn defaults(&self) -> &Sampling {
        &self.defaults
    }

    /// What the prompt format can express.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            completion: true,
            chat: self.template.is_some(),
            tools: self.tool_syntax.is_some(),
            reasoning: self.reasoning_syntax.is_some(),
            // A grammar's end is said with one of them.
            structured_output: !self.stop_tokens.is_empty(),
            ..Capabilities::default()
        }
    }

    /// The bytes a token stands for in an answer. `None` for unknown ids, and for special tokens but those that the parsers
    /// of this model look for.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        let marker = || self.markers.contains(&id).then(|| self.vocabulary.name(id)).flatten();
        self.vocabulary.bytes(id).or_else(marker)
    }

    /// The name of a token that never shows. `None` for all others.
    pub fn control_token(&self, id: u32) -> Option<String> {
        self.token_bytes(id).is_none().then(|| self.tokenizer.id_to_token(id)).flatten()
    }

    /// A detokenizer for one answer, which is to be taken apart by this format.
    pub fn detokenizer(&self, beginning: Beginning, format: OutputFormat) -> Detokenizer {
        Detokenizer::new(Arc::clone(&self.vocabulary), beginning, output::markers(format))
    }
}
