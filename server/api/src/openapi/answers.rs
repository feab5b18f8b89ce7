//! The statuses that routes answer with.

use mlx_gate_core::Dialect;
use serde_json::{Map, Value, json};

use crate::routes::Route;

/// A status other than 200, and what it means. `4XX` is whatever a plugin refuses with.
type Refusal = (&'static str, &'static str);

const REFUSALS: [Refusal; 9] = [
    ("400", "A field is missing, unknown, unsupported or out of its range; `param` names it"),
    ("401", "No valid credential was given, or it expired"),
    ("403", "The credential does not allow this"),
    ("404", "There is no such model, or this credential may not see it"),
    ("429", "Too many requests or tokens; `retry-after` says when to come back"),
    ("4XX", "A plugin of this server refused the request in its own words"),
    ("500", "The server failed; its log has more under the request's id"),
    ("503", "The queue is full, the server is shutting down, or the request could not be checked"),
    ("504", "The answer was not complete within this server's limit of time"),
];

/// Those about a request's body.
const OF_BODIES: [Refusal; 3] = [
    ("408", "The body did not arrive in time"),
    ("413", "The body is larger than this server's limit"),
    ("415", "The content-type is not `application/json`, or the content-encoding neither `gzip` nor `br`"),
];

/// Anthropic's own status.
const OVERLOADED: Refusal = ("529", "The queue is full");

/// All that a route may answer with instead of a 200, each with its meaning.
pub(super) fn refusals(route: &Route, reads_body: bool) -> Vec<Refusal> {
    let mut refusals = REFUSALS.to_vec();
    if reads_body {
        refusals.extend(OF_BODIES);
    }
    if route.dialect != Some(Dialect::OpenAi) {
        refusals.push(OVERLOADED);
    }
    refusals.sort_unstable();
    refusals
}

/// The components that hold the bodies of errors in the dialects a route may speak.
pub(super) fn error_schema(dialect: Option<Dialect>) -> Value {
    let openai = json!({ "$ref": "#/components/schemas/OpenAiError" });
    let anthropic = json!({ "$ref": "#/components/schemas/AnthropicError" });
    match dialect {
        Some(Dialect::OpenAi | Dialect::Admin) => openai,
        Some(Dialect::Anthropic) => anthropic,
        None => json!({ "anyOf": [openai, anthropic] }),
    }
}

/// The headers of an answer with this status.
pub(super) fn headers(status: &str) -> Value {
    let text = |says: &str| json!({ "description": says, "schema": { "type": "string" } });
    let mut headers = Map::new();
    headers.insert("x-request-id".to_owned(), text("The request's id, as the log has it"));
    if status == "401" {
        headers.insert("www-authenticate".to_owned(), text("How to authenticate (RFC 9110, section 11.6.1)"));
    }
    if matches!(status, "429" | "503" | "529") {
        headers
            .insert("retry-after".to_owned(), text("Seconds after which to come back, where that is known"));
    }
    headers.into()
}
