use std::time::Duration;

use http_body_util::BodyExt;
use mlx_gate_core::{EngineError, Event, FinishReason};
use serde_json::{Value, json};

use super::{MESSAGES, ask};
use crate::Config;
use crate::tests::fakes::{
    FakeEngine, FakeGate, Say, answer, app, app_with, call, finished, post, read, reasoning, send, stable,
    started, text,
};

/// The events of a stream: name and data.
pub(super) fn events(body: &str) -> Vec<(String, Value)> {
    let event = |text: &str| {
        let (name, data) = text.split_once('\n').unwrap();
        let data = serde_json::from_str::<Value>(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        assert_eq!(data["type"], name);
        (name.to_owned(), data)
    };
    body.split_terminator("\n\n").map(event).collect()
}

#[tokio::test]
async fn a_stream_has_anthropics_order() {
    let engine = FakeEngine::says(vec![
        started(),
        reasoning("h"),
        reasoning("m"),
        text("Hi"),
        call(0, Some(("call_1", "f")), ""),
        call(0, None, "{\"a\":"),
        call(0, None, "1}"),
        call(1, Some(("call_2", "g")), "{}"),
        finished(FinishReason::ToolCalls),
    ]);
    let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({ "stream": true })))).await;
    assert_eq!(answered.header("content-type"), "text/event-stream; charset=utf-8");
    let signature = "b82e2178ecf4d0c5859dc2e169d7fed8673f9f6eeb9f3591bed5f253b7742408";
    let expected = format!(
        r#"event: message_start
data: {{"type":"message_start","message":{{"id":"msg_..","type":"message","role":"assistant","model":"demo","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"output_tokens_details":{{"thinking_tokens":0}},"service_tier":"standard"}}}}}}

event: content_block_start
data: {{"type":"content_block_start","index":0,"content_block":{{"type":"thinking","thinking":"","signature":""}}}}

event: ping
data: {{"type":"ping"}}

event: content_block_delta
data: {{"type":"content_block_delta","index":0,"delta":{{"type":"thinking_delta","thinking":"h"}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":0,"delta":{{"type":"thinking_delta","thinking":"m"}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":0,"delta":{{"type":"signature_delta","signature":"{signature}"}}}}

event: content_block_stop
data: {{"type":"content_block_stop","index":0}}

event: content_block_start
data: {{"type":"content_block_start","index":1,"content_block":{{"type":"text","text":""}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":1,"delta":{{"type":"text_delta","text":"Hi"}}}}

event: content_block_stop
data: {{"type":"content_block_stop","index":1}}

event: content_block_start
data: {{"type":"content_block_start","index":2,"content_block":{{"type":"tool_use","id":"call_1","name":"f","input":{{}}}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":2,"delta":{{"type":"input_json_delta","partial_json":"{{\"a\":"}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":2,"delta":{{"type":"input_json_delta","partial_json":"1}}"}}}}

event: content_block_stop
data: {{"type":"content_block_stop","index":2}}

event: content_block_start
data: {{"type":"content_block_start","index":3,"content_block":{{"type":"tool_use","id":"call_2","name":"g","input":{{}}}}}}

event: content_block_delta
data: {{"type":"content_block_delta","index":3,"delta":{{"type":"input_json_delta","partial_json":"{{}}"}}}}

event: content_block_stop
data: {{"type":"content_block_stop","index":3}}

event: message_delta
data: {{"type":"message_delta","delta":{{"stop_reason":"tool_use","stop_sequence":null}},"usage":{{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":5,"output_tokens_details":{{"thinking_tokens":2}}}}}}

event: message_stop
data: {{"type":"message_stop"}}

"#
    );
    assert_eq!(stable(&answered.body), expected);
}

/// The texts, a call as its name, and the reason of the end.
fn told(body: &str) -> (Vec<String>, Value) {
    let all = events(body);
    let piece = |(_, data): &(String, Value)| {
        let delta = &data["delta"];
        let text = delta["text"].as_str().or(delta["partial_json"].as_str());
        text.or(data["content_block"]["name"].as_str()).map(str::to_owned)
    };
    (all.iter().filter_map(piece).collect(), all[all.len() - 2].1["delta"]["stop_reason"].clone())
}

#[tokio::test]
async fn a_call_whose_arguments_do_not_begin_as_an_object_streams_as_text() {
    for (said, pieces, reason) in [
        (
            vec![call(0, Some(("call_1", "f")), ""), call(0, None, "Par"), call(0, None, "{is")],
            vec!["f ", "Par", "{is"],
            "end_turn",
        ),
        (
            vec![
                call(0, Some(("call_1", "f")), "x"),
                call(1, Some(("call_2", "g")), " "),
                call(1, None, "{"),
            ],
            vec!["f ", "x", "g", "{"],
            "tool_use",
        ),
        // Nothing is known of its arguments, so it has none.
        (vec![call(0, Some(("call_1", "f")), ""), text("Hi")], vec!["f", "Hi"], "tool_use"),
    ] {
        let engine = FakeEngine::says([said, vec![finished(FinishReason::ToolCalls)]].concat());
        let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({ "stream": true })))).await;
        let pieces = pieces.into_iter().map(str::to_owned).collect();
        assert_eq!(told(&answered.body), (pieces, json!(reason)), "{}", answered.body);
    }
}

#[tokio::test]
async fn thinking_that_is_not_to_be_shown_leaves_its_signature() {
    let thinking = json!({ "type": "adaptive", "display": "omitted" });
    for stream in [false, true] {
        let engine = FakeEngine::says(vec![reasoning("secret"), text("Hi"), finished(FinishReason::Stop)]);
        let body = ask(&json!({ "stream": stream, "thinking": thinking }));
        let answered = answer(&app(&engine), post(MESSAGES, &body)).await;
        assert!(!answered.body.contains("secret"), "{}", answered.body);
        let signature = if stream {
            let all = events(&answered.body);
            let deltas = all.iter().filter(|(name, _)| name == "content_block_delta").collect::<Vec<_>>();
            assert_eq!(deltas.len(), 2, "{deltas:?}");
            deltas[0].1["delta"]["signature"].clone()
        } else {
            assert_eq!(answered.json()["content"][0]["thinking"], "");
            answered.json()["content"][0]["signature"].clone()
        };
        assert_eq!(signature.as_str().unwrap().len(), 64);
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_is_an_event() {
    let broken = Event::Failed(EngineError::Internal("a secret of the device".to_owned()));
    let engine = FakeEngine::says(vec![text("Hi"), broken]);
    let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({ "stream": true })))).await;
    let events = events(&answered.body);
    let (name, error) = events.last().unwrap();
    assert_eq!(name, "error");
    assert_eq!(error["error"]["type"], "api_error");
    assert_eq!(error["error"]["details"]["error_code"], "internal_error");
    assert_eq!(error["request_id"], answered.header("request-id"));
    assert!(!answered.body.contains("secret"));
}

#[tokio::test]
async fn silence_is_filled_with_pings_after_the_message_has_begun() {
    let (engine, says) = FakeEngine::held();
    let config = Config { keep_alive: Duration::from_millis(1), ..Config::default() };
    let app = app_with(&engine, FakeGate::default(), config);
    let mut response = send(&app, post(MESSAGES, &ask(&json!({ "stream": true })))).await;
    let mut heard = String::new();
    while heard.matches("event: ping").count() < 2 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    says.send(Say::Event(finished(FinishReason::Stop))).unwrap();
    heard.push_str(&read(response).await.body);
    let names = events(&heard).into_iter().map(|(name, _)| name).filter(|name| name != "ping");
    assert_eq!(names.collect::<Vec<_>>(), ["message_start", "message_delta", "message_stop"]);
}
