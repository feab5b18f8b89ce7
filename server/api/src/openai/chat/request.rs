use mlx_gate_core::{
    Conversation, Effort, Message, ModelCard, Prompt, ReasoningOptions, Request, SamplingOverrides,
};
use serde_json::{Map, Value, json};

use super::{messages, tools};
use crate::error::Error;
use crate::generation::Asked;
use crate::openai::fields::{self, Fields};
use crate::openai::options::{self, Streaming};

/// A checked body of `POST /v1/chat/completions`.
#[derive(Debug, PartialEq)]
pub(super) struct ChatRequest {
    model: Option<String>,
    messages: Vec<Message>,
    tools: Vec<Value>,
    template_options: Map<String, Value>,
    reasoning: ReasoningOptions,
    sampling: SamplingOverrides,
    max_output_tokens: Option<u32>,
    stop: Vec<String>,
    pub(super) streaming: Streaming,
    end_user: Option<String>,
}

/// What an answer takes that not every model has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    reasoning: bool,
    tools: bool,
}

/// Template variables that belong to the server: a client that could set them would replace the checked conversation.
const RESERVED_VARIABLES: [&str; 6] =
    ["messages", "tools", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token"];

/// Template variable that Qwen3 and others switch their reasoning by.
const ENABLE_THINKING: &str = "enable_thinking";

impl ChatRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let model = options::model(&mut fields)?;
        let messages = messages::read(&mut fields)?;
        let tools = tools::read(&mut fields)?;
        let (template_options, reasoning) = template_options(&mut fields)?;
        let sampling = options::sampling(&mut fields)?;
        let max_output_tokens = max_output_tokens(&mut fields)?;
        let stop = options::stop(&mut fields, "stop")?;
        let streaming = options::streaming(&mut fields)?;
        let end_user = options::end_user(&mut fields, "user")?;
        options::neutral(&mut fields)?;
        fields.only("logprobs", &[json!(false)])?;
        fields.only("top_logprobs", &[json!(0)])?;
        fields.only("response_format", &[json!({ "type": "text" })])?;
        fields.only("modalities", &[json!(["text"])])?;
        fields.finish()?;
        Ok(Self {
            model,
            messages,
            tools,
            template_options,
            reasoning,
            sampling,
            max_output_tokens,
            stop,
            streaming,
            end_user,
        })
    }

    /// What a model has to be able to do.
    pub(super) fn needs(&self) -> Needs {
        Needs { reasoning: self.reasoning.wanted() == Some(true), tools: !self.tools.is_empty() }
    }

    pub(super) fn into_asked(self, id: String) -> Asked {
        let conversation = Conversation {
            messages: self.messages,
            tools: self.tools,
            reasoning: self.reasoning,
            template_options: self.template_options,
            ..Conversation::default()
        };
        let request = Request {
            model: self.model,
            sampling: self.sampling,
            max_output_tokens: self.max_output_tokens,
            stop: self.stop,
            ..Request::new(id, Prompt::Chat(conversation))
        };
        Asked {
            streaming: self.streaming.enabled,
            end_user: self.end_user,
            ..Asked::new(request, "messages")
        }
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
        Ok(())
    }
}

/// `max_completion_tokens` is the newer name of `max_tokens`.
fn max_output_tokens(fields: &mut Fields) -> Result<Option<u32>, Error> {
    let older = options::max_tokens(fields, "max_tokens")?;
    let newer = options::max_tokens(fields, "max_completion_tokens")?;
    match (older, newer) {
        (Some(older), Some(newer)) if older != newer => Err(fields::invalid(
            "max_completion_tokens".to_owned(),
            format_args!("it says {newer} and `max_tokens` says {older}; send only one of them"),
        )),
        (older, newer) => Ok(newer.or(older)),
    }
}

/// `chat_template_kwargs` and `reasoning_effort`, which may not contradict each other.
fn template_options(fields: &mut Fields) -> Result<(Map<String, Value>, ReasoningOptions), Error> {
    let variables = fields.object("chat_template_kwargs")?.map(Fields::into_map).unwrap_or_default();
    if let Some(name) = RESERVED_VARIABLES.iter().find(|name| variables.contains_key(**name)) {
        let path = format!("chat_template_kwargs.{name}");
        return Err(fields::invalid(path, "this template variable is set by the server"));
    }
    let named = fields.choice("reasoning_effort", &Effort::ALL.map(Effort::as_str))?;
    let effort = Effort::ALL.into_iter().find(|effort| named == Some(effort.as_str()));
    let reasoning = ReasoningOptions { effort, ..ReasoningOptions::default() };
    let enabled = variables.get(ENABLE_THINKING).and_then(Value::as_bool);
    if enabled.is_some() && reasoning.wanted().is_some() && enabled != reasoning.wanted() {
        let problem = format!("it contradicts `chat_template_kwargs.{ENABLE_THINKING}`; send one of them");
        return Err(fields::invalid("reasoning_effort".to_owned(), problem));
    }
    Ok((variables, reasoning))
}
