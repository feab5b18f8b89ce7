//! What becomes of a body that nobody read.
//!
//! A request that is refused by its head alone leaves its body on the way. Whoever reuses the connection has to know
//! whether it can be: a short body is read and thrown away, so that it can; before a longer one the answer says
//! `connection: close` (RFC 9112, sections 9.3 and 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Most bytes of an unwanted body that are read for the sake of its connection.
const DRAINED: u64 = 64 * 1024;

/// Longest time for which an answer waits for such a body to arrive.
const PATIENCE: Duration = Duration::from_millis(500);

/// A request's body, lent to whoever answers. It comes back when it is dropped.
pub(super) struct Lent<B>(Option<(Returned<B>, oneshot::Sender<Returned<B>>)>);

/// A body that came back.
struct Returned<B> {
    body: B,
    touched: bool,
    ended: bool,
}

/// The other end of a loan.
pub(super) struct Lender<B> {
    returned: oneshot::Receiver<Returned<B>>,
    /// The client sends its body only once it is told to (RFC 9110, section 10.1.1). Reading would tell it.
    waits: bool,
}

/// Lends a request's body to who answers it. `None` where there is no body to lend.
pub(super) fn lend<B: Body>(request: Request<B>) -> (Request<Lent<B>>, Option<Lender<B>>) {
    let waits = request.headers().contains_key(EXPECT);
    let (back, returned) = oneshot::channel();
    let lender = (!request.body().is_end_stream()).then_some(Lender { returned, waits });
    (request.map(|body| Lent(Some((Returned { body, touched: false, ended: false }, back)))), lender)
}

impl<B: Body<Data = Bytes> + Unpin> Lender<B> {
    /// Sees to it that the connection can be used again after the answer, or that the answer says otherwise.
    pub(super) async fn settle<A>(mut self, answer: &mut Response<A>) {
        let usable = match self.returned.try_recv() {
            Ok(returned) if returned.ended || returned.body.is_end_stream() => true,
            Ok(returned) if returned.touched || self.waits => false,
            Ok(returned) => timeout(PATIENCE, drain(returned.body)).await.unwrap_or(false),
            // Somebody reads while we answer already.
            Err(_) => false,
        };
        if !usable {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Reads a short body to its end. Whether that was reached.
async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) -> bool {
    if body.size_hint().lower() > DRAINED {
        return false;
    }
    let mut left = DRAINED;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(length) else { return false };
        left = rest;
    }
    true
}

impl<B: Body<Data = Bytes> + Unpin> Body for Lent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some((lent, _)) = &mut self.0 else { return Poll::Ready(None) };
        lent.touched = true;
        let frame = Pin::new(&mut lent.body).poll_frame(context);
        lent.ended = matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(lent, _)| lent.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, |(lent, _)| lent.body.size_hint())
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        if let Some((lent, back)) = self.0.take() {
            // Nobody waits for a body that was empty from the beginning.
            let _ = back.send(lent);
        }
    }
}
