//! A phase's answer as JSON, in the words of the WIT package.

use mlx_gate_core::{Constraints, Denial, Principal, Priority};
use mlx_gate_lifecycle::workbench::{Admission, Answer, Authentication, Authorization, TagSet};
use serde_json::{Map, Value, json};

pub(super) fn json(answer: &Answer) -> Value {
    match answer {
        Answer::Authentication(Authentication::Abstain(None)) => json!("abstain"),
        Answer::Authentication(Authentication::Abstain(Some(challenge))) => json!({"abstain": challenge}),
        Answer::Authentication(Authentication::Allow(grant)) => {
            json!({"allow": {"principal": principal(&grant.principal), "cache-for-ms": grant.cache_for_ms}})
        }
        Answer::Authorization(Authorization::NoOpinion) => json!("no-opinion"),
        Answer::Authorization(Authorization::Allow(bounds)) => json!({"allow": constraints(bounds)}),
        Answer::Admission(Admission::Pass) => json!("pass"),
        Answer::Admission(Admission::Reserve(reservation)) => {
            json!({"reserve": {"headers": pairs(&reservation.headers)}})
        }
        Answer::Authentication(Authentication::Deny(given))
        | Answer::Authorization(Authorization::Deny(given))
        | Answer::Admission(Admission::Deny(given)) => json!({"deny": denial(given)}),
        Answer::Tags(given) => tags(given),
        Answer::Done => json!("done"),
    }
}

fn principal(given: &Principal) -> Value {
    json!({
        "subject": given.subject,
        "tenant": given.tenant,
        "roles": given.roles,
        "scopes": given.scopes,
        "expires-at": given.expires_at_ms,
        "claims": pairs(&given.claims),
    })
}

fn denial(given: &Denial) -> Value {
    json!({
        "status": given.status,
        "code": given.code,
        "message": given.message,
        "challenge": given.challenge,
        "retry-after-ms": given.retry_after_ms,
        "headers": pairs(&given.headers),
    })
}

fn constraints(given: &Constraints) -> Value {
    json!({
        "max-output-tokens": given.max_output_tokens,
        "model": given.model,
        "models": given.models.first(),
        "adapters": given.adapters,
    })
}

fn tags(given: &TagSet) -> Value {
    json!({
        "tenant": given.tenant,
        "priority": given.priority.map(Priority::as_str),
        "weight": given.weight,
        "adapter": given.adapter,
        "cache-scope": given.cache_scope,
        "labels": pairs(&given.labels),
        "upstream-headers": pairs(&given.upstream_headers),
    })
}

/// Names that occur again get a list of their values.
fn pairs(given: &[(String, String)]) -> Value {
    let mut members = Map::new();
    for (name, value) in given {
        let value = Value::from(value.as_str());
        match members.get_mut(name) {
            None => {
                members.insert(name.clone(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::from(vec![first.take(), value]),
        }
    }
    Value::Object(members)
}
