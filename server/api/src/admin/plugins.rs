//! The plugins: what they are, and changing them. Options are taken and never shown: they may hold secrets.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use mlx_gate_core::{FunctionCalls, PluginChange, PluginState};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Admin;
use super::answer::{self, Failure};
use crate::Config;

/// Largest body, in bytes: options may hold a policy, code never comes this way.
pub(super) const LARGEST: usize = 1024 * 1024;

/// Longest time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Longest name or path of a plugin's code, in bytes.
pub(super) const LONGEST_SOURCE: usize = 4096;

/// A plugin as the admin API shows it.
#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    version: String,
    source: String,
    digest: String,
    interface: &'static str,
    phases: Vec<&'static str>,
    files: Vec<String>,
    grants: Vec<String>,
    calls: Map<String, Value>,
    generation: u64,
    since_ms: u64,
    changes: u64,
    failures: u64,
    can_roll_back: bool,
    last_failure: Option<Value>,
}

impl From<PluginState> for Shown {
    fn from(state: PluginState) -> Self {
        Self {
            id: state.id,
            name: state.name,
            version: state.version,
            source: state.source,
            digest: state.digest,
            interface: state.interface,
            phases: state.phases.iter().map(|phase| phase.as_str()).collect(),
            files: state.files,
            grants: state.grants,
            calls: state.calls.iter().map(|calls| (calls.function.to_owned(), counted(calls))).collect(),
            generation: state.generation,
            since_ms: state.since_ms,
            changes: state.changes,
            failures: state.failures,
            can_roll_back: state.can_roll_back,
            last_failure: state
                .last_failure
                .map(|(at_ms, reason)| json!({ "at_ms": at_ms, "reason": reason })),
        }
    }
}

fn counted(calls: &FunctionCalls) -> Value {
    let FunctionCalls { calls, failures, total_us, longest_us, .. } = calls;
    json!({ "calls": calls, "failures": failures, "total_us": total_us, "longest_us": longest_us })
}

/// `GET /admin/plugins`.
pub(super) async fn list(State(admin): State<Admin>) -> Response {
    let plugins: Vec<Shown> = admin.0.plugins.list().into_iter().map(Shown::from).collect();
    answer::json(StatusCode::OK, &json!({ "generation": admin.0.plugins.generation(), "plugins": plugins }))
}

/// `GET /admin/plugins/{id}`.
pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Failure> {
    let plugins = admin.0.plugins.list();
    let known = plugins.iter().map(|plugin| plugin.id.clone()).collect();
    match plugins.into_iter().find(|plugin| plugin.id == id) {
        Some(plugin) => Ok(answer::json(StatusCode::OK, &Shown::from(plugin))),
        None => Err(mlx_gate_core::PluginChangeError::Unknown { id, known }.into()),
    }
}

/// `POST /admin/plugins/{id}/swap` with `{"source": "NAME_OR_PATH"}`.
pub(super) async fn swap(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let mut fields = object(&headers, body).await?;
    let source = match fields.remove("source") {
        Some(Value::String(source)) if fields.is_empty() && (1..=LONGEST_SOURCE).contains(&source.len()) => {
            source
        }
        _ => {
            return Err(invalid(
                "expected {\"source\": \"NAME_OR_PATH\"}, a bundled plugin's name or a path",
            ));
        }
    };
    change(&admin, id, "swap", PluginChange::Source(source)).await
}

/// `POST /admin/plugins/{id}/reload`.
pub(super) async fn reload(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Response, Failure> {
    change(&admin, id, "reload", PluginChange::Reload).await
}

/// `POST /admin/plugins/{id}/rollback`.
pub(super) async fn roll_back(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    change(&admin, id, "rollback", PluginChange::RollBack).await
}

/// `PUT /admin/plugins/{id}/options` with the plugin's own options, all of them.
pub(super) async fn options(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let options = object(&headers, body).await?;
    change(&admin, id, "options", PluginChange::Options(options)).await
}

/// Carries a change out and writes down that it was asked for. It goes on when the client hangs up: half a change is
/// nothing anybody wants.
async fn change(
    admin: &Admin,
    id: String,
    what: &'static str,
    change: PluginChange,
) -> Result<Response, Failure> {
    let plugins = admin.0.plugins.clone();
    let changing = tokio::spawn(async move {
        let outcome = plugins.change(&id, change).await;
        match &outcome {
            Ok(state) => tracing::info!(
                plugin = state.id,
                change = what,
                source = state.source,
                digest = state.digest,
                generation = state.generation,
                "an admin changed a plugin"
            ),
            Err(error) => {
                tracing::warn!(plugin = id, change = what, %error, "an admin's change of a plugin failed");
            }
        }
        outcome
    });
    let state = changing.await.map_err(|_| {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the server made a mistake while it changed the plugin; its log has more",
        )
    })??;
    Ok(answer::json(StatusCode::OK, &Shown::from(state)))
}

/// A body that is a JSON object.
async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Failure> {
    let limits = Config { max_body_bytes: LARGEST, body_timeout: BODY_TIME, ..Config::default() };
    match crate::body::json(headers, body, &limits).await? {
        Value::Object(object) => Ok(object),
        _ => Err(invalid("expected a JSON object")),
    }
}

fn invalid(message: &'static str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid_body", message)
}
