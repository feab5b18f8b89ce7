use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mlx_gate_core::{Denial, Event, FinishReason, HeaderValue, Phase, Priority, Refusal, Tags};
use serde_json::json;

use super::fakes::{self, FakeEngine, FakeGate, KEY, answer, app, app_with, post, request};
use crate::Config;
use crate::routes::ROUTES;

fn stranger(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// The table's routes, and whatever somebody may try beside them.
#[tokio::test]
async fn nothing_but_health_and_ready_answers_a_stranger() {
    let app = app(&FakeEngine::says(Vec::new()));
    let known = ROUTES.iter().map(|route| route.path.replace("{*id}", "org/model"));
    let odd = [
        "/",
        "/v1",
        "/v1/",
        "/v1/models/",
        "/v2/models",
        "/metrics",
        "/docs",
        "/admin",
        "/V1/MODELS",
        "/v1/Models",
        "//v1/models",
        "/v1//models",
        "/v1/models/../../health",
        "/v1/%6dodels",
        "/v1/chat%2Fcompletions",
        "/v1/chat/completions/",
        "/health/",
        "/Health",
        "/healthz",
        "/%68ealth",
        "/health/..",
        "/ready/",
        "/readyz",
        "/health%00",
        "/v1/models?model=health",
        "/v1/models/%ff",
        "/health;/v1/models",
    ];
    let paths = known.chain(odd.map(str::to_owned)).collect::<Vec<_>>();
    let methods =
        ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"];
    for path in &paths {
        for method in methods {
            let answered = answer(&app, stranger(method, path)).await;
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answered.header("www-authenticate"), "Bearer realm=\"test\"", "{method} {path}");
            assert!(answered.header("x-request-id").starts_with("req_"), "{method} {path}");
        }
    }
    for path in ["/health", "/ready"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(answer(&app, stranger(method, path)).await.status, StatusCode::OK, "{method} {path}");
        }
        for method in ["POST", "OPTIONS", "DELETE", "PROPFIND", "get"] {
            let answered = answer(&app, stranger(method, path)).await;
            assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_route_of_the_table_answers_a_known_caller() {
    for route in &ROUTES {
        let app = app(&FakeEngine::says(Vec::new()));
        let path = route.path.replace("{*id}", "org/plain");
        let answered = answer(&app, request(route.method.as_str(), &path, "{}")).await;
        assert!(![401, 404, 405].contains(&answered.status.as_u16()), "{path}: {}", answered.status);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_too() {
    let app = app(&FakeEngine::says(Vec::new()));
    let unknown = answer(&app, request("GET", "/v1/unknown", "")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.error()["code"], "unknown_url");
    assert!(unknown.error()["message"].as_str().unwrap().contains("POST /v1/chat/completions"));

    let method = answer(&app, request("GET", "/v1/chat/completions", "")).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.error()["code"], "method_not_allowed");
    assert_eq!(method.header("allow"), "POST");
}

#[tokio::test]
async fn refusals_become_answers() {
    let denial = |status| Denial {
        status,
        code: "quota".to_owned(),
        message: "come back tomorrow".to_owned(),
        challenge: None,
        retry_after_ms: Some(1500),
        headers: vec![
            ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
            ("content-length".to_owned(), "1".to_owned()),
            ("x-bad".to_owned(), "line\nbreak".to_owned()),
        ],
    };
    let denied = |status| Refusal::Denied {
        plugin: "limits".to_owned(),
        phase: Phase::Authenticate,
        denial: denial(status),
    };
    let cases = [
        (Refusal::Unauthenticated { challenges: Vec::new() }, 401, "authentication_error", "invalid_api_key"),
        (
            Refusal::AmbiguousCredentials { message: "two keys".to_owned() },
            400,
            "invalid_request_error",
            "ambiguous_credentials",
        ),
        (Refusal::NotAllowed, 403, "permission_error", "permission_denied"),
        (denied(429), 429, "rate_limit_error", "quota"),
        (denied(403), 403, "permission_error", "quota"),
        (denied(401), 401, "authentication_error", "quota"),
        (denied(200), 503, "server_error", "plugin_unavailable"),
        (denied(0), 503, "server_error", "plugin_unavailable"),
        (
            Refusal::Unavailable {
                plugin: "limits".to_owned(),
                phase: Phase::Authenticate,
                cause: "secret cause".to_owned(),
            },
            503,
            "server_error",
            "plugin_unavailable",
        ),
    ];
    for (refusal, status, kind, code) in cases {
        let label = format!("{refusal:?}");
        let engine = FakeEngine::says(Vec::new());
        let gate = FakeGate::refusing(Phase::Authenticate, refusal);
        let answered =
            answer(&app_with(&engine, gate, Config::default()), request("GET", "/v1/models", "")).await;
        assert_eq!(answered.status.as_u16(), status, "{label}");
        assert_eq!(answered.error()["type"], kind, "{label}");
        assert_eq!(answered.error()["code"], code, "{label}");
        assert!(!answered.body.contains("secret cause"), "{label}");
        assert_eq!(answered.headers.contains_key("www-authenticate"), status == 401, "{label}");
        if code == "quota" {
            assert_eq!(answered.header("retry-after"), "2", "{label}");
            assert_eq!(answered.header("x-ratelimit-remaining"), "0", "{label}");
            assert!(!answered.headers.contains_key("x-bad"), "{label}");
            assert_eq!(answered.header("content-type"), "application/json", "{label}");
        }
    }
}

/// The body would never end; the answer comes all the same.
#[tokio::test]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let app = app(&FakeEngine::says(Vec::new()));
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/v1/chat/completions").body(endless).unwrap();
    assert_eq!(answer(&app, request).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_plugins_see_the_head_as_it_came() {
    let gate = FakeGate::default();
    let seen = Arc::clone(&gate.seen);
    let engine = FakeEngine::says(Vec::new());
    let mut request = request("GET", "/v1/models/a?key=secret", "");
    request.headers_mut().insert("X-Raw", axum::http::HeaderValue::from_bytes(b"\xff").unwrap());
    request.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let answered = answer(&app_with(&engine, gate, Config::default()), request).await;
    assert_eq!(answered.header("x-request-id"), "mine-1");

    let heads = seen.heads.lock().unwrap();
    let [head] = heads.as_slice() else { panic!("one request, {} heads", heads.len()) };
    assert_eq!(head.id, "mine-1");
    assert_eq!((head.method.as_str(), head.path.as_str()), ("GET", "/v1/models/a"));
    assert!(head.headers.contains(&("x-raw".to_owned(), HeaderValue::NotUtf8)));
    assert!(!format!("{head:?}").contains(KEY));
}

#[tokio::test]
async fn request_ids_that_could_break_a_log_are_replaced() {
    let app = app(&FakeEngine::says(Vec::new()));
    for bad in ["", "two words", "quote\"", "semi;colon", &"x".repeat(129)] {
        let mut request = request("GET", "/v1/models", "");
        request.headers_mut().insert("x-request-id", bad.parse().unwrap());
        let answered = answer(&app, request).await;
        assert!(answered.header("x-request-id").starts_with("req_"), "{bad:?}");
    }
}

#[tokio::test]
async fn tags_reach_the_engine_whatever_the_client_claims() {
    let engine = FakeEngine::says(vec![Event::Text("hi".to_owned()), fakes::finished(FinishReason::Stop)]);
    let tags = Tags { tenant: Some("acme".to_owned()), priority: Priority::Batch, ..Tags::default() };
    let gate = FakeGate { tags: tags.clone(), ..FakeGate::default() };
    let mut request =
        post("/v1/chat/completions", &json!({ "messages": [{ "role": "user", "content": "x" }] }));
    request.headers_mut().insert("x-tenant-id", "mallory".parse().unwrap());
    request.headers_mut().insert("x-priority", "high".parse().unwrap());
    answer(&app_with(&engine, gate, Config::default()), request).await;
    assert_eq!(*engine.tags.lock().unwrap(), [tags]);
}

#[tokio::test]
async fn without_an_authenticator_callers_are_anonymous() {
    let engine = FakeEngine::says(Vec::new());
    let gate = FakeGate { open: true, ..FakeGate::default() };
    let app = app_with(&engine, gate, Config::default());
    assert_eq!(answer(&app, stranger("GET", "/v1/models")).await.status, StatusCode::OK);
}

#[test]
fn credentials_and_claimed_identities_are_taken_out() {
    let mut headers = axum::http::HeaderMap::new();
    let names =
        ["authorization", "x-api-key", "cookie", "x-special-key", "x-tenant-id", "x-priority", "accept"];
    for name in names {
        headers.append(name, KEY.parse().unwrap());
        headers.append(name, KEY.parse().unwrap());
    }
    crate::gate::strip(&mut headers, &["x-special-key".to_owned()]);
    assert_eq!(headers.keys().map(axum::http::HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
}
