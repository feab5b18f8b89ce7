use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use mlx_gate_core::{
    BoxFuture, FunctionCalls, GateCounters, Phase, PluginAdmin, PluginChange, PluginChangeError, PluginState,
    Secret,
};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::guard::Door;
use super::{Admin, plugins};
use crate::peer::Peer;
use crate::tests::fakes::{self, Answered, FakeEngine, answer, app, post, read, request};

const KEY: &str = "marker-admin-key-7f3a";

/// One plugin, and what was asked to be done to it.
#[derive(Default)]
struct FakePlugins {
    changes: Mutex<Vec<(String, PluginChange)>>,
}

fn state() -> PluginState {
    PluginState {
        id: "keys".to_owned(),
        name: "auth_static_keys".to_owned(),
        version: "0.1.0".to_owned(),
        source: "auth_static_keys".to_owned(),
        digest: "ab".repeat(32),
        interface: "0.1.0",
        phases: vec![Phase::Authenticate, Phase::RateLimit],
        files: vec!["keys.toml".to_owned()],
        grants: vec!["kv".to_owned()],
        calls: vec![FunctionCalls {
            function: "authenticate",
            calls: 20,
            failures: 1,
            total_us: 300,
            longest_us: 90,
        }],
        generation: 3,
        since_ms: 1_700_000_000_000,
        changes: 2,
        failures: 1,
        can_roll_back: true,
        last_failure: Some((1_700_000_000_001, "it does not compile".to_owned())),
    }
}

impl PluginAdmin for FakePlugins {
    fn list(&self) -> Vec<PluginState> {
        vec![state()]
    }

    fn counters(&self) -> GateCounters {
        GateCounters {
            remembered: 10,
            settled: 11,
            settle_failures: 12,
            logged: 13,
            log_dropped: 14,
            log_failures: 15,
        }
    }

    fn generation(&self) -> u64 {
        3
    }

    fn change<'a>(
        &'a self,
        id: &'a str,
        change: PluginChange,
    ) -> BoxFuture<'a, Result<PluginState, PluginChangeError>> {
        Box::pin(async move {
            if id != "keys" {
                return Err(PluginChangeError::Unknown { id: id.to_owned(), known: vec!["keys".to_owned()] });
            }
            self.changes.lock().unwrap().push((id.to_owned(), change.clone()));
            match change {
                PluginChange::RollBack => Err(PluginChangeError::NothingBefore(id.to_owned())),
                PluginChange::Source(source) if source == "bad" => {
                    Err(PluginChangeError::Rejected("`bad` is no plugin".to_owned()))
                }
                _ => Ok(state()),
            }
        })
    }
}

/// An admin API and the plugins behind it.
fn admin(key: Option<&str>) -> (Admin, Arc<FakePlugins>) {
    let plugins = Arc::new(FakePlugins::default());
    let key = key.map(Secret::new);
    (Admin::new(app(&FakeEngine::says(Vec::new())), plugins.clone(), key.as_ref()), plugins)
}

async fn send(admin: &Admin, door: Door, request: Request<Body>) -> Response {
    admin.clone().router(door).oneshot(request).await.unwrap()
}

/// A request as `mlx-gate plugin` sends it.
fn asking(method: &str, path: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:8001")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body.to_owned().into())
        .unwrap()
}

async fn ask(admin: &Admin, method: &str, path: &str, body: &str) -> Answered {
    read(send(admin, Door::Address, asking(method, path, body)).await).await
}

const ROUTES: [(&str, &str, &str); 7] = [
    ("GET", "/admin/status", ""),
    ("GET", "/admin/plugins", ""),
    ("GET", "/admin/plugins/keys", ""),
    ("POST", "/admin/plugins/keys/swap", r#"{"source": "./new.wasm"}"#),
    ("POST", "/admin/plugins/keys/reload", ""),
    ("POST", "/admin/plugins/keys/rollback", ""),
    ("PUT", "/admin/plugins/keys/options", r#"{"file": "keys.toml"}"#),
];

#[tokio::test]
async fn nothing_answers_without_the_key() {
    let odd = [
        ("GET", "/", ""),
        ("GET", "/admin", ""),
        ("DELETE", "/admin/plugins", ""),
        ("GET", "/v1/models", ""),
    ];
    for (method, path, body) in ROUTES.into_iter().chain(odd) {
        for door in [Door::Address, Door::Socket] {
            // Each has its own count of wrong keys.
            let (admin, plugins) = admin(Some(KEY));
            for presented in
                ["", "Bearer", "Bearer ", "Bearer wrong", "Basic eA==", KEY, &format!("Bearer {KEY} ")]
            {
                let mut request = asking(method, path, body);
                request.headers_mut().insert("authorization", presented.parse().unwrap());
                let answered = read(send(&admin, door, request).await).await;
                // A header's value has no white space at its ends: what comes over a socket would be trimmed.
                assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{method} {path} {presented:?}");
                assert_eq!(answered.header("www-authenticate"), "Bearer");
                assert_eq!(answered.error()["code"], "invalid_admin_key");
            }
            let mut twice = asking(method, path, body);
            twice.headers_mut().append("authorization", format!("Bearer {KEY}").parse().unwrap());
            assert_eq!(send(&admin, door, twice).await.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert!(plugins.changes.lock().unwrap().is_empty());
        }
    }
}

/// Says a key from an address, and gives the status and the seconds to wait.
async fn guess(admin: &Admin, from: &str, key: &str) -> (u16, Option<u64>) {
    let mut request = asking("GET", "/admin/status", "");
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request.extensions_mut().insert(Peer(SocketAddr::new(from.parse().unwrap(), 4711)));
    let answered = read(send(admin, Door::Address, request).await).await;
    if answered.status == StatusCode::TOO_MANY_REQUESTS {
        assert_eq!(answered.error()["code"], "too_many_attempts");
    }
    (answered.status.as_u16(), answered.header("retry-after").parse().ok())
}

#[tokio::test(start_paused = true)]
async fn guesses_from_one_place_are_bounded_and_hold_up_nobody_else() {
    let (admin, _) = admin(Some(KEY));
    // An IPv6 host has all the addresses of its network.
    for (one, another) in [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:1")] {
        for nth in 0..10 {
            assert_eq!(guess(&admin, one, "wrong").await, (401, None), "{nth}");
            // What is no guess costs nothing, and neither does the right key.
            assert_eq!(guess(&admin, "198.51.100.1", KEY).await, (200, None));
        }
        for key in ["wrong", KEY] {
            assert_eq!(guess(&admin, one, key).await, (429, Some(6)));
            assert_eq!(guess(&admin, another, key).await, (429, Some(6)));
        }
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(guess(&admin, another, "wrong").await, (401, None));
        assert_eq!(guess(&admin, one, KEY).await, (429, Some(6)));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(guess(&admin, one, KEY).await, (200, None));
    }
}

#[tokio::test(start_paused = true)]
async fn guesses_from_everywhere_are_bounded_and_do_not_lock_the_admin_out() {
    let (admin, _) = admin(Some(KEY));
    assert_eq!(guess(&admin, "192.0.2.1", KEY).await, (200, None));
    let mut heard = 0;
    for nth in 0..200 {
        let from = format!("2001:db8:0:{nth:x}::1");
        let (status, wait) = guess(&admin, &from, "wrong").await;
        assert!(matches!((status, wait), (401, None) | (429, Some(1))), "{nth}: {status} {wait:?}");
        heard += u32::from(status == 401);
    }
    assert_eq!(heard, 100);
    assert_eq!(guess(&admin, "198.51.100.1", KEY).await, (429, Some(1)), "an address that nobody knows");
    assert_eq!(guess(&admin, "192.0.2.1", KEY).await, (200, None));
}

#[tokio::test]
async fn without_a_key_only_the_socket_is_open() {
    let (admin, _) = admin(None);
    for (method, path, body) in ROUTES {
        let answered = send(&admin, Door::Address, asking(method, path, body)).await;
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED, "{path}");
        let mut bare = asking(method, path, body);
        bare.headers_mut().remove("authorization");
        let answered = send(&admin, Door::Socket, bare).await;
        assert_ne!(answered.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn web_pages_are_kept_out() {
    let (admin, plugins) = admin(Some(KEY));
    for (method, path, body) in ROUTES {
        for (name, value, status) in [
            ("origin", "http://localhost:3000", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "same-origin", 403),
            ("host", "rebound.example:8001", 421),
            ("host", "", 421),
        ] {
            let mut request = asking(method, path, body);
            request.headers_mut().insert(name, value.parse().unwrap());
            let answered = read(send(&admin, Door::Address, request).await).await;
            assert_eq!(answered.status.as_u16(), status, "{method} {path} {name}: {value}");
            assert!(!answered.headers.keys().any(|name| name.as_str().starts_with("access-control")));
        }
        let mut preflight = asking("OPTIONS", path, "");
        preflight.headers_mut().insert("origin", "http://x".parse().unwrap());
        assert_eq!(send(&admin, Door::Address, preflight).await.status(), StatusCode::FORBIDDEN);
    }
    assert!(plugins.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_plugin_is_shown_with_everything_but_its_options() {
    let (admin, _) = admin(Some(KEY));
    let expected = json!({
        "id": "keys", "name": "auth_static_keys", "version": "0.1.0", "source": "auth_static_keys",
        "digest": "ab".repeat(32), "interface": "0.1.0", "phases": ["authenticate", "rate-limit"],
        "files": ["keys.toml"], "grants": ["kv"],
        "calls": { "authenticate": { "calls": 20, "failures": 1, "total_us": 300, "longest_us": 90 } },
        "generation": 3, "since_ms": 1_700_000_000_000_u64,
        "changes": 2, "failures": 1, "can_roll_back": true,
        "last_failure": { "at_ms": 1_700_000_000_001_u64, "reason": "it does not compile" },
    });
    let list = ask(&admin, "GET", "/admin/plugins", "").await;
    assert_eq!(list.json(), json!({ "generation": 3, "plugins": [expected] }));
    assert_eq!(list.header("cache-control"), "no-store");
    assert_eq!(ask(&admin, "GET", "/admin/plugins/keys", "").await.json(), expected);
    let missing = ask(&admin, "GET", "/admin/plugins/gone", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let message = "there is no plugin `gone`; there are: keys";
    assert_eq!(missing.error(), json!({ "code": "unknown_plugin", "message": message }));
}

#[tokio::test]
async fn changes_reach_the_plugin_and_say_what_became_of_them() {
    let (admin, plugins) = admin(Some(KEY));
    for (method, path, body) in &ROUTES[3..] {
        let answered = ask(&admin, method, path, body).await;
        let expected = if path.ends_with("rollback") { StatusCode::CONFLICT } else { StatusCode::OK };
        assert_eq!(answered.status, expected, "{path}: {}", answered.body);
    }
    let options = Map::from_iter([("file".to_owned(), Value::from("keys.toml"))]);
    let expected = [
        PluginChange::Source("./new.wasm".to_owned()),
        PluginChange::Reload,
        PluginChange::RollBack,
        PluginChange::Options(options),
    ];
    assert_eq!(*plugins.changes.lock().unwrap(), expected.map(|change| ("keys".to_owned(), change)));

    let rejected = ask(&admin, "POST", "/admin/plugins/keys/swap", r#"{"source": "bad"}"#).await;
    assert_eq!(rejected.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(rejected.error(), json!({ "code": "rejected", "message": "`bad` is no plugin" }));
    let unknown = ask(&admin, "POST", "/admin/plugins/gone/reload", "").await;
    assert_eq!((unknown.status, &unknown.error()["code"]), (StatusCode::NOT_FOUND, &json!("unknown_plugin")));
}

#[tokio::test]
async fn bodies_are_bounded_and_checked() {
    let (admin, plugins) = admin(Some(KEY));
    let long = format!(r#"{{"source": "{}"}}"#, "x".repeat(plugins::LONGEST_SOURCE + 1));
    let large = format!(r#"{{"source": "{}"}}"#, "x".repeat(plugins::LARGEST));
    for (path, body, status, code) in [
        ("swap", "", 400, "invalid_json"),
        ("swap", "[]", 400, "invalid_body"),
        ("swap", "{}", 400, "invalid_body"),
        ("swap", r#"{"source": ""}"#, 400, "invalid_body"),
        ("swap", r#"{"source": 1}"#, 400, "invalid_body"),
        ("swap", r#"{"source": "x", "force": true}"#, 400, "invalid_body"),
        ("swap", &long, 400, "invalid_body"),
        ("swap", &large, 413, "request_too_large"),
        ("options", "null", 400, "invalid_body"),
    ] {
        let method = if path == "swap" { Method::POST } else { Method::PUT };
        let answered = ask(&admin, method.as_str(), &format!("/admin/plugins/keys/{path}"), body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(answered.status.as_u16(), status, "{path} {shown}");
        assert_eq!(answered.error()["code"], code, "{path} {shown}");
    }
    let mut untyped = asking("POST", "/admin/plugins/keys/swap", r#"{"source": "x"}"#);
    untyped.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(send(&admin, Door::Address, untyped).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(plugins.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_status_counts_requests_by_what_became_of_them() {
    let engine = FakeEngine::says(vec![fakes::finished(mlx_gate_core::FinishReason::Stop)]);
    let app = app(&engine);
    let admin = Admin::new(app.clone(), Arc::new(FakePlugins::default()), Some(&Secret::new(KEY)));
    let chat = json!({ "messages": [{ "role": "user", "content": "x" }] });
    answer(&app, post("/v1/chat/completions", &chat)).await;
    answer(&app, request("GET", "/v1/models", "")).await;
    answer(&app, request("GET", "/nowhere", "")).await;
    let stranger = Request::get("/v1/models").body(Body::empty()).unwrap();
    answer(&app, stranger).await;

    let mut status = ask(&admin, "GET", "/admin/status", "").await.json();
    assert!(status["uptime_ms"].take().is_u64() && status["version"].take().is_string());
    assert_eq!(
        status,
        json!({
            "version": null, "uptime_ms": null, "draining": false, "in_flight": 0,
            "requests": { "answered": 2, "cancelled": 0, "denied": 1, "failed": 1 },
            "tokens": { "input": 3, "output": 5 },
            "remembered": 10,
            "settled": { "reservations": 11, "failures": 12 },
            "logged": { "events": 13, "dropped": 14, "failures": 15 },
            "generation": 3, "plugins": { "loaded": 1, "changes": 2, "failures": 1 },
        })
    );
}

#[tokio::test]
async fn other_routes_and_methods_are_json_errors() {
    let (admin, _) = admin(Some(KEY));
    let unknown = ask(&admin, "GET", "/admin/nothing", "").await;
    assert_eq!((unknown.status, &unknown.error()["code"]), (StatusCode::NOT_FOUND, &json!("unknown_url")));
    let method = ask(&admin, "DELETE", "/admin/plugins/keys", "").await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.error()["code"], "method_not_allowed");
}
