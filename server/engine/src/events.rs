use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use mlx_gate_core::{EngineError, Event};
use tokio::sync::mpsc::UnboundedReceiver;

/// The receiving end of a row. Dropping it closes the channel, which the scheduler looks at before every step.
pub(crate) struct Events {
    receiver: UnboundedReceiver<Event>,
    over: bool,
}

impl Events {
    pub(crate) fn new(receiver: UnboundedReceiver<Event>) -> Self {
        Self { receiver, over: false }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.over {
            return Poll::Ready(None);
        }
        // A channel that closes without a last event belonged to a device thread that is gone.
        let event =
            ready!(self.receiver.poll_recv(context)).unwrap_or(Event::Failed(EngineError::ShuttingDown));
        self.over = matches!(event, Event::Finished(_) | Event::Failed(_));
        Poll::Ready(Some(event))
    }
}
