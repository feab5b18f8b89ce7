use super::{Answer, authentication};
use crate::bindings::v0_1::exports::mlx_gate::plugin::authenticate::{Denial, Grant, Principal, Verdict};

fn principal() -> Principal {
    Principal {
        subject: "alice".to_owned(),
        tenant: None,
        roles: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        claims: Vec::new(),
    }
}

fn denial() -> Denial {
    Denial {
        status: 401,
        code: "no".to_owned(),
        message: "No.".to_owned(),
        challenge: None,
        retry_after_ms: None,
        headers: Vec::new(),
    }
}

/// The answer's kind, or how it is wrong.
fn check(verdict: Verdict) -> String {
    match authentication("p", verdict) {
        Ok(Answer::Abstain(_)) => "abstain".to_owned(),
        Ok(Answer::Allow(principal)) => {
            format!("allow {} by {}", principal.subject, principal.authenticated_by)
        }
        Ok(Answer::Deny(denial)) => format!("deny {}", denial.status),
        Err(failure) => failure.to_string(),
    }
}

fn allow(change: impl FnOnce(&mut Principal)) -> String {
    let mut principal = principal();
    change(&mut principal);
    check(Verdict::Allow(Grant { principal, cache_for_ms: None }))
}

fn deny(change: impl FnOnce(&mut Denial)) -> String {
    let mut denial = denial();
    change(&mut denial);
    check(Verdict::Deny(denial))
}

#[test]
fn sound_answers_pass() {
    assert_eq!(check(Verdict::Abstain(None)), "abstain");
    assert_eq!(check(Verdict::Abstain(Some("Bearer realm=\"x\"".to_owned()))), "abstain");
    assert_eq!(allow(|_| ()), "allow alice by p");
    assert_eq!(deny(|denial| denial.status = 499), "deny 499");
    assert_eq!(
        deny(|denial| denial.headers = vec![("x-ratelimit-limit".to_owned(), "5".to_owned())]),
        "deny 401"
    );
}

#[test]
fn unsound_answers_are_failures() {
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
    let subject = "answered the subject that is empty, longer than 256 bytes or has control characters";
    for name in ["", "a\nb", &"x".repeat(257)] {
        assert_eq!(allow(|principal| principal.subject = name.to_owned()), subject);
    }
    assert_eq!(
        allow(|principal| principal.roles = vec!["r".to_owned(); 129]),
        "answered 129 roles; at most 128 are allowed"
    );
    let challenge = "answered challenge that is not printable ASCII, or longer than 2048 bytes";
    assert_eq!(check(Verdict::Abstain(Some("Bearer\r\nset-cookie: a=b".to_owned()))), challenge);
    assert_eq!(deny(|denial| denial.challenge = Some("ä".to_owned())), challenge);
    assert_eq!(
        deny(|denial| denial.headers = vec![("x y".to_owned(), String::new())]),
        "answered a header whose name is not 1 to 64 lower case letters, digits and `-`"
    );
    assert_eq!(
        deny(|denial| denial.headers = vec![("x".to_owned(), "a\nb".to_owned())]),
        "answered a header's value that is not printable ASCII, or longer than 2048 bytes"
    );
}
