use axum::http::StatusCode;
use mlx_gate_core::{FinishReason, Prompt};
use serde_json::json;

use super::fakes::{FakeEngine, answer, app, finished, post, stable, started, text};

const PATH: &str = "/v1/completions";

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let engine = FakeEngine::says(vec![started(), text(" upon"), text(" a"), finished(FinishReason::Stop)]);
    let body = json!({ "prompt": "Once", "max_tokens": 2, "echo": false, "best_of": 1 });
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    assert_eq!(
        stable(&answered.body),
        concat!(
            r#"{"id":"cmpl-..","object":"text_completion","created":0,"model":"demo","system_fingerprint":"fp_..","choices":[{"index":0,"#,
            r#""text":" upon a","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"#,
            r#""completion_tokens":5,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":1},"#,
            r#""completion_tokens_details":{"reasoning_tokens":2}}}"#
        )
    );
}

#[tokio::test]
async fn a_stream_has_openais_shape() {
    let engine = FakeEngine::says(vec![started(), text(" upon"), finished(FinishReason::Stop)]);
    let body = json!({ "prompt": "Once", "stream": true });
    let answered = answer(&app(&engine), post(PATH, &body)).await;
    let chunk = |text: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"cmpl-..\",\"object\":\"text_completion\",\"created\":0,\"model\":\"demo\",\"system_fingerprint\":\"fp_..\",\
             \"choices\":[{{\"index\":0,\"text\":\"{text}\",\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let expected = format!("{}{}data: [DONE]\n\n", chunk(" upon", "null"), chunk("", "\"stop\""));
    assert_eq!(stable(&answered.body), expected);
}

#[tokio::test]
async fn prompts_come_as_text_or_tokens() {
    let cases = [
        (json!("Once"), Prompt::Text("Once".to_owned())),
        (json!(["Once"]), Prompt::Text("Once".to_owned())),
        (json!([1, 2]), Prompt::Tokens(vec![1, 2])),
        (json!([[1, 2]]), Prompt::Tokens(vec![1, 2])),
    ];
    for (prompt, expected) in cases {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        let answered = answer(&app(&engine), post(PATH, &json!({ "prompt": prompt }))).await;
        assert_eq!(answered.status, StatusCode::OK, "{prompt}: {}", answered.body);
        assert_eq!(engine.asked().prompt, expected, "{prompt}");
    }
}
