//! An engine on a decoder with random logits, and what its answers say.

use futures_util::StreamExt;
use mlx_gate_core::{
    Conversation, Engine, EngineError, Event, FinishReason, Finished, Grammar, Message, Prompt, Request,
    Role, SamplingOverrides, Tags, Usage,
};
use mlx_gate_engine::{Config, LocalEngine, fake};

/// An answer, taken together from its events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Names and arguments.
    pub(crate) calls: Vec<(String, String)>,
    pub(crate) reason: Option<FinishReason>,
    pub(crate) usage: Usage,
    /// Tokens with log probabilities, where they are asked for.
    pub(crate) logprobs: Vec<u32>,
    pub(crate) error: Option<EngineError>,
}

pub(crate) fn rambling(seed: u64) -> LocalEngine {
    speaking(fake::rambles(seed))
}

pub(crate) fn speaking(decoder: fake::FakeDecoder) -> LocalEngine {
    LocalEngine::spawn(Config::default(), vec![fake::model("fake", decoder)]).expect("the fake model loads")
}

/// A request for a text that follows a grammar, chosen at temperature 1.
pub(crate) fn following(grammar: Grammar, seed: u64) -> Request {
    Request { grammar: Some(grammar), ..free("Go:", seed) }
}

pub(crate) fn free(prompt: &str, seed: u64) -> Request {
    Request {
        sampling: SamplingOverrides {
            temperature: Some(1.0),
            seed: Some(seed),
            ..SamplingOverrides::default()
        },
        ..Request::new("r".to_owned(), Prompt::Text(prompt.to_owned()))
    }
}

pub(crate) fn chat(conversation: Conversation, seed: u64) -> Request {
    let user = Message {
        role: Role::User,
        content: Some("Go".to_owned()),
        reasoning: None,
        tool_calls: Vec::new(),
        tool_call_id: None,
        name: None,
    };
    let prompt = Prompt::Chat(Conversation { messages: vec![user], ..conversation });
    Request { prompt, ..free("", seed) }
}

/// What the engine answers; a request that it refuses is a test that fails.
pub(crate) async fn answer(engine: &LocalEngine, request: Request) -> Answer {
    let prepared = match engine.prepare(request.clone()).await {
        Ok(prepared) => prepared,
        Err(error) => panic!("{error}: {request:?}"),
    };
    let mut events = engine.start(prepared, &Tags::default()).expect("there is a place").remove(0);
    let mut answer = Answer::default();
    while let Some(event) = events.next().await {
        match event {
            Event::Text(text) => answer.text += &text,
            Event::Reasoning(text) => answer.reasoning += &text,
            Event::ToolCall(delta) => {
                if let Some((_, name)) = delta.opening {
                    answer.calls.push((name, String::new()));
                }
                let (_, arguments) = answer.calls.last_mut().expect("a call begins with its name");
                *arguments += &delta.arguments;
            }
            Event::Finished(Finished { reason, usage, .. }) => {
                (answer.reason, answer.usage) = (Some(reason), usage);
            }
            Event::Logprobs(tokens) => answer.logprobs.extend(tokens.iter().map(|token| token.token)),
            Event::Failed(error) => answer.error = Some(error),
            Event::Started { .. } | Event::PromptLogprobs(_) | Event::Tokens(_) => {}
        }
    }
    answer
}

/// The field and the reason of a refusal.
pub(crate) async fn refusal(engine: &LocalEngine, request: Request) -> (&'static str, String) {
    match engine.prepare(request.clone()).await {
        Err(EngineError::InvalidRequest { field, message }) => (field, message),
        other => panic!("not refused for a field, but {:?}: {request:.200?}", other.err()),
    }
}
