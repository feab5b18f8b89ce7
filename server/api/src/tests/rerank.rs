//! Rerank and score.

use axum::http::StatusCode;
use mlx_gate_core::{EncodeInput, EncodeTask, Phase};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, post};
use crate::Config;

/// What the route answers, where three pairs have these scores.
async fn answered(path: &str, body: &Value) -> Value {
    let engine = FakeEngine::says(Vec::new());
    *engine.vectors.lock().unwrap() = Some(vec![vec![0.25], vec![0.75], vec![0.25]]);
    let answered = answer(&app(&engine), post(path, body)).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    let mut json = answered.json();
    let id = json.as_object_mut().unwrap().shift_remove("id").unwrap();
    assert_eq!(id.as_str().unwrap().rsplit('-').next().unwrap().len(), 32, "{id}");
    json
}

#[tokio::test]
async fn documents_come_in_the_order_of_their_scores() {
    for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
        let body = json!({ "model": "demo", "query": "q", "documents": ["a", { "text": "b" }, "c"] });
        let expected = json!({
            "model": "demo",
            "usage": { "prompt_tokens": 9, "total_tokens": 9 },
            "results": [
                { "index": 1, "document": { "text": "b" }, "relevance_score": 0.75 },
                { "index": 0, "document": { "text": "a" }, "relevance_score": 0.25 },
                { "index": 2, "document": { "text": "c" }, "relevance_score": 0.25 },
            ],
        });
        assert_eq!(answered(path, &body).await, expected);
    }
}

#[tokio::test]
async fn a_ranking_can_be_cut_and_given_without_documents() {
    let rank = async |more: Value| {
        let mut body = json!({ "query": "q", "documents": ["a", "b", "c"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answered("/v1/rerank", &body).await["results"].clone()
    };
    let best = json!([{ "index": 1, "relevance_score": 0.75 }]);
    assert_eq!(rank(json!({ "top_n": 1, "return_documents": false })).await, best);
    for all in [0, 3, 7] {
        assert_eq!(rank(json!({ "top_n": all })).await.as_array().unwrap().len(), 3, "{all}");
    }
}

#[tokio::test]
async fn scores_come_in_the_order_of_the_texts() {
    for path in ["/v1/score", "/score"] {
        let mut json = answered(path, &json!({ "text_1": "q", "text_2": ["a", "b", "c"] })).await;
        assert!(json.as_object_mut().unwrap().shift_remove("created").unwrap().as_u64().is_some());
        let expected = json!({
            "object": "list",
            "model": "demo",
            "data": [
                { "index": 0, "object": "score", "score": 0.25 },
                { "index": 1, "object": "score", "score": 0.75 },
                { "index": 2, "object": "score", "score": 0.25 },
            ],
            "usage": { "prompt_tokens": 9, "total_tokens": 9 },
        });
        assert_eq!(json, expected);
    }
}

#[tokio::test]
async fn texts_are_paired_one_with_all_or_each_with_each() {
    let pair = |first: &str, second: &str| EncodeInput::Pair(first.to_owned(), second.to_owned());
    for (path, body, pairs) in [
        ("/v1/score", json!({ "text_1": "q", "text_2": "a" }), vec![pair("q", "a")]),
        ("/v1/score", json!({ "text_1": ["q"], "text_2": ["a", "b"] }), vec![pair("q", "a"), pair("q", "b")]),
        (
            "/v1/score",
            json!({ "queries": ["q", "r"], "items": ["a", "b"] }),
            vec![pair("q", "a"), pair("r", "b")],
        ),
        ("/v1/score", json!({ "queries": "q", "documents": ["a"] }), vec![pair("q", "a")]),
        ("/v1/score", json!({ "data_1": "q", "data_2": ["a"] }), vec![pair("q", "a")]),
        (
            "/v1/rerank",
            json!({ "query": "q", "documents": ["a", "b"] }),
            vec![pair("q", "a"), pair("q", "b")],
        ),
    ] {
        let (engine, gate) = (FakeEngine::says(Vec::new()), FakeGate::default());
        let answered = answer(&app_with(&engine, gate.clone(), Config::default()), post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        let asked = engine.to_encode.lock().unwrap().pop().unwrap();
        assert_eq!((asked.task, asked.inputs), (EncodeTask::Score, pairs), "{body}");
        assert_eq!(gate.seen.operation(Phase::Authorize).api.as_str(), path.trim_start_matches("/v1/"));
    }
}
