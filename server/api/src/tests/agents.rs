//! Requests of well-known agents, as their public sources build them or as they themselves sent them, cut short: accepted, and
//! answered in the order they expect.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use mlx_gate_core::{FinishReason, Prompt};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, answer, app, call, finished, post, reasoning, started, text};

macro_rules! recorded {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!("agents/", $file)))),*]
    };
}

const RECORDED: [(&str, &str); 8] = recorded![
    "aider.json",
    "claude_code.json",
    "claude_code_print.json",
    "claude_code_title.json",
    "codex.json",
    "codex_exec.json",
    "continue.json",
    "continue_cli.json",
];

/// The kinds of events in a stream, those of one kind in a row once where they carry no name.
fn kinds(body: &str) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for event in body.split_terminator("\n\n") {
        if let Some((name, _)) = event.strip_prefix("event: ").and_then(|event| event.split_once('\n')) {
            kinds.push(name.to_owned());
        } else {
            let data = event.strip_prefix("data: ").unwrap();
            let object =
                |data: &str| serde_json::from_str::<Value>(data).ok()?["object"].as_str().map(str::to_owned);
            let kind = object(data).unwrap_or_else(|| data.to_owned());
            if kinds.last() != Some(&kind) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

#[tokio::test]
async fn agents_are_understood_and_answered_in_order() {
    for (file, recorded) in RECORDED {
        let recorded: Value =
            serde_json::from_str(recorded).unwrap_or_else(|error| panic!("{file}: {error}"));
        let engine = FakeEngine::says(vec![
            started(),
            reasoning("hm"),
            text("Let me look."),
            call(0, Some(("call_9", "look")), "{}"),
            finished(FinishReason::ToolCalls),
        ]);
        let mut request = post(recorded["path"].as_str().unwrap(), &recorded["body"]);
        for (name, value) in recorded["headers"].as_object().unwrap() {
            let name = HeaderName::try_from(name).unwrap();
            request.headers_mut().insert(name, HeaderValue::try_from(value.as_str().unwrap()).unwrap());
        }
        let answered = answer(&app(&engine), request).await;
        assert_eq!(answered.status, StatusCode::OK, "{file}: {}", answered.body);
        assert_eq!(json!(kinds(&answered.body)), recorded["events"], "{file}");
        let Prompt::Chat(conversation) = engine.asked().prompt else { panic!("{file}: not a conversation") };
        let roles = conversation.messages.iter().map(|turn| turn.role.as_str()).collect::<Vec<_>>();
        assert_eq!(json!(roles), recorded["roles"], "{file}");
        assert_eq!(json!(conversation.offered_tools().len()), recorded["tools"], "{file}");
    }
}
