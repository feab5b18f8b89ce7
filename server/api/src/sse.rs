//! Server-sent events (WHATWG HTML, section 9.2) from a generation.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::stream::unfold;
use mlx_gate_core::{Event, Usage};
use serde::Serialize;

use crate::error::Answer;
use crate::generation::Generation;

/// How a dialect writes the events of a generation.
pub(crate) trait Encoder: Send + 'static {
    /// Appends what one event of a choice becomes, which may be nothing. [`Event::Failed`] never comes here.
    fn event(&mut self, choice: u32, event: Event, out: &mut Vec<u8>);

    /// Appends what follows once every choice has ended.
    fn end(&mut self, usage: Usage, out: &mut Vec<u8>);

    /// Appends something that means nothing, after a silence.
    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    /// Appends an error, after which the stream ends.
    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>);
}

/// Answers with a stream. Dropping the response drops the generation, which cancels it.
pub(crate) fn respond(generation: Generation, encoder: impl Encoder, keep_alive: Duration) -> Response {
    let writer = Writer { generation, encoder, keep_alive };
    let chunks = unfold(Some(writer), |writer| async {
        let (chunk, writer) = writer?.step().await;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), writer))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would collect the stream into its buffer otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Appends one event that has a name.
pub(crate) fn event(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(out, value);
}

/// Appends one event with JSON data.
pub(crate) fn data(out: &mut Vec<u8>, value: &impl Serialize) {
    out.extend_from_slice(b"data: ");
    write(out, value);
    out.extend_from_slice(b"\n\n");
}

/// A value as JSON on a line.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value);
    out
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Our wire types serialize always; a half-written value must not reach a client all the same.
        out.truncate(before);
        out.extend_from_slice(b"{}");
    }
}

struct Writer<E> {
    generation: Generation,
    encoder: E,
    keep_alive: Duration,
}

impl<E: Encoder> Writer<E> {
    /// The next bytes to send, and the writer unless they are the last.
    async fn step(mut self) -> (Vec<u8>, Option<Self>) {
        let mut out = Vec::new();
        while out.is_empty() {
            tokio::select! {
                biased;
                event = self.generation.next() => match event {
                    Ok((choice, event)) => {
                        self.encoder.event(choice, event, &mut out);
                        if self.generation.is_over() {
                            self.encoder.end(self.generation.usage(), &mut out);
                            return (out, None);
                        }
                    }
                    Err(error) => {
                        let answer = error.into_answer();
                        self.generation.record().failed(&answer);
                        self.encoder.error(&answer, &mut out);
                        return (out, None);
                    }
                },
                () = tokio::time::sleep(self.keep_alive) => self.encoder.keep_alive(&mut out),
            }
        }
        (out, Some(self))
    }
}
