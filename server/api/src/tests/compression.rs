use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use mlx_gate_core::FinishReason;
use serde_json::json;
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;

use super::fakes::{
    Answered, FakeEngine, FakeGate, app, app_with, finished, post, read, request, send, started, text,
};
use crate::Config;

const CHAT: &str = "/v1/chat/completions";

/// A body as a client sends it that codes what it sends.
async fn coded(coding: &'static str, body: &str) -> Bytes {
    let body = body.to_owned();
    let says = service_fn(move |_: Request<Body>| {
        ready(Ok::<_, Infallible>(Response::new(Body::from(body.clone()))))
    });
    let asked = Request::builder().header(ACCEPT_ENCODING, coding).body(Body::empty()).unwrap();
    let response = Compression::new(says).oneshot(asked).await.unwrap();
    assert_eq!(response.headers()[CONTENT_ENCODING], coding);
    response.into_body().collect().await.unwrap().to_bytes()
}

/// Sends a chat in these codings to a server that takes 20,000 bytes.
async fn chat(codings: &[&'static str], body: impl Into<Body>) -> Answered {
    let engine = FakeEngine::says(vec![started(), text("Hi"), finished(FinishReason::Stop)]);
    let mut request = request("POST", CHAT, body);
    for coding in codings {
        request.headers_mut().append(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let config = Config { max_body_bytes: 20_000, ..Config::default() };
    read(send(&app_with(&engine, FakeGate::default(), config), request).await).await
}

/// A chat with so much white space behind it.
fn padded(spaces: usize) -> String {
    json!({ "messages": [{ "role": "user", "content": "x" }] }).to_string() + &" ".repeat(spaces)
}

#[tokio::test]
async fn coded_requests_are_read() {
    for coding in ["gzip", "br"] {
        let answered = chat(&[coding], coded(coding, &padded(10_000)).await).await;
        assert_eq!(answered.status, 200, "{coding}: {}", answered.body);
    }
    for codings in [&["x-gzip"][..], &["identity", "GZIP"], &["", "identity, gzip"]] {
        assert_eq!(chat(codings, coded("gzip", &padded(2_000)).await).await.status, 200, "{codings:?}");
    }
    for codings in [&["identity"][..], &[""]] {
        assert_eq!(chat(codings, padded(0)).await.status, 200, "{codings:?}");
    }
}

#[tokio::test]
async fn the_limit_is_on_what_a_request_decodes_to() {
    for coding in ["gzip", "br"] {
        let small = coded(coding, &padded(10_000_000)).await;
        assert!(small.len() < 12_000, "{}", small.len());
        let answered = chat(&[coding], small).await;
        assert_eq!((answered.status.as_u16(), &answered.error()["code"]), (413, &json!("request_too_large")));
    }
}

#[tokio::test]
async fn other_codings_are_refused_with_those_there_are() {
    for codings in [&["zstd"][..], &["gzip, br"], &["gzip", "gzip"], &["deflate"]] {
        let answered = chat(codings, padded(0)).await;
        assert_eq!(answered.status, 415, "{codings:?}");
        assert_eq!(answered.error()["code"], "unsupported_content_encoding");
        assert_eq!(answered.header("accept-encoding"), "gzip, br");
    }
    let whole = coded("gzip", &padded(2_000)).await;
    for broken in [whole.slice(..whole.len() / 2), Bytes::from(padded(0))] {
        let answered = chat(&["gzip"], broken).await;
        assert_eq!(answered.status, 400, "{}", answered.body);
        assert_eq!(answered.error()["code"], "invalid_content_encoding");
    }
}

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
        let mut request = post(CHAT, &body);
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
