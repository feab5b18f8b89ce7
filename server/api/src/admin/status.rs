use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{Admin, answer};

/// `GET /admin/status`.
pub(super) async fn show(State(admin): State<Admin>) -> Response {
    let parts = &*admin.0;
    let counted = parts.app.counters().counted();
    let gate = parts.plugins.counters();
    let plugins = parts.plugins.list();
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": u64::try_from(parts.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "draining": parts.app.admission().is_draining(),
        "in_flight": parts.app.in_flight(),
        "requests": {
            "answered": counted.answered,
            "cancelled": counted.cancelled,
            "denied": counted.denied,
            "failed": counted.failed,
        },
        "tokens": { "input": counted.input_tokens, "output": counted.output_tokens },
        "remembered": gate.remembered,
        "settled": { "reservations": gate.settled, "failures": gate.settle_failures },
        "logged": { "events": gate.logged, "dropped": gate.log_dropped, "failures": gate.log_failures },
        "generation": parts.plugins.generation(),
        "plugins": {
            "loaded": plugins.len(),
            "changes": plugins.iter().map(|plugin| plugin.changes).sum::<u64>(),
            "failures": plugins.iter().map(|plugin| plugin.failures).sum::<u64>(),
        },
    });
    answer::json(StatusCode::OK, &status)
}
