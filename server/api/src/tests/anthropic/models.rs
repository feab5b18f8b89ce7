use axum::http::StatusCode;
use serde_json::{Value, json};

use super::from_client;
use crate::tests::fakes::{FakeEngine, answer, app, request};

#[tokio::test]
async fn models_have_the_shape_of_whoever_asks() {
    let app = app(&FakeEngine::says(Vec::new()));
    let demo = json!({
        "type": "model", "id": "demo", "display_name": "demo", "created_at": "2023-11-14T22:13:20Z",
        "lifecycle": "active", "max_input_tokens": 4096,
    });
    let listed = answer(&app, from_client(request("GET", "/v1/models", ""))).await.json();
    assert_eq!(listed["data"][0], demo);
    assert_eq!(listed["data"][1]["id"], "org/plain");
    assert_eq!(
        (&listed["has_more"], &listed["first_id"], &listed["last_id"]),
        (&json!(false), &json!("demo"), &json!("org/plain"))
    );
    assert_eq!(answer(&app, from_client(request("GET", "/v1/models/demo", ""))).await.json(), demo);
    assert_eq!(answer(&app, request("GET", "/v1/models/demo", "")).await.json()["object"], "model");
}

#[tokio::test]
async fn models_come_in_pages() {
    let app = app(&FakeEngine::says(Vec::new()));
    for (query, ids, more) in [
        ("limit=1", json!(["demo"]), true),
        ("limit=1&after_id=demo", json!(["org/plain"]), false),
        ("after_id=org%2Fplain", json!([]), false),
        ("before_id=org/plain&limit=1", json!(["demo"]), false),
        ("before_id=demo", json!([]), false),
    ] {
        let path = format!("/v1/models?{query}");
        let page = answer(&app, from_client(request("GET", &path, ""))).await.json();
        let found = page["data"].as_array().unwrap().iter().map(|model| model["id"].clone());
        assert_eq!(Value::Array(found.collect()), ids, "{query}");
        assert_eq!(page["has_more"], more, "{query}");
    }
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after_id=other", "after_id"),
        ("after_id=demo&before_id=demo", "before_id"),
        ("page=2", "page"),
    ] {
        let path = format!("/v1/models?{query}");
        let answered = answer(&app, from_client(request("GET", &path, ""))).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answered.error()["details"]["param"], param, "{query}");
    }
}
