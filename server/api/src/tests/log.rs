use std::cell::RefCell;
use std::fmt::Write;
use std::io;
use std::sync::Once;

use axum::body::Body;
use axum::http::Request;
use mlx_gate_core::{EngineError, Event, FinishReason, Phase, Refusal, Tags};
use serde_json::{Value, json};

use super::fakes::{
    FakeEngine, FakeGate, KEY, answer, app, app_with, finished, post, reasoning, request, send, started, text,
};
use crate::Config;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Everything logged on this thread, down to the finest level. One subscriber serves all tests and sorts by thread: with
/// one for each, tracing may decide about a line's interest on a thread that has none.
struct Captured;

impl Captured {
    fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_max_level(tracing::Level::TRACE)
                .with_writer(|| Captured)
                .init();
        });
        LINES.take();
        Self
    }

    #[expect(clippy::unused_self, reason = "having started is what there is to read from")]
    fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
    }

    /// The line of the only request.
    fn line(&self) -> Value {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains("mlx_gate::request")).collect::<Vec<_>>();
        let [line] = lines.as_slice() else { panic!("not one line: {text}") };
        serde_json::from_str(line).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ask(stream: bool) -> Request<Body> {
    let body = json!({
        "messages": [{ "role": "user", "content": "marker-prompt" }], "stream": stream, "user": "bob",
    });
    post("/v1/chat/completions?key=marker-query", &body)
}

#[tokio::test]
async fn one_line_says_what_became_of_a_request() {
    for stream in [false, true] {
        let captured = Captured::start();
        let engine =
            FakeEngine::says(vec![started(), reasoning("hm"), text("Hi"), finished(FinishReason::Length)]);
        let labels = vec![("team".to_owned(), "a b".to_owned()), ("env".to_owned(), "prod".to_owned())];
        let gate = FakeGate { tags: Tags { labels, ..Tags::default() }, ..FakeGate::default() };
        let answered = answer(&app_with(&engine, gate, Config::default()), ask(stream)).await;
        let line = captured.line();
        let expected = json!({
            "level": "INFO", "id": answered.header("x-request-id"), "method": "POST",
            "route": "/v1/chat/completions", "api": "chat", "status": 200, "outcome": "length",
            "principal": "alice", "tenant": "acme", "end_user": "bob", "model": "demo", "stream": stream,
            "prompt_tokens": 3, "cached_tokens": 1, "completion_tokens": 5, "queue_ms": 3.0,
            "priority": "normal", "labels": r#"team="a b" env="prod""#, "generation": 7,
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key} of {line}");
        }
        assert!(line["ttft_ms"].as_f64().unwrap() <= line["total_ms"].as_f64().unwrap());
        for absent in ["adapter", "refused_by", "code", "cause"] {
            assert!(line.get(absent).is_none(), "{absent} of {line}");
        }
    }
}

#[tokio::test]
async fn a_path_is_logged_as_its_template() {
    let captured = Captured::start();
    answer(&app(&FakeEngine::says(Vec::new())), request("GET", "/v1/models/org/plain", "")).await;
    let line = captured.line();
    assert_eq!((&line["route"], &line["outcome"]), (&json!("/v1/models/{*id}"), &json!("ok")));

    let captured = Captured::start();
    answer(&app(&FakeEngine::says(Vec::new())), request("GET", "/marker-path", "")).await;
    assert!(captured.line().get("route").is_none());
    assert!(!captured.text().contains("marker-path"));
}

#[tokio::test]
async fn a_client_that_leaves_is_logged_as_such() {
    let captured = Captured::start();
    let (engine, _says) = FakeEngine::held();
    drop(send(&app(&engine), ask(true)).await);
    let line = captured.line();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("cancelled"), &json!(200)));

    let captured = Captured::start();
    let (engine, _says) = FakeEngine::held();
    let app = app(&engine);
    let mut answering = Box::pin(send(&app, ask(false)));
    assert!(futures_util::FutureExt::now_or_never(answering.as_mut()).is_none());
    drop(answering);
    let line = captured.line();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("cancelled"), &json!(499)));
}

#[tokio::test]
async fn refusals_and_failures_say_who_and_why() {
    let captured = Captured::start();
    let refusal = Refusal::Unavailable {
        plugin: "keys".to_owned(),
        phase: Phase::Authenticate,
        cause: "it trapped".to_owned(),
    };
    let gate = FakeGate::refusing(Phase::Authenticate, refusal);
    answer(&app_with(&FakeEngine::says(Vec::new()), gate, Config::default()), ask(false)).await;
    let line = captured.line();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("denied"), &json!(503)));
    assert_eq!((&line["refused_by"], &line["cause"]), (&json!("authenticate/keys"), &json!("it trapped")));
    assert_eq!(line["level"], "ERROR");

    let captured = Captured::start();
    let failed = Event::Failed(EngineError::Internal("no memory".to_owned()));
    answer(&app(&FakeEngine::says(vec![text("Hi"), failed])), ask(true)).await;
    let line = captured.line();
    assert_eq!((&line["outcome"], &line["status"]), (&json!("error"), &json!(200)));
    assert_eq!((&line["code"], &line["cause"]), (&json!("internal_error"), &json!("no memory")));
}

#[tokio::test]
async fn credentials_prompts_and_queries_are_never_seen() {
    let captured = Captured::start();
    let mut answers = String::new();
    let carriers =
        ["authorization", "x-api-key", "cookie", "proxy-authorization", "x-special-key", "x-other"];
    for carrier in carriers {
        for value in [format!("Bearer {KEY}"), format!("Basic {KEY}"), KEY.to_owned()] {
            for path in ["/v1/chat/completions?key=marker-query", "/v1/models", "/nowhere"] {
                let engine = FakeEngine::says(vec![text("Hi"), finished(FinishReason::Stop)]);
                let mut request = ask(true);
                *request.uri_mut() = path.parse().unwrap();
                request.headers_mut().remove("authorization");
                request.headers_mut().insert(carrier, value.parse().unwrap());
                let answered = answer(&app(&engine), request).await;
                write!(answers, "{:?}{}", answered.headers, answered.body).unwrap();
            }
        }
    }
    let log = captured.text();
    assert_eq!(log.lines().count(), carriers.len() * 9);
    for marker in [KEY, "marker-prompt", "marker-query"] {
        assert!(!log.contains(marker) && !answers.contains(marker), "{marker}");
    }
}
