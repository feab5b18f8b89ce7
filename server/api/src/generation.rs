//! One generation from a checked request to its end, the same for every dialect.

mod estimate;

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{FutureExt, StreamExt};
use mlx_gate_core::{EngineError, Event, EventStream, ModelCard, Operation, Prompt, Request};
use tokio::task::unconstrained;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::log::Record;
use crate::permission::{Authorized, Permit};
use crate::routes::Call;

/// A checked request of any dialect.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) streaming: bool,
    /// Whom the client says it asks for.
    pub(crate) end_user: Option<String>,
    /// Where the dialect's request holds the prompt, for messages about it.
    pub(crate) prompt_field: &'static str,
}

/// A generation in the queue or on the device. Dropping it cancels it.
pub(crate) struct Generation {
    events: EventStream,
    record: Record,
    deadline: Deadline,
    /// The last event was taken, or there will be none.
    over: bool,
    /// Served name of the model that answers.
    pub(crate) model: String,
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
        let Asked { mut request, prompt_field, .. } = asked;
        let wrong = |error| match error {
            EngineError::PromptTooLong { .. } => Error::PromptTooLong { field: prompt_field, source: error },
            other => other.into(),
        };
        let mut authorized = Authorized::ask(call, operation).await?;
        authorized.bound(&mut request)?;
        fits(call.find_model(request.model.as_deref())?)?;
        let prepared = call.deadline.within(call.app.prepare(request)).await?.map_err(wrong)?;
        call.record.prepared(&prepared.model);
        let permit = authorized.measured(&prepared).admit().await?;
        let (model, input_tokens) = (prepared.model.clone(), prepared.prompt.len());
        let events = call.app.start(prepared, &permit).map_err(wrong)?;
        call.record.queued(u32::try_from(input_tokens).unwrap_or(u32::MAX));
        let generation =
            Self { events, record: call.record.clone(), deadline: call.deadline, over: false, model };
        Ok((permit, generation))
    }

    /// The next event; [`Event::Finished`] is the last one. An error is the end too. Cancelling this loses no event.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        // The events of a stream are read outside the layer that catches a handler's panics.
        let next = AssertUnwindSafe(self.events.next()).catch_unwind();
        let event = match self.deadline.within(next).await? {
            Ok(Some(event)) => event,
            Ok(None) => {
                self.over = true;
                return Err(EngineError::Internal("the events ended without a result".to_owned()).into());
            }
            Err(_) => {
                self.over = true;
                return Err(Error::Panicked);
            }
        };
        self.record.heard(&event);
        self.over = matches!(event, Event::Finished(_) | Event::Failed(_));
        match event {
            Event::Failed(error) => Err(error.into()),
            event => Ok(event),
        }
    }

    /// Notes how a stream failed that already has its status.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}

impl Drop for Generation {
    /// What the device has said and nobody has read was consumed all the same: who hangs up early pays for it.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (events, record) = (&mut self.events, &self.record);
        // A stream that panics while it is thrown away has nothing more to say.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            while let Some(Some(event)) = unconstrained(events.next()).now_or_never() {
                record.unread(&event);
            }
        }));
    }
}

/// What the plugins are told before the model has seen the request.
fn operation(call: &Call, asked: &Asked) -> Operation {
    let request = &asked.request;
    let tools = match &request.prompt {
        Prompt::Chat(conversation) => conversation.tools.len(),
        Prompt::Text(_) | Prompt::Tokens(_) => 0,
    };
    let first = || call.app.models().first().map(|card| card.id.clone());
    Operation {
        model: request.model.clone().or_else(first),
        streaming: asked.streaming,
        input_tokens: estimate::tokens(&request.prompt),
        max_output_tokens: request.max_output_tokens,
        tools: u32::try_from(tools).unwrap_or(u32::MAX),
        end_user: asked.end_user.clone(),
        ..Operation::new(call.api)
    }
}
