use axum::http::HeaderValue;
use axum::http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt;
use mlx_gate_core::FinishReason;
use serde_json::json;

use super::fakes::{FakeEngine, app, finished, post, send, started, text};

#[tokio::test]
async fn whole_answers_are_compressed_and_streams_are_not() {
    let long = "the same words again ".repeat(200);
    for (accepted, words, stream, expected) in [
        ("gzip", long.as_str(), false, "gzip"),
        ("gzip, deflate, br", long.as_str(), false, "br"),
        ("br;q=0, gzip", long.as_str(), false, "gzip"),
        ("identity", long.as_str(), false, ""),
        ("", long.as_str(), false, ""),
        ("gzip, br", "short", false, ""),
        ("gzip, br", long.as_str(), true, ""),
    ] {
        let engine = FakeEngine::says(vec![started(), text(words), finished(FinishReason::Stop)]);
        let body = json!({ "messages": [{ "role": "user", "content": "x" }], "stream": stream });
        let mut request = post("/v1/chat/completions", &body);
        if !accepted.is_empty() {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        let response = send(&app(&engine), request).await;
        let encoding = response.headers().get("content-encoding").map_or("", |value| value.to_str().unwrap());
        assert_eq!(encoding, expected, "{accepted}, streaming: {stream}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes.starts_with(b"\x1f\x8b"), expected == "gzip", "{accepted}");
        assert_eq!(bytes.len() < words.len(), !expected.is_empty(), "{accepted}: {} bytes", bytes.len());
    }
}
