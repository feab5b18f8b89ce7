//! What every request goes through.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use mlx_gate_core::{
    Admission, Api, Constraints, Denial, EngineError, Event, FinishReason, Operation, Outcome, Phase,
    Refusal, Tags,
};
use serde_json::{Value, json};

use super::fakes::{
    Answered, FakeEngine, FakeGate, answer, app_with, finished, post, request, started, text,
};
use crate::routes::{self, ROUTES, Route};
use crate::{App, Config};

pub(super) const CHAT: &str = "/v1/chat/completions";

pub(super) fn answering() -> Arc<FakeEngine> {
    FakeEngine::says(vec![started(), text("Hi"), finished(FinishReason::Stop)])
}

pub(super) fn app(engine: &Arc<FakeEngine>, gate: &FakeGate) -> App {
    app_with(engine, gate.clone(), Config::default())
}

pub(super) fn chat(more: &Value) -> Request<Body> {
    let mut body = json!({ "messages": [{ "role": "user", "content": "x" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(CHAT, &body)
}

/// A request that a route answers with success. A new route needs one here.
fn good(route: &Route) -> Request<Body> {
    match route.path {
        CHAT => chat(&json!({})),
        "/v1/completions" | "/tokenize" => post(route.path, &json!({ "prompt": "x" })),
        "/v1/responses" | "/v1/embeddings" => post(route.path, &json!({ "input": "x" })),
        "/v1/messages" => {
            post(route.path, &json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] }))
        }
        "/v1/messages/count_tokens" => {
            post(route.path, &json!({ "messages": [{ "role": "user", "content": "x" }] }))
        }
        "/v1/models" | "/openapi.json" => request("GET", route.path, ""),
        "/v1/models/{*id}" => request("GET", "/v1/models/org/plain", ""),
        "/v1/rerank" | "/v2/rerank" | "/rerank" => {
            post(route.path, &json!({ "query": "x", "documents": ["y"] }))
        }
        "/v1/score" | "/score" => post(route.path, &json!({ "text_1": "x", "text_2": "y" })),
        "/detokenize" => post(route.path, &json!({ "tokens": [1] })),
        other => panic!("say how a good request to {other} looks"),
    }
}

pub(super) fn denial(phase: Phase) -> Refusal {
    let denial = Denial { status: 403, code: "no".to_owned(), ..Denial::default() };
    Refusal::Denied { plugin: "p".to_owned(), phase, denial }
}

pub(super) const PHASES: [Phase; 4] = [Phase::Authenticate, Phase::Authorize, Phase::RateLimit, Phase::Tag];

#[tokio::test]
async fn every_route_goes_through_every_phase_in_order() {
    for route in &ROUTES {
        let gate = FakeGate::default();
        let answered = answer(&app(&answering(), &gate), good(route)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}: {}", route.path, answered.body);
        let expected = [&PHASES[..], &[Phase::Log]].concat();
        assert_eq!(gate.seen.phases(), expected, "{}", route.path);
        assert_eq!(gate.seen.operation(Phase::Authorize).api, route.api, "{}", route.path);
        let ended = gate.seen.ended().await;
        assert!(ended.ran, "{}", route.path);
        let dialect = routes::dialect(Some(route), &HeaderMap::new());
        assert_eq!((ended.route, ended.dialect, ended.status), (Some(route.path), dialect, 200));
    }
}

#[tokio::test]
async fn a_phase_that_refuses_or_fails_is_the_last_one_on_every_route() {
    let unavailable =
        |phase| Refusal::Unavailable { plugin: "p".to_owned(), phase, cause: "it trapped".to_owned() };
    for route in &ROUTES {
        for (place, phase) in PHASES.into_iter().enumerate() {
            for (refusal, status) in [(denial(phase), 403), (unavailable(phase), 503)] {
                let engine = answering();
                let gate = FakeGate::refusing(phase, refusal);
                let answered = answer(&app(&engine, &gate), good(route)).await;
                assert_eq!(answered.status.as_u16(), status, "{} {phase:?}", route.path);
                let expected = [&PHASES[..=place], &[Phase::Log]].concat();
                assert_eq!(gate.seen.phases(), expected, "{}", route.path);
                assert!(engine.tags.lock().unwrap().is_empty(), "{} ran", route.path);
                let ended = gate.seen.ended().await;
                assert_eq!((ended.outcome, ended.status, ended.ran), (Outcome::Denied, status, false));
                assert_eq!(ended.refused_by, Some(format!("{}/p", phase.as_str())));
            }
        }
    }
}

#[tokio::test]
async fn plugins_are_told_what_is_asked_for() {
    let gate = FakeGate::default();
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    let content = "x".repeat(4000);
    let body = json!({
        "messages": [{ "role": "user", "content": content }], "stream": true, "user": "bob", "max_tokens": 50,
        "tools": tools,
    });
    answer(&app(&answering(), &gate), post(CHAT, &body)).await;
    let estimated = gate.seen.operation(Phase::Authorize);
    let mut expected = Operation {
        model: Some("demo".to_owned()),
        streaming: true,
        input_tokens: (4000 + tools[0].to_string().len()).div_ceil(4) as u32,
        max_output_tokens: Some(50),
        tools: 1,
        end_user: Some("bob".to_owned()),
        ..Operation::new(Api::Chat)
    };
    assert_eq!(estimated, expected);
    // The fake engine takes any prompt for three tokens.
    expected.input_tokens = 3;
    assert_eq!(gate.seen.operation(Phase::RateLimit), expected);
    assert_eq!(gate.seen.operation(Phase::Tag), expected);

    let gate = FakeGate::default();
    answer(&app(&answering(), &gate), post("/v1/completions", &json!({ "prompt": [1, 2, 3, 4, 5] }))).await;
    let exact = gate.seen.operation(Phase::Authorize);
    assert_eq!((exact.api, exact.input_tokens, exact.max_output_tokens), (Api::Completion, 5, None));
    assert_eq!(gate.seen.operation(Phase::RateLimit).max_output_tokens, Some(16), "the engine's own limit");

    let gate = FakeGate::default();
    answer(&app(&answering(), &gate), request("GET", "/v1/models/org/plain", "")).await;
    let expected = Operation { model: Some("org/plain".to_owned()), ..Operation::new(Api::Models) };
    assert_eq!(gate.seen.operation(Phase::Authorize), expected);
}

/// A gate whose authorizers set these bounds.
fn bounded(constraints: Constraints) -> FakeGate {
    FakeGate { constraints, ..FakeGate::default() }
}

fn models(patterns: &[&str]) -> Constraints {
    let patterns = patterns.iter().map(ToString::to_string).collect();
    Constraints { models: vec![patterns], ..Constraints::default() }
}

#[tokio::test]
async fn an_answer_is_never_longer_than_allowed() {
    for (allowed, asked, expected) in [
        (Some(5), None, Some(5)),
        (Some(5), Some(50), Some(5)),
        (Some(5), Some(3), Some(3)),
        (None, None, None),
    ] {
        let engine = answering();
        let gate = bounded(Constraints { max_output_tokens: allowed, ..Constraints::default() });
        let answered = answer(&app(&engine, &gate), chat(&json!({ "max_tokens": asked }))).await;
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(engine.asked().max_output_tokens, expected, "{allowed:?} {asked:?}");
    }
    let gate = bounded(Constraints { max_output_tokens: Some(0), ..Constraints::default() });
    let answered = answer(&app(&answering(), &gate), chat(&json!({}))).await;
    assert_eq!((answered.status.as_u16(), &answered.error()["code"]), (403, &json!("output_not_allowed")));
}

#[tokio::test]
async fn another_model_than_the_one_named_may_answer() {
    let alias = |patterns| Constraints { model: Some("org/plain".to_owned()), ..models(patterns) };
    let engine = answering();
    let gate = bounded(alias(&["org/*"]));
    let answered = answer(&app(&engine, &gate), chat(&json!({ "model": "demo" }))).await;
    assert_eq!(answered.json()["model"], "org/plain");
    assert_eq!(gate.seen.operation(Phase::Authorize).model.as_deref(), Some("demo"));
    assert_eq!(gate.seen.operation(Phase::RateLimit).model.as_deref(), Some("org/plain"));

    let answered = answer(&app(&answering(), &bounded(alias(&["demo"]))), chat(&json!({}))).await;
    assert_eq!(answered.error()["code"], "model_not_allowed", "the model that answers is what counts");
}

#[tokio::test]
async fn a_model_that_may_not_be_used_looks_the_same_whether_it_is_served_or_not() {
    for model in ["org/plain", "never-heard-of"] {
        let engine = answering();
        let gate = bounded(models(&["demo"]));
        let answered = answer(&app(&engine, &gate), chat(&json!({ "model": model }))).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN);
        let expected = format!("the model `{model}` may not be used with this credential");
        assert_eq!(
            answered.error(),
            json!({ "message": expected, "type": "permission_error", "param": "model", "code": "model_not_allowed" })
        );
        assert!(engine.asked.lock().unwrap().is_empty(), "the engine has seen the prompt");
        let ended = gate.seen.ended().await;
        assert_eq!((ended.outcome, ended.refused_by.as_deref()), (Outcome::Denied, Some("authorize")));

        let answered = answer(&app(&engine, &gate), request("GET", &format!("/v1/models/{model}"), "")).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND);
        assert_eq!(answered.error()["message"], format!("the model `{model}` is not served here"));
    }
    let gate = bounded(models(&["demo"]));
    let listed = answer(&app(&answering(), &gate), request("GET", "/v1/models", "")).await.json();
    let ids: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["demo"]);
}

/// A stranger to a model learns nothing of it, neither by its absence nor by what it cannot do.
#[tokio::test]
async fn nothing_is_said_about_models_before_authorize() {
    for more in [json!({ "model": "gone" }), json!({ "model": "org/plain", "reasoning_effort": "high" })] {
        let gate = FakeGate::refusing(Phase::Authorize, denial(Phase::Authorize));
        let answered = answer(&app(&answering(), &gate), chat(&more)).await;
        assert_eq!(answered.error()["code"], "no", "{more}");
        let answered = answer(&app(&answering(), &FakeGate::default()), chat(&more)).await;
        assert_ne!(answered.error()["code"], "no");
        assert!(answered.status.is_client_error());
    }
}

#[tokio::test]
async fn an_adapter_has_to_be_allowed_whoever_names_it() {
    let tags = Tags { adapter: Some("poet".to_owned()), ..Tags::default() };
    for (allowed, status) in [(None, 200), (Some(vec!["poet".to_owned()]), 200), (Some(Vec::new()), 403)] {
        let engine = answering();
        let constraints = Constraints { adapters: allowed, ..Constraints::default() };
        let gate = FakeGate { constraints, tags: tags.clone(), ..FakeGate::default() };
        let answered = answer(&app(&engine, &gate), chat(&json!({}))).await;
        assert_eq!(answered.status.as_u16(), status, "{}", answered.body);
        if status == 200 {
            assert_eq!(engine.tags.lock().unwrap()[0].adapter, tags.adapter);
        } else {
            assert_eq!(answered.error()["code"], "adapter_not_allowed");
        }
    }
}

/// A gate whose rate limiters have something to say in every response.
fn limiting() -> FakeGate {
    let headers = [("x-ratelimit-remaining-requests", "9"), ("content-length", "1"), ("x-bad", "a\nb")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    FakeGate { admission: Admission { headers }, ..FakeGate::default() }
}

#[track_caller]
fn assert_limits(answered: &Answered) {
    assert_eq!(answered.header("x-ratelimit-remaining-requests"), "9");
    assert!(!answered.headers.contains_key("x-bad") && answered.header("content-length") != "1");
}

#[tokio::test]
async fn what_rate_limiters_say_is_on_every_response_after_them() {
    for route in &ROUTES {
        assert_limits(&answer(&app(&answering(), &limiting()), good(route)).await);
    }
    assert_limits(&answer(&app(&answering(), &limiting()), chat(&json!({ "stream": true }))).await);

    let full = answering();
    *full.refuses_to_start.lock().unwrap() = Some(EngineError::Overloaded { waiting: 1 });
    let answered = answer(&app(&full, &limiting()), chat(&json!({}))).await;
    assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_limits(&answered);

    let failing = FakeEngine::says(vec![Event::Failed(EngineError::Internal("broken".to_owned()))]);
    let answered = answer(&app(&failing, &limiting()), chat(&json!({}))).await;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_limits(&answered);

    let gate = FakeGate { refuses: Some((Phase::Tag, denial(Phase::Tag))), ..limiting() };
    let answered = answer(&app(&answering(), &gate), chat(&json!({}))).await;
    assert_eq!(answered.status, StatusCode::FORBIDDEN);
    assert_limits(&answered);

    let missing = answer(&app(&answering(), &limiting()), request("GET", "/v1/models/gone", "")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_limits(&missing);
}

#[tokio::test]
async fn an_answers_own_header_goes_before_an_admissions() {
    let headers = vec![("retry-after".to_owned(), "77".to_owned())];
    let gate = FakeGate { admission: Admission { headers }, ..FakeGate::default() };
    let full = answering();
    *full.refuses_to_start.lock().unwrap() = Some(EngineError::Overloaded { waiting: 1 });
    let answered = answer(&app(&full, &gate), chat(&json!({}))).await;
    assert_eq!(answered.headers.get_all("retry-after").iter().collect::<Vec<_>>(), ["1"]);
}
