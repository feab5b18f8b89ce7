//! Ctrl-C.

use mlx_gate_tests::{Server, question_body};
use serde_json::Value;

use crate::chat::endless;

const CHAT: &str = "/v1/chat/completions";

#[test]
fn an_answer_in_flight_finishes_while_new_requests_are_refused() {
    let server = Server::start(&[]);
    let client = server.client();
    let mut events = client.stream(CHAT, &endless());
    events.next().unwrap();

    server.interrupt();
    server.wait_for_log("shutting down");
    let refused = client.post(CHAT, &question_body("What is 2 + 3?"));
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(client.get("/ready").status, 503);
    assert_eq!(client.get("/health").status, 200);

    let rest: Vec<String> = events.collect();
    assert_eq!(rest.last().unwrap(), "[DONE]");
    let chunk: Value = serde_json::from_str(&rest[rest.len() - 2]).unwrap();
    assert_eq!(chunk["choices"][0]["finish_reason"], "length");
    let (status, log) = server.wait();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn an_idle_server_stops_at_once() {
    let server = Server::start(&[]);
    server.interrupt();
    let (status, log) = server.wait();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn the_drain_ends_with_the_timeout() {
    // Far more work than fits into a second.
    let server = Server::start(&["--max-rows", "1", "--timeout", "1"]);
    let client = server.client();
    let mut streams: Vec<_> = (0..24).map(|_| client.stream(CHAT, &endless())).collect();
    streams[0].next().unwrap();
    server.interrupt();
    let ends: Vec<Option<String>> = streams.into_iter().map(Iterator::last).collect();
    assert!(ends.iter().any(|end| end.as_deref() != Some("[DONE]")), "every answer was finished");
    let (status, log) = server.wait();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_second_interrupt_does_not_wait() {
    // Streams one after another, so that there is work left however fast the first ones end.
    let server = Server::start(&["--max-rows", "1"]);
    let mut streams: Vec<_> = (0..8).map(|_| server.client().stream(CHAT, &endless())).collect();
    streams[0].next().unwrap();
    server.interrupt();
    server.wait_for_log("shutting down");
    server.interrupt();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(130), "{log}");
}
