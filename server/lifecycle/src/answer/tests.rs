use mlx_gate_core::{Constraints, Denial, Principal};

use super::{Admission, Authentication, Authorization, Grant, Reservation, TagSet};
use crate::Failure;

fn denial() -> Denial {
    Denial { status: 401, code: "no".to_owned(), message: "No.".to_owned(), ..Denial::default() }
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

/// `ok`, or how the answer is wrong.
fn outcome<T>(checked: Result<T, Failure>) -> String {
    checked.map_or_else(|failure| failure.to_string(), |_| "ok".to_owned())
}

fn abstain(challenge: &str) -> String {
    outcome(Authentication::Abstain(Some(challenge.to_owned())).checked())
}

fn allow(change: impl FnOnce(&mut Principal)) -> String {
    let mut principal = Principal { subject: "alice".to_owned(), ..Principal::default() };
    change(&mut principal);
    outcome(Authentication::Allow(Grant { principal, cache_for_ms: None }).checked())
}

fn authorized(change: impl FnOnce(&mut Constraints)) -> String {
    let mut constraints = Constraints::default();
    change(&mut constraints);
    outcome(Authorization::Allow(constraints).checked())
}

fn reserved(headers: Vec<(String, String)>) -> String {
    outcome(Admission::Reserve(Reservation { ticket: 1, headers }).checked())
}

fn tagged(change: impl FnOnce(&mut TagSet)) -> String {
    let mut tags = TagSet::default();
    change(&mut tags);
    outcome(tags.checked())
}

/// Every phase that denies checks it the same way.
fn deny(change: impl FnOnce(&mut Denial)) -> String {
    let mut denial = denial();
    change(&mut denial);
    let authentication = outcome(Authentication::Deny(denial.clone()).checked());
    assert_eq!(authentication, outcome(Authorization::Deny(denial.clone()).checked()));
    assert_eq!(authentication, outcome(Admission::Deny(denial).checked()));
    authentication
}

#[test]
fn sound_answers_pass() {
    assert_eq!(outcome(Authentication::Abstain(None).checked()), "ok");
    assert_eq!(abstain("Bearer realm=\"x\""), "ok");
    assert_eq!(allow(|_| ()), "ok");
    assert_eq!(deny(|denial| denial.status = 499), "ok");
    assert_eq!(deny(|denial| denial.headers = pair("x-ratelimit-limit-requests", "5")), "ok");
    assert_eq!(authorized(|bounds| bounds.models = vec![vec!["qwen*".to_owned(); 1024]]), "ok");
    assert_eq!(reserved(pair("x-ratelimit-remaining-tokens", "5")), "ok");
    for weight in [0.001, 1.0, 1000.0] {
        assert_eq!(tagged(|tags| tags.weight = Some(weight)), "ok");
    }
    assert_eq!(tagged(|tags| tags.labels = pair("cost_center", "Straße 7")), "ok");
    assert_eq!(tagged(|tags| tags.upstream_headers = pair("x-route", "blue")), "ok");
}

#[test]
fn unsound_denials_are_failures() {
    for status in [0, 200, 302, 399, 500, 503] {
        assert_eq!(
            deny(|denial| denial.status = status),
            format!("answered a denial with status {status}; denials have 400 to 499")
        );
    }
    for code in ["", "Invalid Key", "a-b", &"x".repeat(65)] {
        let answer = deny(|denial| denial.code = code.to_owned());
        assert_eq!(answer, "answered a denial whose code is not 1 to 64 lower case letters, digits and `_`");
    }
    let challenge = "answered challenge that is not printable ASCII, or longer than 2048 bytes";
    assert_eq!(abstain("Bearer\r\nset-cookie: a=b"), challenge);
    assert_eq!(deny(|denial| denial.challenge = Some("ä".to_owned())), challenge);
    assert_eq!(
        deny(|denial| denial.message = "x".repeat(2049)),
        "answered a denial's message of 2049 bytes; at most 2048 are allowed"
    );
}

#[test]
fn unsound_names_are_failures() {
    let wrong = |what: &str| {
        format!("answered {what} that is empty, longer than 256 bytes or has control characters")
    };
    for name in ["", "a\nb", &"x".repeat(257)] {
        let name = name.to_owned();
        assert_eq!(allow(|principal| principal.subject.clone_from(&name)), wrong("the subject"));
        assert_eq!(allow(|principal| principal.tenant = Some(name.clone())), wrong("the tenant"));
        assert_eq!(allow(|principal| principal.roles = vec![name.clone()]), wrong("a role"));
        assert_eq!(allow(|principal| principal.scopes = vec![name.clone()]), wrong("a scope"));
        assert_eq!(authorized(|bounds| bounds.model = Some(name.clone())), wrong("the model"));
        assert_eq!(authorized(|bounds| bounds.models = vec![vec![name.clone()]]), wrong("a model"));
        assert_eq!(authorized(|bounds| bounds.adapters = Some(vec![name.clone()])), wrong("an adapter"));
        assert_eq!(tagged(|tags| tags.tenant = Some(name.clone())), wrong("the tenant"));
        assert_eq!(tagged(|tags| tags.adapter = Some(name.clone())), wrong("the adapter"));
        assert_eq!(tagged(|tags| tags.cache_scope = Some(name.clone())), wrong("the cache scope"));
        assert_eq!(tagged(|tags| tags.labels = pair("a", &name)), wrong("a label's value"));
    }
    let many = vec!["r".to_owned(); 129];
    assert_eq!(allow(|principal| principal.roles = many), "answered 129 roles; at most 128 are allowed");
    let many = vec!["m".to_owned(); 1025];
    assert_eq!(
        authorized(|bounds| bounds.models = vec![many]),
        "answered 1025 models; at most 1024 are allowed"
    );
}

#[test]
fn unsound_bounds_and_tags_are_failures() {
    assert_eq!(
        authorized(|bounds| bounds.max_output_tokens = Some(0)),
        "answered an allowance of 0 tokens; deny what may not be answered"
    );
    for weight in [0.0, -1.0, 0.0001, 1001.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(
            tagged(|tags| tags.weight = Some(weight)),
            format!("answered the weight {weight}; weights are from 0.001 to 1000")
        );
    }
    for name in ["", "Tenant", "1st", "_x", "a-b", "a.b", &"x".repeat(65)] {
        assert_eq!(
            tagged(|tags| tags.labels = pair(name, "v")),
            "answered a label whose name is not 1 to 64 lower case letters, digits and `_`, a letter first"
        );
    }
}

#[test]
fn some_headers_are_not_a_plugins_to_set() {
    let name = "answered a header whose name is not 1 to 64 lower case letters, digits and `-`";
    let value = "answered a header's value that is not printable ASCII, or longer than 2048 bytes";
    let response = |headers: Vec<(String, String)>| {
        let denied = deny(|denial| denial.headers.clone_from(&headers));
        assert_eq!(denied, reserved(headers));
        denied
    };
    let upstream = |headers| tagged(|tags| tags.upstream_headers = headers);
    for check in [&response as &dyn Fn(_) -> String, &upstream] {
        assert_eq!(check(pair("x y", "")), name);
        assert_eq!(check(pair("X-A", "")), name);
        assert_eq!(check(pair("x", "a\r\nb: c")), value);
        for reserved in ["connection", "content-length", "transfer-encoding", "host", "x-request-id"] {
            let expected = format!("answered the header `{reserved}`, which is not a plugin's to set");
            assert_eq!(check(pair(reserved, "x")), expected);
        }
    }
    for reserved in ["set-cookie", "www-authenticate", "retry-after"] {
        let expected = format!("answered the header `{reserved}`, which is not a plugin's to set");
        assert_eq!(response(pair(reserved, "x")), expected);
    }
    for reserved in ["authorization", "cookie", "x-api-key", "x-user-id", "x-forwarded-for", "x-roles"] {
        let expected = format!("answered the header `{reserved}`, which is not a plugin's to set");
        assert_eq!(upstream(pair(reserved, "x")), expected);
    }
}
