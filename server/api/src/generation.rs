//! One generation from a checked request to its end, the same for every dialect.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use mlx_gate_core::{EngineError, Event, EventStream, Priority, Request, Tags};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::log::Record;
use crate::routes::Call;

/// A generation in the queue or on the device. Dropping it cancels it.
pub(crate) struct Generation {
    events: EventStream,
    record: Record,
    deadline: Instant,
    limit: Duration,
    /// Served name of the model that answers.
    pub(crate) model: String,
}

impl Generation {
    /// Prepares and queues a request. `prompt_field` is where the dialect's request holds the prompt, for messages about it.
    pub(crate) async fn begin(
        call: &Call,
        request: Request,
        prompt_field: &'static str,
    ) -> Result<Self, Error> {
        let limit = call.app.config().request_timeout;
        let engine = call.app.engine();
        let wrong = |error| match error {
            EngineError::PromptTooLong { .. } => Error::PromptTooLong { field: prompt_field, source: error },
            other => other.into(),
        };
        let prepared = timeout_at(call.deadline, engine.prepare(request))
            .await
            .map_err(|_| Error::TimedOut { limit })?
            .map_err(wrong)?;
        call.record.prepared(&prepared.model, prepared.prompt.len());
        let tenant = call.principal.as_ref().and_then(|principal| principal.tenant.clone());
        let tags = Tags { tenant, priority: Priority::default() };
        let model = prepared.model.clone();
        let events = engine.start(prepared, &tags).map_err(wrong)?;
        Ok(Self { events, record: call.record.clone(), deadline: call.deadline, limit, model })
    }

    /// The next event; [`Event::Finished`] is the last one. An error is the end too. Cancelling this loses no event.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        let limit = self.limit;
        if Instant::now() >= self.deadline {
            return Err(Error::TimedOut { limit });
        }
        // The events of a stream are read outside the layer that catches a handler's panics.
        let next = AssertUnwindSafe(self.events.next()).catch_unwind();
        let event = timeout_at(self.deadline, next)
            .await
            .map_err(|_| Error::TimedOut { limit })?
            .map_err(|_| Error::Panicked)?
            .ok_or_else(|| EngineError::Internal("the events ended without a result".to_owned()))?;
        self.record.heard(&event);
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
