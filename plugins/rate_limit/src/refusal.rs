//! What a caller is told, in OpenAI's words where it has some.

use mlx_gate_plugin::Denial;

use crate::gauge::{Gauge, Standing};
use crate::headers::duration;

const CODE: &str = "rate_limit_exceeded";

/// The limit is used up for now.
pub(crate) fn not_now(
    gauge: &Gauge,
    standing: Standing,
    model: Option<&str>,
    headers: Vec<(String, String)>,
) -> Denial {
    let (most, amount) = (gauge.limit.most, gauge.amount);
    let used = most - standing.remaining.min(most);
    let wait_ms = standing.retry_after_ms;
    let message = format!(
        "Rate limit reached{} on {}: Limit {most}, Used {used}, Requested {amount}. Please try again in {}.",
        about(gauge, model),
        gauge.limit.kind.in_words(),
        duration(wait_ms),
    );
    Denial { headers, ..Denial::too_many_requests(CODE, message, wait_ms) }
}

/// The request is more than the limit ever allows. Clients that try again by themselves are asked not to: there is no
/// `Retry-After`, and OpenAI's libraries heed `x-should-retry`.
pub(crate) fn too_large(gauge: &Gauge, model: Option<&str>) -> Denial {
    let message = format!(
        "Request too large{} on {}: Limit {}, Requested {}. The input or output tokens must be reduced in order to run \
         successfully.",
        about(gauge, model),
        gauge.limit.kind.in_words(),
        gauge.limit.most,
        gauge.amount,
    );
    let headers = vec![("x-should-retry".to_owned(), "false".to_owned())];
    Denial { headers, ..Denial::new(429, CODE, message) }
}

/// Which count it is.
fn about(gauge: &Gauge, model: Option<&str>) -> String {
    let model = model.map(|model| format!(" for `{model}`")).unwrap_or_default();
    let rule = gauge.rule.name.as_ref().map(|name| format!(", rule `{name}`")).unwrap_or_default();
    format!("{model} {}{rule}", gauge.rule.per)
}
