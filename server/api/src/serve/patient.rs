use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Longest pause of a client that is still sending after its request was answered.
const LINGER_PAUSE: Duration = Duration::from_secs(1);

/// Longest time in all for which such a client is listened to.
const LINGER: Duration = Duration::from_secs(30);

/// A connection with as much patience as its two ends deserve.
///
/// *Writing* fails once the client has left our bytes unread for too long. Without that a client that stops reading a
/// stream would hold its place, and its row on the device, for as long as it likes: while the socket is full, nobody
/// looks at the request's deadline.
///
/// *Closing* lingers while the client is still sending, as after a refusal in the middle of a long body. Closing a
/// socket with unread bytes resets it, and the answer would be lost on its way (RFC 9112, section 9.6).
pub(super) struct Patient<S> {
    stream: S,
    write_limit: Duration,
    /// Runs while a write waits, then while the close lingers.
    alarm: Pin<Box<Sleep>>,
    write_waits: bool,
    closing: Closing,
}

enum Closing {
    No,
    /// Our side is closed. The client has one pause to close its own, or to show that it was still sending: one that is
    /// silent at this instant may be in the middle of a body.
    Lingering {
        until: Instant,
    },
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, write_limit: Duration) -> Self {
        let alarm = Box::pin(sleep(write_limit));
        Self { stream, write_limit, alarm, write_waits: false, closing: Closing::No }
    }

    /// Passes a write's progress on, and its lack of progress once the limit has passed as an error.
    fn watch(
        &mut self,
        progress: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if progress.is_ready() {
            self.write_waits = false;
            return progress;
        }
        if !std::mem::replace(&mut self.write_waits, true) {
            self.alarm.as_mut().reset(Instant::now() + self.write_limit);
        }
        ready!(self.alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read what it is sent")))
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// Reads what the client still sends, until it closes, pauses, or has had its time.
    fn linger(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.alarm.as_mut().reset(until.min(Instant::now() + LINGER_PAUSE));
                    if until <= Instant::now() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.alarm.as_mut().poll(context),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(progress, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(progress, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let until = match self.closing {
            Closing::Lingering { until } => until,
            Closing::No => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                let now = Instant::now();
                self.alarm.as_mut().reset(now + LINGER_PAUSE);
                self.closing = Closing::Lingering { until: now + LINGER };
                now + LINGER
            }
        };
        self.linger(until, context).map(Ok)
    }
}
