use mlx_gate_core::{EngineError, Event, FinishReason, TokenLogprob};
use serde_json::{Value, json};

use super::{PATH, ask};
use crate::tests::fakes::{FakeEngine, answer, app, call, finished, post, reasoning, stable, started, text};

/// The events of a stream: data, whose type is the event's name and whose numbers count up.
fn events(body: &str) -> Vec<Value> {
    let event = |(number, text): (usize, &str)| {
        let (name, data) = text.split_once('\n').unwrap();
        let mut data = serde_json::from_str::<Value>(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        assert_eq!(data["sequence_number"], number);
        data.as_object_mut().unwrap().shift_remove("sequence_number");
        if let Some((prefix, _)) = data["item_id"].as_str().and_then(|id| id.split_once('_')) {
            data["item_id"] = format!("{prefix}_..").into();
        }
        data
    };
    body.split_terminator("\n\n").enumerate().map(event).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// An event with these fields.
fn of(name: &str, more: Value) -> Value {
    with(json!({ "type": format!("response.{name}") }), more)
}

/// What an event says about an item.
fn in_item(item: &str, output: u32, more: Value) -> Value {
    with(json!({ "item_id": item, "output_index": output }), more)
}

/// What an event says about an item's one part.
fn at(item: &str, output: u32, more: Value) -> Value {
    with(json!({ "item_id": item, "output_index": output, "content_index": 0 }), more)
}

fn with(mut fields: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("fields: {more}") };
    fields.as_object_mut().unwrap().extend(more);
    fields
}

#[tokio::test]
async fn a_stream_has_openais_order() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("h"),
        reasoning("m"),
        text("Hi"),
        call(0, Some(("call_1", "f")), ""),
        call(0, None, "{\"a\":"),
        call(0, None, "1}"),
        finished(FinishReason::ToolCalls),
    ]);
    let body = ask(&json!({ "stream": true, "include": ["reasoning.encrypted_content"] }));
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(answered.header("content-type"), "text/event-stream; charset=utf-8");
    let events = events(&stable(&answered.body));
    let (first, rest) = events.split_at(2);
    let (middle, last) = rest.split_at(rest.len() - 1);
    assert_eq!(names(first), ["response.created", "response.in_progress"]);
    for event in first {
        assert_eq!(event["response"]["status"], "in_progress");
        assert_eq!((&event["response"]["output"], &event["response"]["usage"]), (&json!([]), &Value::Null));
    }
    let reasoning_item = json!({
        "type": "reasoning", "id": "rs_..", "status": "completed", "summary": [],
        "content": [{ "type": "reasoning_text", "text": "hm" }], "encrypted_content": "mlx-gate-reasoning:aG0=",
    });
    let part = json!({ "type": "output_text", "text": "Hi", "annotations": [], "logprobs": [] });
    let message = json!({
        "type": "message", "id": "msg_..", "status": "completed", "role": "assistant", "content": [part],
    });
    let function_call = json!({
        "type": "function_call", "id": "fc_..", "status": "completed", "call_id": "call_1", "name": "f",
        "arguments": "{\"a\":1}",
    });
    let expected = [
        of(
            "output_item.added",
            json!({ "output_index": 0, "item": {
            "type": "reasoning", "id": "rs_..", "status": "in_progress", "summary": [], "content": [],
            "encrypted_content": null,
        } }),
        ),
        of("content_part.added", at("rs_..", 0, json!({ "part": { "type": "reasoning_text", "text": "" } }))),
        of("reasoning_text.delta", at("rs_..", 0, json!({ "delta": "h" }))),
        of("reasoning_text.delta", at("rs_..", 0, json!({ "delta": "m" }))),
        of("reasoning_text.done", at("rs_..", 0, json!({ "text": "hm" }))),
        of(
            "content_part.done",
            at("rs_..", 0, json!({ "part": { "type": "reasoning_text", "text": "hm" } })),
        ),
        of("output_item.done", json!({ "output_index": 0, "item": reasoning_item })),
        of(
            "output_item.added",
            json!({ "output_index": 1, "item": {
            "type": "message", "id": "msg_..", "status": "in_progress", "role": "assistant", "content": [],
        } }),
        ),
        of(
            "content_part.added",
            at(
                "msg_..",
                1,
                json!({
                    "part": { "type": "output_text", "text": "", "annotations": [], "logprobs": [] },
                }),
            ),
        ),
        of("output_text.delta", at("msg_..", 1, json!({ "delta": "Hi", "logprobs": [] }))),
        of("output_text.done", at("msg_..", 1, json!({ "text": "Hi", "logprobs": [] }))),
        of("content_part.done", at("msg_..", 1, json!({ "part": part }))),
        of("output_item.done", json!({ "output_index": 1, "item": message })),
        of(
            "output_item.added",
            json!({ "output_index": 2, "item": {
            "type": "function_call", "id": "fc_..", "status": "in_progress", "call_id": "call_1", "name": "f",
            "arguments": "",
        } }),
        ),
        of("function_call_arguments.delta", in_item("fc_..", 2, json!({ "delta": "{\"a\":" }))),
        of("function_call_arguments.delta", in_item("fc_..", 2, json!({ "delta": "1}" }))),
        of(
            "function_call_arguments.done",
            in_item("fc_..", 2, json!({ "name": "f", "arguments": "{\"a\":1}" })),
        ),
        of("output_item.done", json!({ "output_index": 2, "item": function_call })),
    ];
    assert_eq!(middle, expected);
    let last = &last[0];
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["status"], "completed");
    assert_eq!(last["response"]["output"], json!([reasoning_item, message, function_call]));
    assert_eq!(last["response"]["usage"]["total_tokens"], 8);
}

#[tokio::test]
async fn log_probabilities_come_with_their_text() {
    let token = |text: &str, logprob| TokenLogprob {
        token: 7,
        bytes: text.as_bytes().to_vec(),
        logprob,
        top: vec![(7, text.as_bytes().to_vec(), logprob)],
        shown: text != "</think>",
    };
    let wire = |text: &str, logprob: f32| {
        let bytes = text.as_bytes();
        json!({
            "token": text, "logprob": logprob, "bytes": bytes,
            "top_logprobs": [{ "token": text, "logprob": logprob, "bytes": bytes }],
        })
    };
    let engine = FakeEngine::says(vec![
        Event::Logprobs(vec![token("hm", -3.0)]),
        reasoning("hm"),
        Event::Logprobs(vec![token("</think>", -0.1), token("H", -1.0), token("i", -0.5)]),
        text("Hi"),
        Event::Logprobs(vec![token("!", -2.0)]),
        text("!"),
        finished(FinishReason::Stop),
    ]);
    let body =
        ask(&json!({ "stream": true, "include": ["message.output_text.logprobs"], "top_logprobs": 1 }));
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(engine.asked().logprobs, Some(1));
    let events = events(&answered.body);
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let deltas = of("response.output_text.delta");
    assert_eq!(deltas[0]["logprobs"], json!([wire("H", -1.0), wire("i", -0.5)]));
    assert_eq!(deltas[1]["logprobs"], json!([wire("!", -2.0)]));
    let all = json!([wire("H", -1.0), wire("i", -0.5), wire("!", -2.0)]);
    assert_eq!(of("response.output_text.done")[0]["logprobs"], all);
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][1]["content"][0]["logprobs"], all);
    assert_eq!(response["top_logprobs"], 1);
}

#[tokio::test]
async fn a_stream_that_is_cut_off_ends_as_incomplete() {
    let engine = FakeEngine::says(vec![text("He"), finished(FinishReason::Length)]);
    let answered = answer(&app(&engine), post(PATH, &ask(&json!({ "stream": true })))).await;
    let events = events(&answered.body);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(events[events.len() - 2]["item"]["status"], "incomplete");
}

#[tokio::test]
async fn a_stream_that_fails_says_so_last() {
    for before in [Vec::new(), vec![text("Hi")]] {
        let mut says = before;
        says.push(Event::Failed(EngineError::Internal("a secret of the device".to_owned())));
        let answered =
            answer(&app(&FakeEngine::says(says)), post(PATH, &ask(&json!({ "stream": true })))).await;
        let events = events(&answered.body);
        assert_eq!(events[0]["type"], "response.created");
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["status"], "failed");
        assert_eq!(last["response"]["error"]["code"], "server_error");
        assert!(!answered.body.contains("secret"));
    }
}
