//! Framing of server-sent events: whatever a model says, a client that follows the standard reads events of JSON, and what
//! they hold is what was said.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mlx_gate_core::{Event, FinishReason, Finished, ToolCallDelta, Usage};
use mlx_gate_fuzz::{Input, Server};
use serde_json::Value;

thread_local! {
    static SERVER: Server = Server::new();
}

/// A request, the place where its dialect keeps the text of an event, and the type of such events where others have
/// something else in that place.
const STREAMS: [(&str, &str, &str, Option<&str>); 4] = [
    (
        "/v1/chat/completions",
        r#"{"messages": [{"role": "user", "content": "?"}], "stream": true}"#,
        "/choices/0/delta/content",
        None,
    ),
    ("/v1/completions", r#"{"prompt": "?", "stream": true}"#, "/choices/0/text", None),
    (
        "/v1/messages",
        r#"{"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}], "stream": true}"#,
        "/delta/text",
        None,
    ),
    ("/v1/responses", r#"{"input": "?", "stream": true}"#, "/delta", Some("response.output_text.delta")),
];

/// The data of every event (WHATWG HTML, section 9.2.6).
fn data(stream: &str) -> Vec<String> {
    let mut events = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for line in stream.split_inclusive(['\n', '\r']).map(|line| line.trim_end_matches(['\n', '\r'])) {
        match line.split_once(':') {
            _ if line.is_empty() => {
                if !data.is_empty() {
                    events.push(data.join("\n"));
                    data.clear();
                }
            }
            Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
            Some(("event" | "", _)) => {}
            other => panic!("no field of an event: {other:?} in {line:?}"),
        }
    }
    assert!(data.is_empty(), "the last event is not dispatched");
    events
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (route, body, place, kind) = STREAMS[usize::from(input.byte()) % STREAMS.len()];
    let kinds = input.byte();
    let text = input.text();
    let mut said = String::new();
    let mut events = vec![Event::Started { queued: Duration::ZERO }];
    let mut calls = 0;
    for (number, piece) in text.split_inclusive(' ').enumerate() {
        match (u32::from(kinds) >> (number % 8) & 1, number % 3) {
            (1, 0) if route != "/v1/completions" => events.push(Event::Reasoning(piece.to_owned())),
            (1, 1) if route != "/v1/completions" => {
                let opening = Some((format!("call_{calls}"), "f".to_owned()));
                events.push(Event::ToolCall(ToolCallDelta {
                    index: calls,
                    opening,
                    // Others than objects are text to Anthropic's clients.
                    arguments: serde_json::json!({ "piece": piece }).to_string(),
                }));
                calls += 1;
            }
            _ => {
                said.push_str(piece);
                events.push(Event::Text(piece.to_owned()));
            }
        }
    }
    events.push(Event::Finished(Finished {
        reason: FinishReason::Stop,
        stop_sequence: None,
        usage: Usage::default(),
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    }));
    let answer = SERVER.with(|server| {
        server.tell(events);
        server.post(route, body.as_bytes().to_vec())
    });
    let stream = String::from_utf8(answer.1).expect("UTF-8");
    let shown: String = data(&stream)
        .iter()
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
        .filter(|value| kind.is_none_or(|kind| value["type"] == kind))
        .filter_map(|value| value.pointer(place).and_then(Value::as_str).map(str::to_owned))
        .collect();
    assert_eq!(shown, said, "{route}: {stream}");
});
