use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mlx_gate_core::BoxFuture;

use crate::journal::Journal;

/// A future that, once begun, goes on to its end in the background if nobody waits for it any more.
pub(super) struct ToEnd<T: Send + 'static> {
    /// `None` once it is done.
    work: Option<BoxFuture<'static, T>>,
    begun: bool,
    journal: Arc<Journal>,
}

impl<T: Send + 'static> ToEnd<T> {
    pub(super) fn new(work: BoxFuture<'static, T>, journal: Arc<Journal>) -> Self {
        Self { work: Some(work), begun: false, journal }
    }
}

impl<T: Send + 'static> Future for ToEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        let work = self.work.as_mut().expect("a future is not polled after it is ready");
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToEnd<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take().filter(|_| self.begun) {
            self.journal.carry_on(async move { drop(work.await) });
        }
    }
}
