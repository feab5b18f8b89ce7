use std::panic::{AssertUnwindSafe, catch_unwind};

use mlx_gate_plugin::authenticate::{Authenticate as _, Grant, Verdict};
use mlx_gate_plugin::http::{Error, Request, Response};
use mlx_gate_plugin::testing::{FakeHost, configure, request};
use serde_json::{Value, json};

use crate::External;

const URL: &str = "http://auth.example/check";
const CHALLENGE: &str = r#"Bearer realm="mlx-gate""#;
/// The fake host's clock, in seconds.
const NOW: u64 = 1_767_225_600;

fn options(more: &Value) -> String {
    let mut options = json!({ "url": URL });
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    options.to_string()
}

fn plugin(more: &Value) -> External {
    configure(&options(more)).expect("sound options")
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Response { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
}

/// The server answers every request like this.
fn server_answers(answer: Result<Response, Error>) {
    FakeHost::on_http(move |_| answer.clone());
}

fn ask(plugin: &External, headers: &[(&str, &str)]) -> Verdict {
    plugin.authenticate(request("POST", "/v1/chat/completions", headers))
}

fn grant(plugin: &External) -> Grant {
    match ask(plugin, &[("authorization", "Bearer k")]) {
        Verdict::Allow(grant) => grant,
        Verdict::Deny(denial) => panic!("denied: {}", denial.message),
        Verdict::Abstain(_) => panic!("there is a credential"),
    }
}

/// What the log says of a request that could not be decided.
fn failure(plugin: &External) -> String {
    let verdict = catch_unwind(AssertUnwindSafe(|| ask(plugin, &[("authorization", "Bearer hunter2")])));
    let panic = verdict.map(|_| ()).expect_err("it is no decision");
    let text = panic.downcast::<String>().expect("panics have texts");
    assert!(!text.contains("hunter2"), "{text}");
    *text
}

#[test]
fn the_server_gets_the_credentials_and_nothing_else_of_the_client() {
    server_answers(Ok(response(200, &[("x-auth-subject", "ana")], "")));
    let credentials = [("authorization", "Bearer k"), ("x-api-key", "k"), ("cookie", "s=1")];
    let about = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-uri", "/v1/chat/completions"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-request-id", "req-test"),
    ];
    for (forward, sent) in [
        (json!({}), &credentials[..2]),
        (json!({ "forward": ["Cookie"] }), &credentials[2..]),
        (json!({ "forward": [], "always": true }), &[]),
    ] {
        let mut head = request("POST", "/v1/chat/completions", &credentials);
        head.headers = vec![("x-auth-subject".to_owned(), "root".to_owned())];
        plugin(&forward).authenticate(head);
        let headers =
            sent.iter().chain(&about).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let expected = Request { headers: headers.collect(), timeout_ms: 2_000, ..Request::get(URL) };
        assert_eq!(FakeHost::take_requests(), [expected], "{forward}");
    }
}

#[test]
fn callers_without_a_credential_are_asked_about_only_where_it_is_wanted() {
    server_answers(Ok(response(200, &[("x-auth-subject", "ana")], "")));
    let abstains = |more: Value, headers: &[(&str, &str)]| match ask(&plugin(&more), headers) {
        Verdict::Abstain(challenge) => challenge,
        _ => panic!("it asked about {headers:?}"),
    };
    assert_eq!(abstains(json!({}), &[]).as_deref(), Some(CHALLENGE));
    assert_eq!(abstains(json!({}), &[("cookie", "a=b")]).as_deref(), Some(CHALLENGE));
    assert_eq!(abstains(json!({ "challenge": "" }), &[]), None);
    assert_eq!(FakeHost::take_requests(), []);
    assert!(matches!(ask(&plugin(&json!({ "always": true })), &[]), Verdict::Allow(_)));
    let long = "k".repeat(9_000);
    let Verdict::Deny(denial) = ask(&plugin(&json!({})), &[("x-api-key", &long)]) else {
        panic!("it is too long")
    };
    assert_eq!((denial.status, denial.code.as_str()), (401, "malformed_credentials"));
    assert_eq!(FakeHost::take_requests().len(), 1);
}

#[test]
fn headers_make_a_principal() {
    let headers = [
        ("x-auth-subject", "ana"),
        ("x-auth-tenant", "acme"),
        ("x-auth-roles", "dev, ops"),
        ("x-auth-scopes", "chat embed"),
        ("x-auth-expires", "1767225700"),
        ("x-plan", "gold"),
    ];
    server_answers(Ok(response(204, &headers, "<html>")));
    let principal = grant(&plugin(&json!({ "claims": ["X-Plan", "x-absent"] }))).principal;
    assert_eq!((principal.subject.as_str(), principal.tenant.as_deref()), ("ana", Some("acme")));
    assert_eq!(
        (principal.roles, principal.scopes),
        (vec!["dev".into(), "ops".into()], vec!["chat".into(), "embed".into()])
    );
    assert_eq!(principal.expires_at, Some(1_767_225_700_000));
    assert_eq!(principal.claims, [("x-plan".to_owned(), "gold".to_owned())]);
    // What servers send that send every header every time.
    server_answers(Ok(response(
        200,
        &[("remote-user", "bob"), ("remote-groups", ""), ("x-auth-tenant", " ")],
        "",
    )));
    let principal = grant(&plugin(&json!({ "subject": "Remote-User", "roles": "Remote-Groups" }))).principal;
    assert_eq!((principal.subject.as_str(), principal.tenant, principal.roles.len()), ("bob", None, 0));
}

#[test]
fn a_body_makes_a_principal() {
    let body = json!({
        "user": { "id": "ana", "org": "acme" }, "roles": ["dev"], "scope": "chat,embed", "exp": NOW, "a/b": 7
    });
    let expired = response(200, &[], &body.to_string());
    let body = json!({
        "user": { "id": "ana", "org": "acme" }, "roles": ["dev"], "scope": "chat,embed", "exp": 1_767_225_600.5, "a/b": 7
    });
    let body = response(200, &[("x-auth-subject", "header")], &body.to_string());
    let plugin = plugin(&json!({
        "subject": "/user/id", "tenant": "/user/org", "roles": "/roles", "scopes": "/scope", "expires": "/exp",
        "claims": ["/a~1b", "/user", "/absent"],
    }));
    server_answers(Ok(body));
    let principal = grant(&plugin).principal;
    assert_eq!((principal.subject.as_str(), principal.tenant.as_deref()), ("ana", Some("acme")));
    assert_eq!(
        (principal.roles, principal.scopes),
        (vec!["dev".into()], vec!["chat".into(), "embed".into()])
    );
    assert_eq!(principal.expires_at, Some(1_767_225_600_500));
    let claims = [("a~1b", "7"), ("user", r#"{"id":"ana","org":"acme"}"#)];
    assert_eq!(principal.claims, claims.map(|(name, value)| (name.to_owned(), value.to_owned())));
    server_answers(Ok(expired));
    assert_eq!(failure(&plugin), "the authentication server's answer is a yes that has expired");
}

#[test]
fn a_no_is_passed_on_with_its_challenge() {
    let denial = |answer: Response| {
        server_answers(Ok(answer));
        match ask(&plugin(&json!({})), &[("authorization", "Bearer k")]) {
            Verdict::Deny(denial) => (denial.status, denial.code, denial.challenge.unwrap_or_default()),
            _ => panic!("it is a no"),
        }
    };
    let basic = r#"Basic realm="lab""#;
    let no = "invalid_credentials".to_owned();
    assert_eq!(
        denial(response(401, &[("www-authenticate", basic)], "secret")),
        (401, no.clone(), basic.to_owned())
    );
    assert_eq!(denial(response(401, &[], "")), (401, no.clone(), CHALLENGE.to_owned()));
    assert_eq!(
        denial(response(401, &[("www-authenticate", "a\u{7f}")], "")),
        (401, no, CHALLENGE.to_owned())
    );
    let no = "access_denied".to_owned();
    assert_eq!(denial(response(403, &[("www-authenticate", basic)], "")), (403, no, String::new()));
}

#[test]
fn anything_else_is_no_answer() {
    let plugin = plugin(&json!({ "timeout-ms": 300 }));
    let page = "<html>log in</html>";
    for (answer, expected) in [
        (
            Ok(response(200, &[], page)),
            "'s answer is a yes without a name: nothing is at the header `x-auth-subject`",
        ),
        (
            Ok(response(302, &[("location", "/login")], "")),
            "'s answer has status 302; 2xx is a yes, 401 and 403 are a no",
        ),
        (
            Ok(response(500, &[("x-auth-subject", "ana")], "")),
            "'s answer has status 500; 2xx is a yes, 401 and 403 are a no",
        ),
        (Ok(response(429, &[], "")), "'s answer has status 429; 2xx is a yes, 401 and 403 are a no"),
        (
            Ok(response(200, &[("x-auth-subject", "a\tb")], "")),
            "'s answer has something else than a name of 1 to 256 bytes at the header `x-auth-subject`",
        ),
        (
            Ok(response(200, &[("x-auth-subject", "ana"), ("x-auth-expires", "tomorrow")], "")),
            "'s answer has something else than seconds since 1970 at the header `x-auth-expires`",
        ),
        (Err(Error::Timeout), " http://auth.example/check did not answer within 300 ms"),
        (Err(Error::TooLarge), " http://auth.example/check answers with more than the host takes"),
        (
            Err(Error::NotGranted("private".to_owned())),
            " http://auth.example/check may not be asked: private",
        ),
        (Err(Error::Failed("refused".to_owned())), " http://auth.example/check cannot be asked: refused"),
    ] {
        server_answers(answer);
        assert_eq!(failure(&plugin), format!("the authentication server{expected}"));
    }
    let by_body = self::plugin(&json!({ "subject": "/sub", "roles": "/roles" }));
    for (body, expected) in [
        (page.to_owned(), "is not JSON"),
        (format!("\"{}\"", "x".repeat(70_000)), "is longer than 65536 bytes"),
        (
            r#"{"sub": 7}"#.to_owned(),
            "has something else than a name of 1 to 256 bytes at `/sub` of the body",
        ),
        (r#"{"sub": null}"#.to_owned(), "is a yes without a name: nothing is at `/sub` of the body"),
        (
            r#"{"sub": "ana", "roles": ["a", 1]}"#.to_owned(),
            "has something else than a list of at most 128 names of 1 to 256 bytes at `/roles` of the body",
        ),
    ] {
        server_answers(Ok(response(200, &[], &body)));
        assert_eq!(failure(&by_body), format!("the authentication server's answer {expected}"));
    }
}

#[test]
fn an_answer_is_reused_as_long_as_both_allow() {
    let cached = |most: u64, cache_control: Option<&str>| {
        let mut headers = vec![("x-auth-subject", "ana")];
        headers.extend(cache_control.map(|value| ("cache-control", value)));
        server_answers(Ok(response(200, &headers, "")));
        grant(&plugin(&json!({ "cache-for-ms": most }))).cache_for_ms
    };
    for (most, cache_control, expected) in [
        (60_000, None, None),
        (60_000, Some("max-age=5"), Some(5_000)),
        (60_000, Some("private, Max-Age=\"5\", must-revalidate"), Some(5_000)),
        (60_000, Some("max-age=99999999999999999999"), None),
        (60_000, Some("max-age=18446744073709551615"), Some(60_000)),
        (60_000, Some("max-age=0"), None),
        (60_000, Some("max-age=-1"), None),
        (60_000, Some("no-store, max-age=5"), None),
        (60_000, Some("no-cache=\"set-cookie\", max-age=5"), None),
        (60_000, Some("s-maxage=5"), None),
        (2_000, Some("max-age=5"), Some(2_000)),
        (0, Some("max-age=5"), None),
    ] {
        assert_eq!(cached(most, cache_control), expected, "{most} {cache_control:?}");
    }
    // What was said of one caller without a credential is not said of another.
    server_answers(Ok(response(200, &[("x-auth-subject", "ana"), ("cache-control", "max-age=5")], "")));
    let Verdict::Allow(grant) = ask(&plugin(&json!({ "always": true })), &[]) else { panic!("it is a yes") };
    assert_eq!(grant.cache_for_ms, None);
}

#[test]
fn mistakes_name_the_option() {
    for (more, expected) in [
        (json!({ "timeout-ms": 0 }), "`timeout-ms` is 1 to 10000"),
        (json!({ "forward": ["host"] }), "`forward`: `host` is none of authorization, x-api-key, cookie"),
        (
            json!({ "forward": [] }),
            "`forward` is empty, so nobody would be asked about; set `always=true` or name a header",
        ),
        (
            json!({ "subject": "" }),
            "`subject` is the name of a header, or a JSON pointer that begins with `/`",
        ),
        (
            json!({ "roles": "a b" }),
            "`roles` is the name of a header, or a JSON pointer that begins with `/`",
        ),
        (json!({ "tenant": "/a~2" }), "`tenant` is no JSON pointer of at most 256 bytes (RFC 6901)"),
        (json!({ "challenge": "a\nb" }), "`challenge` has at most 1024 characters of printable ASCII"),
    ] {
        assert_eq!(configure::<External>(&options(&more)).err().as_deref(), Some(expected), "{more}");
    }
}
