use mlx_gate_core::{FinishReason, Finished, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::items::{Items, Status, Wire};
use super::namespaces::Namespaces;
use crate::error::{Answer, Kind};
use crate::openai::wire::now;

/// What all states of one response have in common.
pub(super) struct Head {
    id: String,
    created_at: u64,
    model: String,
    echo: Echo,
}

/// What a response repeats of its request.
#[derive(Debug, PartialEq)]
pub(super) struct Echo {
    /// Fields and values, as OpenAI names them.
    pub(super) fields: Map<String, Value>,
    /// Reasoning is given in a form to be sent back, too.
    pub(super) seals_reasoning: bool,
    /// What calls are told apart by.
    pub(super) namespaces: Namespaces,
}

/// A `response` object.
#[derive(Serialize, JsonSchema)]
pub(super) struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<u64>,
    #[schemars(extend("enum" = ["in_progress", "completed", "incomplete", "failed"]))]
    status: &'static str,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: Vec<Wire<'a>>,
    usage: Option<WireUsage>,
    #[serde(flatten)]
    echo: &'a Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct WireUsage {
    input_tokens: u32,
    input_tokens_details: InputDetails,
    output_tokens: u32,
    output_tokens_details: OutputDetails,
    total_tokens: u32,
}

#[derive(Serialize, JsonSchema)]
struct InputDetails {
    cached_tokens: u32,
    cache_write_tokens: u32,
}

#[derive(Serialize, JsonSchema)]
struct OutputDetails {
    reasoning_tokens: u32,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_tokens, cache_write_tokens: 0 },
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}

impl Head {
    pub(super) fn new(model: String, echo: Echo) -> Self {
        Self { id: format!("resp_{:032x}", rand::random::<u128>()), created_at: now(), model, echo }
    }

    /// Whether reasoning items carry what they say in a form to be sent back.
    pub(super) const fn seals_reasoning(&self) -> bool {
        self.echo.seals_reasoning
    }

    /// Of the functions that may be called.
    pub(super) fn namespaces(&self) -> Namespaces {
        self.echo.namespaces.clone()
    }

    /// The response before anything was generated.
    pub(super) fn begun(&self) -> Response<'_> {
        self.response("in_progress", Vec::new(), None)
    }

    /// The response at its end.
    pub(super) fn finished<'a>(&'a self, items: &'a Items, finished: &Finished) -> Response<'a> {
        let cut = finished.reason == FinishReason::Length;
        let last = items.iter().count().saturating_sub(1);
        let output = items.iter().enumerate().map(|(at, item)| {
            let status = if cut && at == last { Status::Incomplete } else { Status::Completed };
            item.wire(status, self.echo.seals_reasoning)
        });
        let status = if cut { "incomplete" } else { "completed" };
        Response {
            completed_at: (!cut).then(now),
            incomplete_details: cut.then_some(Incomplete { reason: "max_output_tokens" }),
            ..self.response(status, output.collect(), Some(finished.usage))
        }
    }

    /// The response that an error ended.
    pub(super) fn failed<'a>(&'a self, items: &'a Items, answer: &'a Answer) -> Response<'a> {
        let output = items.iter().map(|item| item.wire(Status::Incomplete, self.echo.seals_reasoning));
        // OpenAI has one code for everything that is its own fault.
        let code = if answer.kind == Kind::Server { "server_error" } else { &answer.code };
        Response {
            error: Some(Failure { code, message: &answer.message }),
            ..self.response("failed", output.collect(), None)
        }
    }

    fn response<'a>(
        &'a self,
        status: &'static str,
        output: Vec<Wire<'a>>,
        usage: Option<Usage>,
    ) -> Response<'a> {
        Response {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            completed_at: None,
            status,
            error: None,
            incomplete_details: None,
            model: &self.model,
            output,
            usage: usage.map(WireUsage::from),
            echo: &self.echo.fields,
        }
    }
}
