use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::kv::Error;
use mlx_gate_plugin::rate_limit::{Ending, RateLimit as _, Reservation, Verdict};
use mlx_gate_plugin::testing::{FakeHost, configure, configure_with_files, operation};
use mlx_gate_plugin::{Denial, Operation, Principal, Usage};
use serde_json::{Value, json};

use crate::RateLimits;

/// Noon of a day.
const NOON_MS: u64 = 1_767_268_800_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn plugin(options: &Value) -> RateLimits {
    FakeHost::set_now_ms(NOON_MS);
    configure(&options.to_string()).expect("sound options")
}

fn anna() -> Principal {
    Principal { tenant: Some("acme".to_owned()), ..Principal::new("anna") }
}

fn ben() -> Principal {
    Principal { tenant: Some("acme".to_owned()), roles: vec!["vip".to_owned()], ..Principal::new("ben") }
}

/// A chat of so many tokens of prompt and of answer.
fn chat(input_tokens: u64, max_output_tokens: u64) -> Operation {
    Operation { input_tokens, max_output_tokens: Some(max_output_tokens), ..operation("chat", "demo") }
}

fn reserve(plugin: &RateLimits, who: Option<&Principal>, what: &Operation) -> Reservation {
    match plugin.admit(who.cloned(), what.clone()) {
        Verdict::Reserve(reservation) => reservation,
        other => panic!("not reserved: {other:?}"),
    }
}

fn denied(plugin: &RateLimits, who: Option<&Principal>, what: &Operation) -> Denial {
    match plugin.admit(who.cloned(), what.clone()) {
        Verdict::Deny(denial) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

/// How many in a row are let in.
fn room(plugin: &RateLimits, who: Option<&Principal>, what: &Operation) -> usize {
    (0..1000).take_while(|_| matches!(plugin.admit(who.cloned(), what.clone()), Verdict::Reserve(_))).count()
}

fn settle(
    plugin: &RateLimits,
    (who, what): (Option<&Principal>, &Operation),
    ticket: u64,
    ending: Ending,
    used: (u64, u64),
) {
    let used = Usage { input_tokens: used.0, output_tokens: used.1, ..Usage::default() };
    plugin.settle(who.cloned(), what.clone(), ticket, ending, used);
}

/// `requests 60 59 1s`, say.
fn shown(headers: &[(String, String)], what: &str) -> String {
    let value = |part: &str| {
        let name = format!("x-ratelimit-{part}-{what}");
        let found = headers.iter().find(|(header, _)| *header == name);
        found.map_or("none", |(_, value)| value).to_owned()
    };
    format!("{what} {} {} {}", value("limit"), value("remaining"), value("reset"))
}

/// Otherwise the tokens of an answer that never comes would be more than the limit, and the refusal would be for good.
#[test]
fn an_answer_that_never_comes_is_not_too_long() {
    let plugin = plugin(&json!({ "tokens-per-minute": 500 }));
    for api in ["count-tokens", "embedding", "models", "rerank", "score", "tokenize"] {
        let what = Operation { input_tokens: 10, max_output_tokens: None, ..operation(api, "demo") };
        let reservation = reserve(&plugin, Some(&anna()), &what);
        settle(&plugin, (Some(&anna()), &what), reservation.ticket, Ending::NotRun, (0, 0));
    }
    for api in ["chat", "completion", "response", "message"] {
        let what = Operation { input_tokens: 10, max_output_tokens: None, ..operation(api, "demo") };
        assert_eq!(denied(&plugin, Some(&anna()), &what).status, 429, "{api} may have 1024 tokens");
    }
}

#[test]
fn requests_are_counted_by_the_minute() {
    let plugin = plugin(&json!({ "requests-per-minute": 60 }));
    let first = reserve(&plugin, Some(&anna()), &chat(5, 5));
    assert_eq!(shown(&first.headers, "requests"), "requests 60 59 1s");
    assert_eq!(first.headers.len(), 3);
    assert_eq!(room(&plugin, Some(&anna()), &chat(5, 5)), 59);

    let denial = denied(&plugin, Some(&anna()), &chat(5, 5));
    assert_eq!((denial.status, denial.code.as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(denial.retry_after_ms, Some(1000));
    assert_eq!(shown(&denial.headers, "requests"), "requests 60 0 1m0s");
    assert_eq!(
        denial.message,
        "Rate limit reached for `demo` per principal on requests per min (RPM): Limit 60, Used 60, Requested 1. \
         Please try again in 1s."
    );
    assert_eq!(room(&plugin, Some(&ben()), &chat(5, 5)), 60, "others are not concerned");
    FakeHost::set_now_ms(NOON_MS + 10_000);
    assert_eq!(room(&plugin, Some(&anna()), &chat(5, 5)), 10);
}

#[test]
fn tokens_are_reserved_by_estimate_and_settled_by_usage() {
    let plugin = plugin(&json!({ "tokens-per-minute": 6000, "default-output-tokens": 500 }));
    let what = chat(1000, 2000);
    let reservation = reserve(&plugin, Some(&anna()), &what);
    assert_eq!(shown(&reservation.headers, "tokens"), "tokens 6000 3000 30s");
    let settled = |ending, used| settle(&plugin, (Some(&anna()), &what), reservation.ticket, ending, used);
    let left = |tokens| {
        let probe = reserve(&plugin, Some(&anna()), &chat(1, 0));
        assert_eq!(
            shown(&probe.headers, "tokens").split(' ').nth(2),
            Some(format!("{}", tokens - 1).as_str())
        );
        settle(&plugin, (Some(&anna()), &chat(1, 0)), probe.ticket, Ending::NotRun, (0, 0));
    };
    settled(Ending::Ran, (1000, 200));
    left(4800);
    // Without a bound of the client's own, a usual answer is reserved.
    let open = Operation { max_output_tokens: None, ..chat(100, 0) };
    let reservation = reserve(&plugin, Some(&anna()), &open);
    left(4200);
    // An answer that became longer than was reserved is paid all the same, into debt if need be.
    settle(&plugin, (Some(&anna()), &open), reservation.ticket, Ending::Ran, (100, 6000));
    let denial = denied(&plugin, Some(&anna()), &chat(100, 0));
    assert_eq!(denial.retry_after_ms, Some(14_000), "4800 - 6100, and 100 more, at 100 a second");
    assert_eq!(shown(&denial.headers, "tokens"), "tokens 6000 0 1m13s");
}

#[test]
fn what_generates_nothing_reserves_no_answer() {
    let plugin = plugin(&json!({ "tokens-per-minute": 1000 }));
    for (what, expected) in [
        (Operation { input_tokens: 10, ..operation("embedding", "demo") }, "tokens 1000 990 600ms"),
        (Operation { input_tokens: 10, ..operation("count-tokens", "demo") }, "tokens 1000 980 1.2s"),
    ] {
        assert_eq!(
            shown(&reserve(&plugin, Some(&anna()), &what).headers, "tokens"),
            expected,
            "{}",
            what.api
        );
    }
    let models = Operation { model: None, ..operation("models", "") };
    assert_eq!(plugin.admit(Some(anna()), models), Verdict::Pass);
}

#[test]
fn a_request_that_can_never_pass_is_told_so() {
    let plugin = plugin(&json!({ "requests-per-minute": 1, "tokens-per-minute": 1000 }));
    for _ in 0..2 {
        let denial = denied(&plugin, Some(&anna()), &chat(600, 401));
        assert_eq!((denial.status, denial.code.as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(denial.retry_after_ms, None);
        assert_eq!(denial.headers, [("x-should-retry".to_owned(), "false".to_owned())]);
        assert_eq!(
            denial.message,
            "Request too large for `demo` per principal on tokens per min (TPM): Limit 1000, Requested 1001. The input or \
             output tokens must be reduced in order to run successfully."
        );
    }
    denied(&plugin, Some(&anna()), &chat(u64::MAX, u64::MAX));
    assert_eq!(room(&plugin, Some(&anna()), &chat(600, 400)), 1, "nothing was taken by those");
}

#[test]
fn requests_in_flight_are_bounded_until_they_end() {
    let plugin = plugin(&json!({ "concurrent-requests": 2 }));
    let what = chat(5, 5);
    let first = reserve(&plugin, Some(&anna()), &what);
    assert_eq!(first.headers, [], "OpenAI has no headers for this");
    let second = reserve(&plugin, Some(&anna()), &what);
    let denial = denied(&plugin, Some(&anna()), &what);
    assert_eq!(denial.retry_after_ms, Some(1000));
    assert!(
        denial.message.contains("concurrent requests: Limit 2, Used 2, Requested 1"),
        "{}",
        denial.message
    );
    settle(&plugin, (Some(&anna()), &what), first.ticket, Ending::Ran, (5, 1));
    settle(&plugin, (Some(&anna()), &what), second.ticket, Ending::NotRun, (0, 0));
    assert_eq!(room(&plugin, Some(&anna()), &what), 2);
    // Settles that were lost hold nobody up for ever.
    FakeHost::set_now_ms(NOON_MS + HOUR_MS);
    assert_eq!(room(&plugin, Some(&anna()), &what), 2);
}

#[test]
fn days_have_budgets() {
    let plugin = plugin(&json!({ "requests-per-day": 3, "tokens-per-day": 1000, "utc-offset": "+06:00" }));
    let late = chat(300, 100);
    let reservation = reserve(&plugin, Some(&anna()), &late);
    assert_eq!(shown(&reservation.headers, "requests"), "requests 3 2 6h0m0s");
    assert_eq!(shown(&reservation.headers, "tokens"), "tokens 1000 600 6h0m0s");
    let denial = denied(&plugin, Some(&anna()), &chat(500, 200));
    assert_eq!(denial.retry_after_ms, Some(6 * HOUR_MS));
    assert!(
        denial.message.contains("tokens per day (TPD): Limit 1000, Used 400, Requested 700"),
        "{}",
        denial.message
    );
    assert_eq!(shown(&denial.headers, "requests"), "requests 3 2 6h0m0s", "the request was given back");
    assert_eq!(room(&plugin, Some(&anna()), &chat(1, 0)), 2);
    assert!(denied(&plugin, Some(&anna()), &chat(1, 0)).message.contains("requests per day (RPD)"));

    FakeHost::set_now_ms(NOON_MS + 6 * HOUR_MS);
    assert_eq!(
        shown(&reserve(&plugin, Some(&anna()), &chat(100, 0)).headers, "tokens"),
        "tokens 1000 900 24h0m0s"
    );
    // What was reserved yesterday is settled on yesterday's account.
    settle(&plugin, (Some(&anna()), &late), reservation.ticket, Ending::Ran, (300, 0));
    assert_eq!(
        shown(&reserve(&plugin, Some(&anna()), &chat(100, 0)).headers, "tokens"),
        "tokens 1000 800 24h0m0s"
    );
}

#[test]
fn what_did_not_run_is_given_back_in_full() {
    let plugin = plugin(&json!({
        "requests-per-minute": 1, "tokens-per-minute": 20, "concurrent-requests": 1, "requests-per-day": 1, "tokens-per-day": 20
    }));
    for _ in 0..3 {
        let reservation = reserve(&plugin, Some(&anna()), &chat(10, 10));
        settle(&plugin, (Some(&anna()), &chat(10, 10)), reservation.ticket, Ending::NotRun, (0, 0));
    }
    reserve(&plugin, Some(&anna()), &chat(10, 10));
    denied(&plugin, Some(&anna()), &chat(10, 10));
}

#[test]
fn a_denial_undoes_what_was_taken_before() {
    let rules = [
        json!({ "per": ["tenant"], "requests-per-minute": 10, "concurrent-requests": 10, "tokens-per-day": 100 }),
        json!({ "per": ["principal"], "requests-per-day": 1 }),
    ];
    let plugin = plugin(&json!({ "rule": rules }));
    reserve(&plugin, Some(&anna()), &chat(5, 5));
    for _ in 0..20 {
        let denial = denied(&plugin, Some(&anna()), &chat(5, 5));
        assert!(denial.message.contains("per principal on requests per day"), "{}", denial.message);
        assert_eq!(shown(&denial.headers, "tokens"), "tokens 100 90 12h0m0s");
    }
    let next = reserve(&plugin, Some(&ben()), &chat(5, 5));
    assert_eq!(shown(&next.headers, "tokens"), "tokens 100 80 12h0m0s");
}

#[test]
fn counts_are_kept_apart_by_what_per_says() {
    let carl = Some(Principal { tenant: Some("initech".to_owned()), ..Principal::new("carl") });
    let other_model = operation("chat", "other");
    // Whether a second request passes: of anna, ben, carl and nobody; of anna for another model.
    for (per, expected) in [
        (json!(["principal"]), ([false, true, true, true], false)),
        (json!(["tenant"]), ([false, false, true, true], false)),
        (json!(["model"]), ([false, false, false, false], true)),
        (json!(["global"]), ([false, false, false, false], false)),
        (json!(["principal", "model"]), ([false, true, true, true], true)),
    ] {
        let plugin = plugin(&json!({ "per": per, "requests-per-minute": 1 }));
        let what = operation("chat", "demo");
        reserve(&plugin, Some(&anna()), &what);
        let same =
            [Some(anna()), Some(ben()), carl.clone(), None].map(|who| room(&plugin, who.as_ref(), &what) > 0);
        let other = room(&plugin, Some(&anna()), &other_model) > 0;
        assert_eq!((same, other), expected, "{per}");
    }
}

#[test]
fn a_name_is_one_callers_within_a_tenant() {
    let plugin = plugin(&json!({ "requests-per-minute": 1 }));
    let namesake = Principal { tenant: Some("initech".to_owned()), ..anna() };
    let named = [anna(), namesake, Principal::new("anna"), anna()];
    assert_eq!(named.map(|who| room(&plugin, Some(&who), &chat(1, 1))), [1, 1, 1, 0]);
}

#[test]
fn anonymous_callers_are_one() {
    let plugin = plugin(&json!({ "requests-per-minute": 2 }));
    assert_eq!(room(&plugin, None, &chat(1, 1)), 2, "anonymous callers share one count");
    let same_name = Some(Principal::new("-"));
    assert_eq!(room(&plugin, same_name.as_ref(), &chat(1, 1)), 2, "which nobody can have by name");
}

#[test]
fn a_rule_may_be_about_those_with_or_without_a_credential() {
    let rule = |callers: &str| json!({ "callers": callers, "requests-per-minute": 3 });
    let plugin = |callers: &str| plugin(&json!({ "requests-per-minute": 2, "rule": [rule(callers)] }));
    for (callers, known, anonymous) in [("authenticated", 3, 2), ("anonymous", 2, 3)] {
        let plugin = plugin(callers);
        assert_eq!(room(&plugin, Some(&anna()), &chat(1, 1)), known, "{callers}");
        assert_eq!(room(&plugin, None, &chat(1, 1)), anonymous, "{callers}");
    }
}

#[test]
fn the_first_rule_that_is_about_a_request_counts_of_those_with_the_same_per() {
    let rules = r#"
        [[rule]]
        roles = ["vip"]
        requests-per-minute = 5

        [[rule]]
        name = "large models"
        models = ["*-70b"]
        requests-per-minute = 1

        [[rule]]
        subjects = ["ci-*"]
        unlimited = true

        [[rule]]
        tenants = ["acme"]
        per = ["tenant"]
        requests-per-minute = 7
    "#;
    FakeHost::set_now_ms(NOON_MS);
    let options = json!({ "file": "limits.toml", "requests-per-minute": 3 }).to_string();
    let plugin: RateLimits = configure_with_files(&options, &[("limits.toml", rules)]).expect("sound rules");
    let (small, large) = (chat(1, 1), operation("chat", "llama-70b"));
    let dora = Some(Principal::new("dora"));
    assert_eq!(room(&plugin, dora.as_ref(), &small), 3);
    assert_eq!(room(&plugin, dora.as_ref(), &large), 1);
    let message = denied(&plugin, dora.as_ref(), &large).message;
    assert!(
        message
            .starts_with("Rate limit reached for `llama-70b` per principal, rule `large models` on requests"),
        "{message}"
    );
    assert_eq!(plugin.admit(Some(Principal::new("ci-1")), small.clone()), Verdict::Pass);
    assert_eq!(room(&plugin, Some(&ben()), &small), 5);
    assert_eq!(room(&plugin, Some(&anna()), &small), 2, "her tenant has 7, of which ben took 5");
}

#[test]
fn counters_outlive_a_change_of_the_limits() {
    let before = plugin(&json!({ "requests-per-day": 5 }));
    assert_eq!(room(&before, Some(&anna()), &chat(1, 1)), 5);
    let after = plugin(&json!({ "requests-per-day": 7 }));
    assert_eq!(room(&after, Some(&anna()), &chat(1, 1)), 2);
    let named = |tenants: &[&str]| {
        plugin(&json!({ "rule": [{ "name": "paid", "tenants": tenants, "requests-per-day": 3 }] }))
    };
    assert_eq!(room(&named(&["acme"]), Some(&anna()), &chat(1, 1)), 3);
    assert_eq!(room(&named(&["acme", "initech"]), Some(&anna()), &chat(1, 1)), 0);
}

#[test]
#[should_panic(expected = "the counters cannot be reached: Error::Unavailable(\"down\")")]
fn without_counters_nobody_is_let_in() {
    let plugin = plugin(&json!({ "requests-per-minute": 1 }));
    FakeHost::fail_kv(Some(Error::Unavailable("down".to_owned())));
    plugin.admit(Some(anna()), chat(1, 1));
}

#[test]
fn a_settle_that_fails_is_written_down() {
    let plugin = plugin(&json!({ "concurrent-requests": 1, "tokens-per-day": 100 }));
    let reservation = reserve(&plugin, Some(&anna()), &chat(1, 1));
    FakeHost::fail_kv(Some(Error::Quota));
    settle(&plugin, (Some(&anna()), &chat(1, 1)), reservation.ticket, Ending::Ran, (1, 0));
    let logged = |name: &str| (Level::Error, format!("{name} cannot be corrected: Error::Quota"));
    assert_eq!(FakeHost::take_log(), [logged("concurrent-requests"), logged("tokens-per-day")]);
}
