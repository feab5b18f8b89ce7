use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use mlx_gate_core::FinishReason;
use serde_json::json;

use super::fakes::{Answered, FakeEngine, FakeGate, answer, app_with, finished, post, started, text};
use crate::Config;

const HERE: &str = "https://app.example.com";
const ELSEWHERE: &str = "https://elsewhere.example.com";

fn config(origins: &[&str]) -> Config {
    let cors_origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    Config { cors_origins, ..Config::default() }
}

/// What a browser asks before it sends a page's request.
fn preflight(origin: &str) -> Request<Body> {
    Request::builder()
        .method("OPTIONS")
        .uri("/v1/chat/completions")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-stainless-lang")
        .body(Body::empty())
        .unwrap()
}

async fn ask(config: &Config, gate: &FakeGate, request: Request<Body>) -> Answered {
    let engine = FakeEngine::says(vec![started(), text("Hi"), finished(FinishReason::Stop)]);
    answer(&app_with(&engine, gate.clone(), config.clone()), request).await
}

#[tokio::test]
async fn without_an_origin_a_browser_is_a_stranger() {
    let gate = FakeGate::default();
    let answered = ask(&config(&[]), &gate, preflight(HERE)).await;
    assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answered.header("access-control-allow-origin"), "");
    assert!(!gate.seen.phases().is_empty());
}

#[tokio::test]
async fn an_allowed_page_may_ask_without_a_credential_and_only_ask() {
    for (origins, origin, allowed) in [
        (&[HERE][..], HERE, HERE),
        (&[HERE, "http://localhost:3000"][..], "http://localhost:3000", "http://localhost:3000"),
        (&[HERE][..], ELSEWHERE, ""),
        (&["*"][..], ELSEWHERE, "*"),
    ] {
        let gate = FakeGate::default();
        let answered = ask(&config(origins), &gate, preflight(origin)).await;
        assert_eq!(answered.header("access-control-allow-origin"), allowed, "{origin} of {origins:?}");
        assert_eq!(answered.header("access-control-allow-credentials"), "");
        assert_eq!(answered.body, "");
        assert_eq!(gate.seen.phases(), [], "a question is no request");
        if !allowed.is_empty() {
            assert_eq!(answered.status, StatusCode::OK);
            assert_eq!(answered.header("access-control-allow-headers"), "authorization,x-stainless-lang");
            assert_eq!(answered.header("access-control-allow-methods"), "GET,POST");
        }
    }
}

#[tokio::test]
async fn options_that_is_no_preflight_goes_through_the_gate() {
    for missing in ["origin", "access-control-request-method"] {
        let mut request = preflight(HERE);
        request.headers_mut().remove(missing);
        let gate = FakeGate::default();
        let answered = ask(&config(&["*"]), &gate, request).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "without {missing}");
        assert!(!gate.seen.phases().is_empty(), "without {missing}");
    }
}

#[tokio::test]
async fn answers_and_refusals_can_be_read_by_an_allowed_page() {
    let body = json!({ "messages": [{ "role": "user", "content": "x" }] });
    for (credential, status) in [(true, StatusCode::OK), (false, StatusCode::UNAUTHORIZED)] {
        for (origin, allowed) in [(HERE, HERE), (ELSEWHERE, "")] {
            let mut request = post("/v1/chat/completions", &body);
            request.headers_mut().insert("origin", HeaderValue::from_static(origin));
            if !credential {
                request.headers_mut().remove("authorization");
            }
            let answered = ask(&config(&[HERE]), &FakeGate::default(), request).await;
            assert_eq!(answered.status, status, "{origin}");
            assert_eq!(answered.header("access-control-allow-origin"), allowed);
            let exposed = answered.header("access-control-expose-headers").split(',').collect::<Vec<_>>();
            for name in ["x-request-id", "request-id", "retry-after", "x-tools-not-offered"] {
                assert!(exposed.contains(&name), "{name} in {exposed:?}");
            }
        }
    }
}
