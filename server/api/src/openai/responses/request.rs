use std::ops::Bound;

use mlx_gate_core::{
    Conversation, Grammar, MOST_LOGPROBS, Message, ModelCard, Prompt, ReasoningOptions, Request,
    SamplingOverrides,
};
use serde_json::{Map, Value, json};

use super::response::Echo;
use super::tools::Tools;
use super::{input, reasoning, text};
use crate::error::Error;
use crate::fields::{self, Fields};
use crate::generation::Asked;
use crate::openai::options;

/// Fields that need a server which remembers.
const STATEFUL: [&str; 4] = ["previous_response_id", "conversation", "background", "prompt"];

/// What is refused besides, and what to do instead.
const REFUSED: [(&str, &str); 4] = [
    ("access_programs", "this server takes part in none; leave it out"),
    (
        "context_management",
        "nothing is compacted here; leave it out, and shorten `input` where it gets too long",
    ),
    ("image", "the models here read and write text only; leave it out"),
    ("moderation", "this server moderates nothing; leave it out"),
];

/// Fields that a response repeats as they came, or as `null`.
const REPEATED: [&str; 11] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
];

/// A checked body of `POST /v1/responses`.
#[derive(Debug, PartialEq)]
pub(super) struct ResponsesRequest {
    model: Option<String>,
    messages: Vec<Message>,
    tools: Tools,
    reasoning: ReasoningOptions,
    grammar: Option<Grammar>,
    logprobs: Option<u32>,
    sampling: SamplingOverrides,
    max_output_tokens: Option<u32>,
    pub(super) streaming: bool,
    /// Deltas of a stream are brought to one of few sizes.
    pub(super) obfuscates: bool,
    end_user: Option<String>,
    echo: Echo,
}

/// What an answer takes that not every model has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    reasoning: bool,
    tools: bool,
    grammar: bool,
}

/// Where a request says what the answer has to look like.
const GRAMMAR_FIELD: &str = "text.format";

impl ResponsesRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let repeated = repeated(&value);
        let mut fields = Fields::root(value)?;
        let model = options::model(&mut fields)?;
        let instructions = fields.string("instructions")?;
        let messages = input::read(&mut fields, instructions.as_deref())?;
        let tools = Tools::read(&mut fields)?;
        let reasoning = reasoning::read(&mut fields)?;
        let (grammar, text) = text::read(&mut fields)?;
        let sampling = SamplingOverrides {
            temperature: fields.number("temperature", 0.0..=2.0)?,
            top_p: fields.number("top_p", (Bound::Excluded(0.0), Bound::Included(1.0)))?,
            ..SamplingOverrides::default()
        };
        let max_output_tokens = options::max_tokens(&mut fields, "max_output_tokens", 1)?;
        let (streaming, obfuscates) = streaming(&mut fields)?;
        let end_user = options::end_user(&mut fields)?;
        let include = include(&mut fields)?;
        let logprobs = logprobs(&mut fields, include.logprobs)?;
        stateless(&mut fields)?;
        advice(&mut fields)?;
        fields.refuse_each(&REFUSED)?;
        fields.finish()?;

        let mut echo = repeated;
        echo.insert("parallel_tool_calls".to_owned(), tools.parallel.into());
        echo.insert("text".to_owned(), text);
        echo.insert("top_logprobs".to_owned(), logprobs.unwrap_or(0).into());
        echo.insert("tool_choice".to_owned(), tools.choice_echo.clone());
        echo.insert("tools".to_owned(), tools.echo.clone().into());
        let namespaces = tools.namespaces.clone();
        let echo = Echo { fields: echo, seals_reasoning: include.sealed_reasoning, namespaces };
        Ok(Self {
            model,
            messages,
            tools,
            reasoning,
            grammar,
            logprobs,
            sampling,
            max_output_tokens,
            streaming,
            obfuscates,
            end_user,
            echo,
        })
    }

    /// What a model has to be able to do.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            reasoning: self.reasoning.wanted() == Some(true),
            tools: self.tools.are_offered(),
            grammar: self.grammar.is_some(),
        }
    }

    /// Tools that were declared, and are not offered to the model.
    pub(super) fn left_out(&self) -> Vec<&'static str> {
        self.tools.left_out.clone()
    }

    pub(super) fn into_asked(self, id: String) -> (Asked, Echo) {
        let conversation = Conversation {
            messages: self.messages,
            tools: self.tools.offered,
            tool_choice: self.tools.choice,
            parallel_tool_calls: self.tools.parallel,
            reasoning: self.reasoning,
            template_options: Map::new(),
        };
        let request = Request {
            model: self.model,
            sampling: self.sampling,
            max_output_tokens: self.max_output_tokens,
            grammar: self.grammar,
            logprobs: self.logprobs,
            ..Request::new(id, Prompt::Chat(conversation))
        };
        let asked = Asked {
            streaming: self.streaming,
            end_user: self.end_user,
            grammar_field: GRAMMAR_FIELD,
            ..Asked::new(request, "input")
        };
        (asked, self.echo)
    }
}

impl Needs {
    /// Refuses what the model that would answer cannot do.
    pub(super) fn check_against(self, card: &ModelCard) -> Result<(), Error> {
        if self.reasoning && !card.capabilities.reasoning {
            let problem = format!("the model `{}` has no reasoning that could be switched on", card.id);
            return Err(fields::unsupported("reasoning.effort".to_owned(), problem));
        }
        if self.tools && !card.capabilities.tools {
            let problem = format!("the model `{}` cannot call tools", card.id);
            return Err(fields::unsupported("tools".to_owned(), problem));
        }
        options::check_grammar(self.grammar.then_some(GRAMMAR_FIELD), card)
    }
}

/// What the response repeats without looking at it.
fn repeated(value: &Value) -> Map<String, Value> {
    let given = |key: &str| value.get(key).cloned().unwrap_or_default();
    let mut echo = REPEATED.into_iter().map(|key| (key.to_owned(), given(key))).collect::<Map<_, _>>();
    for key in STATEFUL {
        echo.insert(key.to_owned(), Value::Null);
    }
    echo.insert("background".to_owned(), false.into());
    echo.insert("store".to_owned(), false.into());
    echo.insert("service_tier".to_owned(), "default".into());
    echo.insert("truncation".to_owned(), "disabled".into());
    echo
}

/// Whether to stream, and to bring deltas to one of few sizes.
fn streaming(fields: &mut Fields) -> Result<(bool, bool), Error> {
    let enabled = fields.boolean("stream")?.unwrap_or(false);
    let Some(mut options) = fields.object("stream_options")? else { return Ok((enabled, false)) };
    let obfuscates = options.boolean("include_obfuscation")?.unwrap_or(false);
    options.finish()?;
    Ok((enabled, obfuscates))
}

/// What `include` asks for.
#[derive(Default)]
struct Include {
    /// Reasoning in a form to be sent back.
    sealed_reasoning: bool,
    logprobs: bool,
}

fn include(fields: &mut Fields) -> Result<Include, Error> {
    const SEALED_REASONING: &str = "reasoning.encrypted_content";
    const LOGPROBS: &str = "message.output_text.logprobs";
    let mut include = Include::default();
    for (index, value) in fields.array("include")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("include[{index}]");
        match value {
            Value::String(text) if text == SEALED_REASONING => include.sealed_reasoning = true,
            Value::String(text) if text == LOGPROBS => include.logprobs = true,
            Value::String(_) => {
                let problem = format!("only '{SEALED_REASONING}' and '{LOGPROBS}' are supported");
                return Err(fields::unsupported(path, problem));
            }
            other => return Err(fields::invalid_type(&path, "a string", &other)),
        }
    }
    Ok(include)
}

/// How many alternatives to each token to tell about; `None` is no log probabilities at all.
fn logprobs(fields: &mut Fields, included: bool) -> Result<Option<u32>, Error> {
    let top = fields.integer("top_logprobs", 0..=i64::from(MOST_LOGPROBS))?;
    if !included && top.is_some_and(|top| top > 0) {
        let problem = "only with 'message.output_text.logprobs' in `include`";
        return Err(fields::invalid("top_logprobs".to_owned(), problem));
    }
    Ok(included.then(|| top.unwrap_or(0) as u32))
}

/// Nothing is kept from one request to the next.
fn stateless(fields: &mut Fields) -> Result<(), Error> {
    fields.only("background", &[json!(false)])?;
    for key in STATEFUL {
        fields
            .refuse(key, "nothing is kept here between requests; send the whole conversation in `input`")?;
    }
    // Left out it means the same as for OpenAI's clients that do not care; asked for, it would be a promise.
    if fields.boolean("store")? == Some(true) {
        let problem = "responses are not stored here; send false, or leave it out";
        return Err(fields::unsupported("store".to_owned(), problem));
    }
    // Whoever sends too much is told so.
    fields.only("truncation", &[json!("disabled")])
}

/// What changes no answer here: labels, hints for a cache, bounds on tools that there are none of.
fn advice(fields: &mut Fields) -> Result<(), Error> {
    options::unstored(fields)?;
    // What agents tell about themselves.
    if let Some(mut labels) = fields.object("client_metadata")? {
        labels.keys().iter().try_for_each(|key| labels.string(key).map(drop))?;
    }
    fields.integer("max_tool_calls", 1..)?;
    fields.only("service_tier", &[json!("auto"), json!("default")])
}
