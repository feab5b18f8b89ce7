use mlx_gate_core::{Conversation, MOST_LOGPROBS, Message, ModelCard, Prompt, ReasoningOptions, ToolChoice};
use serde_json::{Map, Value, json};

use super::response::Called;
use super::tools::{self, Tools};
use super::{messages, reasoning};
use crate::error::Error;
use crate::generation::Asked;
use crate::openai::fields::{self, Fields};
use crate::openai::options::{self, Options, check_grammar};
use crate::openai::vllm;

/// A checked body of `POST /v1/chat/completions`.
#[derive(Debug, PartialEq)]
pub(super) struct ChatRequest {
    pub(super) options: Options,
    messages: Vec<Message>,
    tools: Tools,
    template_options: Map<String, Value>,
    reasoning: ReasoningOptions,
    max_output_tokens: Option<u32>,
    /// How many alternatives to each token, where log probabilities are asked for.
    pub(super) logprobs: Option<u32>,
}

/// What an answer takes that not every model has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    reasoning: bool,
    tools: bool,
    grammar: Option<&'static str>,
}

/// What is refused, and what to do instead.
const REFUSED: [(&str, &str); 7] = [
    ("functions", "send `tools` instead, which replaced it"),
    ("function_call", "send `tool_choice` instead, which replaced it"),
    ("audio", "the models here answer in text only; leave it out"),
    ("prediction", "no predicted output can be taken up here; leave it out, the answer is the same without"),
    ("web_search_options", "this server searches nothing; give the model a tool that does, or leave it out"),
    ("moderation", "this server moderates nothing; leave it out"),
    ("verbosity", "the models here know no such setting; say it in a message, or leave it out"),
];

impl ChatRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let options = Options::read(&mut fields)?;
        let messages = messages::read(&mut fields)?;
        let tools = tools::read(&mut fields)?;
        let (template_options, reasoning) = reasoning::read(&mut fields)?;
        let max_output_tokens = max_output_tokens(&mut fields)?;
        let logprobs = logprobs(&mut fields)?;
        fields.only("modalities", &[json!(["text"])])?;
        vllm::chat(&mut fields)?;
        fields.refuse_each(&REFUSED)?;
        fields.finish()?;
        Ok(Self { options, messages, tools, template_options, reasoning, max_output_tokens, logprobs })
    }

    /// What a model has to be able to do.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            reasoning: self.reasoning.wanted() == Some(true),
            tools: self.tools.are_offered(),
            grammar: self.options.grammar_field(),
        }
    }

    /// Whose choice a call is.
    pub(super) fn called(&self) -> Called {
        if matches!(self.tools.choice, ToolChoice::Function(_)) { Called::Named } else { Called::Chosen }
    }

    pub(super) fn into_asked(self, id: String) -> Asked {
        let conversation = Conversation {
            messages: self.messages,
            tools: self.tools.offered,
            tool_choice: self.tools.choice,
            parallel_tool_calls: self.tools.parallel,
            reasoning: self.reasoning,
            template_options: self.template_options,
        };
        let mut asked = self.options.into_asked(id, Prompt::Chat(conversation), "messages");
        asked.request.max_output_tokens = self.max_output_tokens;
        asked.request.logprobs = self.logprobs;
        asked
    }
}

impl Needs {
    /// Refuses what the model that would answer cannot do.
    pub(super) fn check_against(self, card: &ModelCard) -> Result<(), Error> {
        if self.reasoning && !card.capabilities.reasoning {
            let problem = format!("the model `{}` has no reasoning that could be switched on", card.id);
            return Err(fields::unsupported("reasoning_effort".to_owned(), problem));
        }
        if self.tools && !card.capabilities.tools {
            let problem = format!("the model `{}` cannot call tools", card.id);
            return Err(fields::unsupported("tools".to_owned(), problem));
        }
        check_grammar(self.grammar, card)
    }
}

/// `max_completion_tokens` is the newer name of `max_tokens`.
fn max_output_tokens(fields: &mut Fields) -> Result<Option<u32>, Error> {
    let older = options::max_tokens(fields, "max_tokens", 1)?;
    let newer = options::max_tokens(fields, "max_completion_tokens", 1)?;
    match (older, newer) {
        (Some(older), Some(newer)) if older != newer => Err(fields::invalid(
            "max_completion_tokens".to_owned(),
            format_args!("it says {newer} and `max_tokens` says {older}; send only one of them"),
        )),
        (older, newer) => Ok(newer.or(older)),
    }
}

/// `logprobs` and `top_logprobs`.
fn logprobs(fields: &mut Fields) -> Result<Option<u32>, Error> {
    let wanted = fields.boolean("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0..=i64::from(MOST_LOGPROBS))?.unwrap_or(0);
    match (wanted, top) {
        (false, 0) => Ok(None),
        (false, _) => {
            Err(fields::invalid("top_logprobs".to_owned(), "only allowed with `\"logprobs\": true`"))
        }
        (true, top) => Ok(Some(top as u32)),
    }
}
