//! `stream_options.include_obfuscation`, in the three dialects that have it.

use mlx_gate_core::FinishReason;
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, finished, post, started, text};

const PIECES: [&str; 4] = ["a", " somewhat longer", "\n", " 🦀🦀"];

/// The events of a stream, each as it was sent.
async fn stream(path: &str, mut body: Value, options: Value) -> Vec<(usize, Value)> {
    let mut events = vec![started()];
    events.extend(PIECES.map(text));
    events.push(finished(FinishReason::Stop));
    body["stream"] = json!(true);
    body["stream_options"] = options;
    let answered = answer(&app(&FakeEngine::says(events)), post(path, &body)).await;
    let events = answered.body.split_inclusive("\n\n").filter_map(|event| {
        let data = event.trim_end().rsplit("data: ").next()?;
        Some((event.len(), serde_json::from_str(data).ok()?))
    });
    events.collect()
}

fn dialects() -> [(&'static str, Value); 3] {
    [
        ("/v1/chat/completions", json!({ "messages": [{ "role": "user", "content": "x" }] })),
        ("/v1/completions", json!({ "prompt": "x" })),
        ("/v1/responses", json!({ "input": "x" })),
    ]
}

/// Whether an event brings a piece of an answer, and that piece.
fn piece(event: &Value) -> Option<&str> {
    let choice = &event["choices"][0];
    let text = choice["delta"]["content"].as_str().or(choice["text"].as_str());
    text.or(event["delta"].as_str()).filter(|text| !text.is_empty())
}

#[tokio::test]
async fn deltas_are_of_few_sizes_where_that_is_asked_for() {
    for (path, body) in dialects() {
        let events = stream(path, body, json!({ "include_obfuscation": true })).await;
        let deltas: Vec<_> = events.iter().filter(|(_, event)| piece(event).is_some()).collect();
        let said: Vec<_> = deltas.iter().filter_map(|(_, event)| piece(event)).collect();
        assert_eq!(said, PIECES, "{path}");
        for (length, event) in &deltas {
            assert_eq!(length % 64, 0, "{path}: {event}");
            let letters = event["obfuscation"].as_str().unwrap_or_else(|| panic!("{path}: {event}"));
            assert!(letters.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{path}: {event}");
        }
        let first = |position: usize| deltas[position].1["obfuscation"].clone();
        assert_ne!(first(0), first(2), "{path}");
    }
}

#[tokio::test]
async fn nothing_is_added_unless_it_is_asked_for() {
    for (path, body) in dialects() {
        for options in [Value::Null, json!({}), json!({ "include_obfuscation": false })] {
            let events = stream(path, body.clone(), options).await;
            assert!(events.iter().any(|(_, event)| piece(event).is_some()), "{path}");
            assert!(events.iter().all(|(_, event)| event.get("obfuscation").is_none()), "{path}");
        }
    }
}
