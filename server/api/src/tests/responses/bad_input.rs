//! What clients get wrong and what they are told.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{PATH, ask};
use crate::tests::fakes::{FakeEngine, answer, app, post};

/// A body that is fine but for what the case is about.
fn body(kind: &str, json: &str) -> Value {
    let change: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    match kind {
        "whole" => change,
        "with" => ask(&change),
        "item" => ask(&json!({ "input": [change] })),
        "tool" => ask(&json!({ "tools": [change] })),
        _ => panic!("no kind of case: {kind}"),
    }
}

#[tokio::test]
async fn every_mistake_is_named() {
    let app = app(&FakeEngine::says(Vec::new()));
    let cases = include_str!("bad_input.cases").lines();
    for case in cases.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts = case.split('|').map(str::trim).collect::<Vec<_>>();
        let [kind, json, code, param, message] = parts.as_slice() else { panic!("five parts: {case}") };
        let answered = answer(&app, post(PATH, &body(kind, json))).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{case}: {}", answered.body);
        let error = answered.error();
        assert_eq!(error["type"], "invalid_request_error", "{case}");
        assert_eq!(error["code"], *code, "{case}: {error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), *param, "{case}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{case}: {error}");
    }
}
