//! Every request ends its passage exactly once, however it ends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use mlx_gate_core::{Dialect, Ended, EngineError, Event, FinishReason, Outcome, Usage};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, Say, answer, app_with, post, read, request, send, started, text};
use super::phases::{CHAT, PHASES, answering, app, chat};
use crate::Config;

/// How a request ended, in short: outcome, status, error code, whether it ran.
async fn ending(gate: &FakeGate) -> (&'static str, u16, String, bool) {
    let Ended { outcome, status, code, ran, .. } = gate.seen.ended().await;
    (outcome.as_str(), status, code.unwrap_or_default(), ran)
}

#[tokio::test]
async fn an_answer_ends_its_passage_once_with_what_it_took() {
    for stream in [true, false] {
        let (engine, gate) = (answering(), FakeGate::default());
        answer(&app(&engine, &gate), chat(&json!({ "stream": stream }))).await;
        let ended = gate.seen.ended().await;
        assert_eq!(ended.outcome, Outcome::Finished(FinishReason::Stop));
        let usage = Usage { input_tokens: 3, cached_tokens: 1, output_tokens: 5, reasoning_tokens: 2 };
        assert_eq!((ended.usage, ended.queued), (usage, Duration::from_millis(3)));
        assert_eq!((ended.method.as_str(), ended.dialect), ("POST", Dialect::OpenAi));
        assert!(ended.first_token.unwrap() <= ended.total);
        assert!(ended.started_at <= SystemTime::now());
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_passage_wherever_it_was() {
    // While the body is on its way.
    let (engine, gate) = (answering(), FakeGate::default());
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let app_ = app(&engine, &gate);
    let mut reading = Box::pin(send(&app_, request("POST", CHAT, endless)));
    assert!(reading.as_mut().now_or_never().is_none());
    drop(reading);
    assert_eq!(ending(&gate).await, ("cancelled", 499, String::new(), false));

    // While a plugin thinks.
    for phase in PHASES {
        let (engine, gate) = (answering(), FakeGate { hangs: Some(phase), ..FakeGate::default() });
        let app = app(&engine, &gate);
        let mut deciding = Box::pin(send(&app, chat(&json!({}))));
        assert!(deciding.as_mut().now_or_never().is_none());
        drop(deciding);
        assert_eq!(ending(&gate).await, ("cancelled", 499, String::new(), false), "{phase:?}");
    }

    // In the queue or during prefill.
    let ((engine, says), gate) = (FakeEngine::held(), FakeGate::default());
    says.send(Say::Event(started())).unwrap();
    let app_ = app(&engine, &gate);
    let mut waiting = Box::pin(send(&app_, chat(&json!({}))));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(waiting);
    assert_eq!(ending(&gate).await, ("cancelled", 499, String::new(), true));
    assert_eq!(gate.seen.ended().await.usage, Usage { input_tokens: 3, ..Usage::default() });
}

/// Two pieces were read and three were not; all five were generated.
#[tokio::test]
async fn a_client_that_leaves_a_stream_pays_for_what_the_device_said() {
    let ((engine, says), gate) = (FakeEngine::held(), FakeGate::default());
    let mut response = send(&app(&engine, &gate), chat(&json!({ "stream": true }))).await;
    for _ in 0..2 {
        says.send(Say::Event(text("x"))).unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
    }
    for _ in 0..3 {
        says.send(Say::Event(Event::Reasoning("y".to_owned()))).unwrap();
    }
    drop(response);
    assert_eq!(ending(&gate).await, ("cancelled", 200, String::new(), true));
    let usage = Usage { input_tokens: 3, cached_tokens: 0, output_tokens: 5, reasoning_tokens: 3 };
    assert_eq!(gate.seen.ended().await.usage, usage);
}

#[tokio::test]
async fn failures_end_a_passage_too() {
    let gate = FakeGate::default();
    let failing =
        FakeEngine::says(vec![text("Hi"), Event::Failed(EngineError::Internal("broken".to_owned()))]);
    answer(&app(&failing, &gate), chat(&json!({ "stream": true }))).await;
    assert_eq!(ending(&gate).await, ("error", 200, "internal_error".to_owned(), true));

    let gate = FakeGate::default();
    let panicking = answering();
    *panicking.panics.lock().unwrap() = true;
    answer(&app(&panicking, &gate), chat(&json!({}))).await;
    assert_eq!(ending(&gate).await, ("error", 500, "internal_error".to_owned(), false));

    let (gate, (engine, says)) = (FakeGate::default(), FakeEngine::held());
    says.send(Say::Panic).unwrap();
    answer(&app(&engine, &gate), chat(&json!({ "stream": true }))).await;
    assert_eq!(ending(&gate).await, ("error", 200, "internal_error".to_owned(), true));

    let gate = FakeGate::default();
    answer(&app(&answering(), &gate), post(CHAT, &json!({}))).await;
    assert_eq!(ending(&gate).await, ("error", 400, "missing_required_parameter".to_owned(), false));

    let gate = FakeGate::default();
    answer(&app(&answering(), &gate), request("GET", "/nowhere", "")).await;
    assert_eq!(ending(&gate).await, ("error", 404, "unknown_url".to_owned(), false));
    assert_eq!(gate.seen.ended().await.route, None);
}

#[tokio::test]
async fn a_time_limit_ends_a_passage_also_in_a_phase() {
    let config = Config { request_timeout: Duration::from_millis(1), ..Config::default() };
    for phase in PHASES {
        let gate = FakeGate { hangs: Some(phase), ..FakeGate::default() };
        let answered = answer(&app_with(&answering(), gate.clone(), config.clone()), chat(&json!({}))).await;
        assert_eq!(answered.status, StatusCode::GATEWAY_TIMEOUT, "{phase:?}");
        assert_eq!(ending(&gate).await, ("error", 504, "request_timeout".to_owned(), false), "{phase:?}");
    }
}

/// Now, in Unix milliseconds.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[tokio::test]
async fn a_credential_that_has_expired_is_refused_before_the_body_is_read() {
    let gate = FakeGate { expires_at_ms: Some(now_ms() - 1), ..FakeGate::default() };
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answered = answer(&app(&answering(), &gate), request("POST", CHAT, endless)).await;
    assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answered.error()["code"], "credential_expired");
    assert_eq!(answered.header("www-authenticate"), "Bearer");
    assert_eq!(ending(&gate).await, ("denied", 401, "credential_expired".to_owned(), false));
}

/// The device says nothing more, so only the credential's end can end the answer.
#[tokio::test]
async fn an_answer_ends_when_the_credential_does() {
    for stream in [true, false] {
        let (engine, says) = FakeEngine::held();
        says.send(Say::Event(text("Hi"))).unwrap();
        let gate = FakeGate { expires_at_ms: Some(now_ms() + 200), ..FakeGate::default() };
        let answered = read(send(&app(&engine, &gate), chat(&json!({ "stream": stream }))).await).await;
        // A slow machine may not come as far as the stream.
        let error = if stream && answered.status == StatusCode::OK {
            let last = answered.body.trim_end().rsplit("data: ").next().unwrap();
            serde_json::from_str::<Value>(last).unwrap()["error"].clone()
        } else {
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{}", answered.body);
            answered.error()
        };
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("authentication_error"), &json!("credential_expired"))
        );
        assert_eq!(gate.seen.ended().await.code.as_deref(), Some("credential_expired"));
        engine.streams(0).await;
    }
}

#[tokio::test]
async fn a_credential_that_never_expires_is_no_problem() {
    for expires_at_ms in [u64::MAX, now_ms() + 3_600_000] {
        let gate = FakeGate { expires_at_ms: Some(expires_at_ms), ..FakeGate::default() };
        assert_eq!(answer(&app(&answering(), &gate), chat(&json!({}))).await.status, StatusCode::OK);
    }
}
