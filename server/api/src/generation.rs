//! The generations of one checked request to their end, the same for every dialect.

pub(crate) mod estimate;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt};
use mlx_gate_core::{
    EngineError, Event, EventStream, ModelCard, Operation, Prepared, Prompt, Request, Usage,
};
use tokio::task::unconstrained;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::log::Record;
use crate::permission::{Authorized, Permit};
use crate::routes::Call;

/// A checked request of any dialect.
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// Further prompts, answered in the same way.
    pub(crate) further: Vec<Prompt>,
    pub(crate) streaming: bool,
    /// Whom the client says it asks for.
    pub(crate) end_user: Option<String>,
    /// Where the dialect's request holds the prompt, for messages about it.
    pub(crate) prompt_field: &'static str,
    /// And where what the answer has to look like.
    pub(crate) grammar_field: &'static str,
}

impl Asked {
    /// A request for one answer that does not stream.
    pub(crate) const fn new(request: Request, prompt_field: &'static str) -> Self {
        Self {
            request,
            further: Vec::new(),
            streaming: false,
            end_user: None,
            prompt_field,
            grammar_field: "grammar",
        }
    }

    /// Number of answers altogether.
    fn choices(&self) -> u32 {
        u32::try_from(1 + self.further.len()).unwrap_or(u32::MAX).saturating_mul(self.request.choices)
    }
}

/// What one request has in the queue or on the device: an event stream for each of its choices. Dropping it cancels them.
///
/// The choices of a prompt follow one another: with `n` answers to each, choice `c` answers prompt `c / n`.
pub(crate) struct Generation {
    /// Choices that have not ended, with their index.
    choices: Vec<(u32, EventStream)>,
    /// Where in `choices` to look first, so that none of them is kept waiting by its neighbours.
    turn: usize,
    record: Record,
    deadline: Deadline,
    /// Served name of the model that answers.
    pub(crate) model: String,
    /// Number of choices.
    pub(crate) count: usize,
    /// The prompts in tokens, where these are asked for.
    pub(crate) prompts: Vec<Vec<u32>>,
}

impl Generation {
    /// Takes a request through the gate and queues it. `fits` says whether a model can do what is asked; it is called
    /// when the caller is known to be allowed to use that model.
    pub(crate) async fn begin(
        call: &Call,
        asked: Asked,
        fits: impl FnOnce(&ModelCard) -> Result<(), Error>,
    ) -> Result<(Permit, Self), Error> {
        call.record.asked(asked.end_user.clone(), asked.streaming);
        let operation = operation(call, &asked);
        let Asked { mut request, further, prompt_field, grammar_field, .. } = asked;
        let wrong = |error| match error {
            EngineError::PromptTooLong { .. } => Error::PromptTooLong { field: prompt_field, source: error },
            EngineError::InvalidRequest { field: "grammar", message } => {
                Error::Field { param: grammar_field.to_owned(), code: "invalid_value", message }
            }
            other => other.into(),
        };
        let mut authorized = Authorized::ask(call, operation).await?;
        authorized.bound(&mut request)?;
        fits(call.find_model(request.model.as_deref())?)?;
        let mut prompts = Vec::with_capacity(1 + further.len());
        for prompt in further {
            prompts.push(Request { prompt, ..request.clone() });
        }
        prompts.insert(0, request);
        let mut prepared = Vec::with_capacity(prompts.len());
        for request in prompts {
            prepared.push(call.deadline.within(call.app.prepare(request)).await?.map_err(wrong)?);
        }
        let Some(model) = prepared.first().map(|first| first.model.clone()) else {
            return Err(EngineError::Internal("a request without a prompt".to_owned()).into());
        };
        check_size(&prepared)?;
        call.record.prepared(&model);
        let told = prepared.iter().filter(|prepared| prepared.token_ids);
        let prompts = told.map(|prepared| prepared.prompt.clone()).collect();
        let permit = authorized.measured(&prepared).admit().await?;
        let sizes = prepared.iter().flat_map(input_tokens).collect();
        let mut choices = Vec::new();
        for prepared in prepared {
            for events in call.app.start(prepared, &permit).map_err(wrong)? {
                choices.push((choices.len() as u32, events));
            }
        }
        // Where one found no place in the queue, none of them ran, and what was reserved is given back.
        call.record.queued(sizes);
        let count = choices.len();
        let (record, deadline) = (call.record.clone(), call.deadline);
        Ok((permit, Self { choices, turn: 0, record, deadline, model, count, prompts }))
    }

    /// The next event of any choice, with the choice's index; [`Event::Finished`] is the last one of a choice. An error is
    /// the end of all. Cancelling this loses no event.
    pub(crate) async fn next(&mut self) -> Result<(u32, Event), Error> {
        // The events of a stream are read outside the layer that catches a handler's panics.
        let deadline = self.deadline;
        let next = AssertUnwindSafe(poll_fn(|context| self.poll_choices(context))).catch_unwind();
        let (choice, event) = match deadline.within(next).await? {
            Ok((choice, Some(event))) => (choice, event),
            Ok((_, None)) => {
                self.choices.clear();
                return Err(EngineError::Internal("the events ended without a result".to_owned()).into());
            }
            Err(_) => {
                // A stream that panicked has nothing more to say, and which one it was nobody knows.
                self.choices.clear();
                return Err(Error::Panicked);
            }
        };
        self.record.heard(choice, &event);
        match event {
            Event::Failed(error) => Err(error.into()),
            event => Ok((choice, event)),
        }
    }

    /// Whether every choice has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.choices.is_empty()
    }

    /// What all choices have consumed so far. A prompt counts once, however many answers it gets.
    pub(crate) fn usage(&self) -> Usage {
        self.record.usage()
    }

    fn poll_choices(&mut self, context: &mut Context<'_>) -> Poll<(u32, Option<Event>)> {
        let count = self.choices.len();
        for at in (0..count).map(|offset| (self.turn + offset) % count) {
            let (choice, events) = &mut self.choices[at];
            let Poll::Ready(event) = events.poll_next_unpin(context) else { continue };
            let choice = *choice;
            self.turn = at + 1;
            if matches!(event, None | Some(Event::Finished(_) | Event::Failed(_))) {
                drop(self.choices.remove(at));
                self.turn = at;
            }
            return Poll::Ready((choice, event));
        }
        Poll::Pending
    }

    /// Notes how a stream failed that already has its status.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}

impl Drop for Generation {
    /// What the device has said and nobody has read was consumed all the same: who hangs up early pays for it.
    fn drop(&mut self) {
        for (choice, events) in &mut self.choices {
            let (choice, record) = (*choice, &self.record);
            // A stream that panics while it is thrown away has nothing more to say.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                while let Some(Some(event)) = unconstrained(events.next()).now_or_never() {
                    record.unread(choice, &event);
                }
            }));
        }
    }
}

/// Bounds the answer that is written about prompts: log probabilities of each of their tokens, in each choice.
fn check_size(prepared: &[Prepared]) -> Result<(), Error> {
    const MOST: u64 = 1 << 21;
    let size = |one: &Prepared| {
        let places = one.prompt_logprobs.map_or(0, |top| u64::from(top) + 1) * one.prompt.len() as u64;
        places * u64::from(one.choices)
    };
    let all: u64 = prepared.iter().map(size).sum();
    if all <= MOST {
        return Ok(());
    }
    let message = format!(
        "the answer would have {all} log probabilities of prompt tokens, and {MOST} are the most; ask for fewer \
         alternatives, or send fewer prompts at a time"
    );
    Err(Error::Field { param: "logprobs".to_owned(), code: "invalid_value", message })
}

/// The prompt tokens that each choice of a prompt is charged with: the first one pays.
fn input_tokens(prepared: &Prepared) -> impl Iterator<Item = u32> + use<> {
    let tokens = u32::try_from(prepared.prompt.len()).unwrap_or(u32::MAX);
    (0..prepared.choices).map(move |k| if k == 0 { tokens } else { 0 })
}

/// What the plugins are told before the model has seen the request.
pub(crate) fn operation(call: &Call, asked: &Asked) -> Operation {
    let request = &asked.request;
    let tools = match &request.prompt {
        Prompt::Chat(conversation) => conversation.offered_tools().len(),
        Prompt::Text(_) | Prompt::Tokens(_) => 0,
    };
    let first = || call.app.models().first().map(|card| card.id.clone());
    Operation {
        model: request.model.clone().or_else(first),
        streaming: asked.streaming,
        input_tokens: std::iter::once(&request.prompt)
            .chain(&asked.further)
            .map(estimate::tokens)
            .fold(0, u32::saturating_add),
        max_output_tokens: request.max_output_tokens.map(|most| most.saturating_mul(asked.choices())),
        tools: u32::try_from(tools).unwrap_or(u32::MAX),
        end_user: asked.end_user.clone(),
        ..Operation::new(call.api)
    }
}
