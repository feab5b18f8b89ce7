use std::ops::Bound;

use mlx_gate_core::{Conversation, Grammar, Prompt, Request, SamplingOverrides};
use serde_json::{Value, json};

use crate::anthropic::prompt;
use crate::error::Error;
use crate::fields::{self, Fields};
use crate::generation::Asked;
use crate::openai::options;

/// A checked body of `POST /v1/messages`.
#[derive(Debug, PartialEq)]
pub(super) struct MessagesRequest {
    model: Option<String>,
    conversation: Conversation,
    grammar: Option<Grammar>,
    pub(super) shows_thinking: bool,
    sampling: SamplingOverrides,
    max_output_tokens: u32,
    stop: Vec<String>,
    pub(super) streaming: bool,
    end_user: Option<String>,
}

impl MessagesRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    /// `interleaved` says that the client thinks of the budget as one for all the turns between two of the user's, which may
    /// be more than one answer has.
    pub(super) fn read(value: Value, interleaved: bool) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let asked = prompt::read(&mut fields)?;
        let max_output_tokens = options::max_tokens(&mut fields, "max_tokens", 1)?;
        let max_output_tokens = fields.required("max_tokens", max_output_tokens)?;
        let budget = asked.conversation.reasoning.max_tokens;
        if !interleaved && budget.is_some_and(|budget| budget >= max_output_tokens) {
            let problem = "`max_tokens` must be greater than `thinking.budget_tokens`";
            return Err(fields::invalid("max_tokens".to_owned(), problem));
        }
        let sampling = SamplingOverrides {
            temperature: fields.number("temperature", 0.0..=1.0)?,
            top_p: fields.number("top_p", (Bound::Excluded(0.0), Bound::Included(1.0)))?,
            top_k: fields.integer("top_k", 0..=i64::from(u32::MAX))?.and_then(|k| u32::try_from(k).ok()),
            ..SamplingOverrides::default()
        };
        let stop = options::stop(&mut fields, "stop_sequences")?;
        let streaming = fields.boolean("stream")?.unwrap_or(false);
        let end_user = metadata(&mut fields)?;
        fields.only("service_tier", &[json!("auto"), json!("standard_only")])?;
        fields.finish()?;
        Ok(Self {
            model: asked.model,
            conversation: asked.conversation,
            grammar: asked.grammar,
            shows_thinking: asked.shows_thinking,
            sampling,
            max_output_tokens,
            stop,
            streaming,
            end_user,
        })
    }

    /// The field that asks for a grammar.
    pub(super) fn grammar_field(&self) -> Option<&'static str> {
        self.grammar.as_ref().map(|_| GRAMMAR_FIELD)
    }

    pub(super) fn into_asked(self, id: String) -> Asked {
        let request = Request {
            model: self.model,
            sampling: self.sampling,
            max_output_tokens: Some(self.max_output_tokens),
            stop: self.stop,
            grammar: self.grammar,
            ..Request::new(id, Prompt::Chat(self.conversation))
        };
        Asked {
            streaming: self.streaming,
            end_user: self.end_user,
            grammar_field: GRAMMAR_FIELD,
            ..Asked::new(request, "messages")
        }
    }
}

/// Where a request says what the answer has to look like.
const GRAMMAR_FIELD: &str = "output_config.format";

/// `metadata.user_id`: the client's word for whom it asks.
fn metadata(fields: &mut Fields) -> Result<Option<String>, Error> {
    let Some(mut metadata) = fields.object("metadata")? else { return Ok(None) };
    let user = options::label(&mut metadata, "user_id")?;
    metadata.finish()?;
    Ok(user)
}
