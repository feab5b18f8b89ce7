//! One request as a JSON object. The names are those of OpenTelemetry's semantic conventions: attributes where there is one,
//! names of metrics for durations, in seconds; `mlx_gate.*` is what the conventions have no name for.

use mlx_gate_plugin::pattern::listed;
use mlx_gate_plugin::{Completed, Operation, Priority};
use serde::Serialize;

use crate::AccessLog;
use crate::privacy::Shown;

/// All fields, in the order of a line.
pub(crate) const FIELDS: [&str; 32] = [
    "timestamp",
    "mlx_gate.request.id",
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "http.server.request.duration",
    "error.type",
    "client.address",
    "user.id",
    "user.hash",
    "user.roles",
    "enduser.id",
    "enduser.pseudo.id",
    "gen_ai.provider.name",
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.request.max_tokens",
    "gen_ai.request.stream",
    "gen_ai.response.finish_reasons",
    "gen_ai.server.time_to_first_token",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "mlx_gate.dialect",
    "mlx_gate.outcome",
    "mlx_gate.refused_by",
    "mlx_gate.tenant",
    "mlx_gate.priority",
    "mlx_gate.adapter",
    "mlx_gate.queue.duration",
    "mlx_gate.sample_rate",
];

/// Before the name of a label that a tagger has set.
pub(crate) const LABEL: &str = "mlx_gate.label.";

/// Room for a line with everything usual in it, in bytes.
const USUAL_LINE: usize = 1024;

/// Longest text that a client chooses, in bytes.
const LONGEST_TEXT: usize = 256;

/// The line of a request, without its line feed.
pub(crate) fn write(event: &Completed, log: &AccessLog) -> String {
    let mut line = Line { text: Vec::with_capacity(USUAL_LINE), log };
    line.set("timestamp", rfc_3339(event.started_at_ms));
    line.set("mlx_gate.request.id", event.id.as_str());
    line.set("http.request.method", cut(&event.method));
    line.set_any("http.route", event.route.as_deref());
    line.set("http.response.status_code", event.status);
    line.set("http.server.request.duration", seconds(event.total_us));
    line.set_any("error.type", error_type(event));
    line.set_any("client.address", event.peer.as_deref().and_then(|peer| log.privacy.address(peer)));
    line.set_people(event);
    if let Some(what) = &event.operation {
        line.set_generation(event, what);
    }
    line.set("mlx_gate.dialect", event.dialect.as_str());
    line.set("mlx_gate.outcome", event.outcome.as_str());
    line.set_any("mlx_gate.refused_by", event.refused_by.as_deref());
    line.set_tags(event);
    line.set_any("mlx_gate.sample_rate", (log.sample < 1.0).then_some(log.sample));
    line.end()
}

/// A JSON object that is being written. A map of values, made first and written then, took two thirds of the plugin's time.
struct Line<'a> {
    text: Vec<u8>,
    log: &'a AccessLog,
}

impl Line<'_> {
    /// Sets a field, if there is something to say.
    fn set_any(&mut self, name: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Sets a field, if it is wanted.
    fn set(&mut self, name: &str, value: impl Serialize) {
        if !listed(self.log.fields.as_deref(), name) {
            return;
        }
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.write(name);
        self.text.push(b':');
        self.write(&value);
    }

    fn write(&mut self, value: &(impl Serialize + ?Sized)) {
        // Numbers and texts always have JSON, and memory takes all of it.
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    fn end(mut self) -> String {
        if self.text.is_empty() {
            self.text.push(b'{');
        }
        self.text.push(b'}');
        String::from_utf8(self.text).unwrap_or_default()
    }

    /// `user` is who the authenticators say it is, `enduser` whom that caller says it asks for.
    fn set_people(&mut self, event: &Completed) {
        let who = event.principal.as_ref();
        let end_user = event.operation.as_ref().and_then(|what| what.end_user.as_deref());
        match self.log.privacy.user {
            Shown::None | Shown::Truncated => {}
            Shown::Full => {
                self.set_any("user.id", who.map(|who| who.subject.as_str()));
                self.set_any("enduser.id", end_user.map(cut));
            }
            Shown::Hashed => {
                let hash = |name: &str| self.log.privacy.hash(name);
                let (user, end_user) = (who.map(|who| hash(&who.subject)), end_user.map(hash));
                self.set_any("user.hash", user);
                self.set_any("enduser.pseudo.id", end_user);
            }
        }
        self.set_any("user.roles", who.map(|who| &who.roles).filter(|roles| !roles.is_empty()));
    }

    fn set_generation(&mut self, event: &Completed, what: &Operation) {
        self.set("gen_ai.provider.name", "mlx_gate");
        self.set("gen_ai.operation.name", operation_name(&what.api));
        self.set_any("gen_ai.request.model", what.model.as_deref().map(cut));
        self.set_any("gen_ai.request.max_tokens", what.max_output_tokens);
        if what.api == "models" {
            return;
        }
        self.set("gen_ai.request.stream", what.streaming);
        let reason = match event.outcome.as_str() {
            "stop" | "length" => Some(event.outcome.as_str()),
            "tool-calls" => Some("tool_calls"),
            _ => None,
        };
        self.set_any("gen_ai.response.finish_reasons", reason.map(|reason| [reason]));
        self.set_any("gen_ai.server.time_to_first_token", event.first_token_us.map(seconds));
        if event.outcome == "denied" {
            return;
        }
        self.set("gen_ai.usage.input_tokens", event.usage.input_tokens);
        self.set("gen_ai.usage.cache_read.input_tokens", event.usage.cached_tokens);
        self.set("gen_ai.usage.output_tokens", event.usage.output_tokens);
        self.set("gen_ai.usage.reasoning.output_tokens", event.usage.reasoning_tokens);
        self.set("mlx_gate.queue.duration", seconds(event.queue_us));
    }

    fn set_tags(&mut self, event: &Completed) {
        let own = event.principal.as_ref().and_then(|who| who.tenant.as_deref());
        let Some(tags) = &event.tags else { return self.set_any("mlx_gate.tenant", own) };
        self.set_any("mlx_gate.tenant", tags.tenant.as_deref().or(own));
        self.set_any(
            "mlx_gate.priority",
            tags.priority.map(|priority| match priority {
                Priority::Batch => "batch",
                Priority::Normal => "normal",
                Priority::High => "high",
            }),
        );
        let named = event.operation.as_ref().and_then(|what| what.adapter.as_deref());
        self.set_any("mlx_gate.adapter", named.or(tags.adapter.as_deref()).map(cut));
        for (name, value) in &tags.labels {
            self.set(&format!("{LABEL}{name}"), value.as_str());
        }
    }
}

/// The conventions' own word for an operation; ours where they have none.
fn operation_name(api: &str) -> &str {
    match api {
        "message" | "response" => "chat",
        "completion" => "text_completion",
        "embedding" => "embeddings",
        other => other,
    }
}

/// What went wrong, of few values: the error's code, or else the status or the outcome.
fn error_type(event: &Completed) -> Option<String> {
    let status = (event.status >= 400).then(|| event.status.to_string());
    let outcome = matches!(event.outcome.as_str(), "error" | "cancelled").then(|| event.outcome.clone());
    event.code.clone().or(status).or(outcome)
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// A time in UTC, to the millisecond. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn rfc_3339(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::rfc_3339;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc_3339(unix_ms), expected);
        }
    }
}
