//! `rate_limit` in front of the server: what is reserved, settled and told, with the host's own counters.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mlx_gate_tests::{Client, Folder, PATIENCE, Reply, Server, question_body};
use serde_json::{Value, json};

use crate::auth::key_file;
use crate::chat::endless;

const CHAT: &str = "/v1/chat/completions";

fn serve(options: &str) -> Server {
    Server::start(&["--plugin", &format!("rate_limit,{options}")])
}

fn question(max_tokens: u32) -> Value {
    let mut body = question_body("What is 2 + 3?");
    body["max_tokens"] = max_tokens.into();
    body
}

fn number(reply: &Reply, header: &str) -> u64 {
    reply.header(header).parse().unwrap_or_else(|_| panic!("`{header}` in {:?}", reply.headers))
}

/// Asks until an answer is as wanted, and fails the test if none ever is. What is settled is settled in the background.
fn wait_for(client: &Client, body: &Value, what: &str, mut wanted: impl FnMut(&Reply) -> bool) -> Reply {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.post(CHAT, body);
        if wanted(&reply) {
            return reply;
        }
        assert!(Instant::now() < deadline, "{what} never came; last: {} {}", reply.status, reply.text);
    }
}

/// An offset for which it is about noon, so that no day ends while a test runs.
fn offset_of_noon() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set").as_secs();
    let hour = i64::try_from(now / 3600 % 24).expect("an hour");
    let offset = 12 - hour;
    format!("{}{:02}:00", if offset < 0 { '-' } else { '+' }, offset.abs())
}

#[test]
fn both_kinds_of_answers_say_what_is_left() {
    let server = serve("requests-per-minute=1000,tokens-per-minute=1000000");
    let client = server.client();
    let whole = client.post(CHAT, &question(100));
    assert_eq!(whole.status, 200, "{}", whole.text);
    assert_eq!(whole.header("x-ratelimit-limit-requests"), "1000");
    assert_eq!(whole.header("x-ratelimit-remaining-requests"), "999");
    assert_eq!(whole.header("x-ratelimit-reset-requests"), "60ms");
    let reserved = whole.json()["usage"]["prompt_tokens"].as_u64().unwrap() + 100;
    assert_eq!(number(&whole, "x-ratelimit-remaining-tokens"), 1_000_000 - reserved);

    let mut body = question(100);
    body["stream"] = true.into();
    let stream = client.stream(CHAT, &body);
    for (name, least, most) in [("requests", 998, 999), ("tokens", 1_000_000 - 2 * reserved, 1_000_000)] {
        let left: u64 = stream.header(&format!("x-ratelimit-remaining-{name}")).parse().unwrap();
        assert!((least..=most).contains(&left), "{name}: {left}");
    }
    assert_eq!(stream.last().unwrap(), "[DONE]");
}

#[test]
fn the_short_flag_limits_requests_of_each_caller() {
    let server = Server::start(&["--rate-limit", "1", "--api-key", "a-key-for-the-test"]);
    let client = server.client();
    assert_eq!(client.post(CHAT, &question(16)).status, 401);
    let client = client.bearer("a-key-for-the-test");
    assert_eq!(client.ask("What is 2 + 3?"), "2 + 3 = 5");
    let refused = client.post(CHAT, &question(16));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    assert!((1..=60).contains(&number(&refused, "retry-after")), "{:?}", refused.headers);
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("per principal on requests per min (RPM): Limit 1, Used 1, Requested 1"),
        "{message}"
    );
}

#[test]
fn tokens_settle_to_what_was_used() {
    // A day's budget does not fill up meanwhile, so its count is exact.
    let server = serve(&format!("tokens-per-day=100000,utc-offset={}", offset_of_noon()));
    let client = server.client();
    let mut used = 0;
    let usage = |reply: &Reply, name: &str| reply.json()["usage"][name].as_u64().unwrap_or_default();
    let first = client.post(CHAT, &question(900));
    let reserved = usage(&first, "prompt_tokens") + 900;
    assert_eq!(number(&first, "x-ratelimit-remaining-tokens"), 100_000 - reserved);
    used += usage(&first, "total_tokens");
    assert!(used < 200, "the demo model answers briefly: {used}");
    wait_for(&client, &question(50), "the settled count", |reply| {
        let expected = 100_000 - used - usage(reply, "prompt_tokens") - 50;
        used += usage(reply, "total_tokens");
        number(reply, "x-ratelimit-remaining-tokens") == expected
    });
    // Who hangs up pays for what the model had said, and not for the rest of its context, which was reserved.
    let mut stream = client.stream(CHAT, &endless());
    stream.next().unwrap();
    drop(stream);
    let mut seen = Vec::new();
    let after = wait_for(&client, &question(50), "the settled count of a stream", |reply| {
        let left = number(reply, "x-ratelimit-remaining-tokens");
        let gone = 100_000 - used - usage(reply, "prompt_tokens") - 50 - left;
        used += usage(reply, "total_tokens");
        // Twice the same: nothing is being settled any more.
        seen.push(gone);
        seen.len() > 2 && seen.iter().rev().take(3).all(|other| *other == gone) && gone < 1000
    });
    assert!(*seen.last().unwrap() > 0, "a stream of which something was read is paid: {}", after.text);
}

#[test]
fn requests_in_flight_end_with_their_client() {
    let server = serve("concurrent-requests=2,per=global");
    let client = server.client();
    let streams: Vec<_> = (0..2).map(|_| client.stream(CHAT, &endless())).collect();
    let refused = client.post(CHAT, &question(16));
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    assert!(
        refused.text.contains("over all requests on concurrent requests: Limit 2, Used 2"),
        "{}",
        refused.text
    );
    drop(streams);
    wait_for(&client, &question(16), "a free place", |reply| reply.status == 200);
    // Whoever ends well makes room too, time and again.
    for _ in 0..5 {
        wait_for(&client, &question(16), "a free place", |reply| reply.status == 200);
    }
}

#[test]
fn what_found_no_place_in_the_queue_is_given_back() {
    let server = Server::start(&[
        "--plugin",
        &format!("rate_limit,requests-per-day=4,per=global,utc-offset={}", offset_of_noon()),
        "--max-rows",
        "1",
        "--max-waiting",
        "1",
    ]);
    let client = server.client();
    let mut running = client.stream(CHAT, &endless());
    running.next().unwrap();
    let waiting = client.stream(CHAT, &endless());
    // Far more than the two that are left of the day's four: none of them counts.
    let mut turned_away = 0;
    wait_for(&client, &question(16), "the tenth 503", |reply| {
        assert!([503, 429].contains(&reply.status), "{} {}", reply.status, reply.text);
        turned_away += usize::from(reply.status == 503);
        turned_away == 10
    });
    drop((running, waiting));
    let third = wait_for(&client, &question(16), "a free place", |reply| reply.status == 200);
    assert!(number(&third, "x-ratelimit-remaining-requests") <= 1, "{:?}", third.headers);
    wait_for(&client, &question(16), "the fourth", |reply| reply.status == 200);
    assert_eq!(client.post(CHAT, &question(16)).status, 429);
}

/// The first of several prompts waits, and for the second there is no place: none of them ran.
#[test]
fn what_found_half_a_place_in_the_queue_is_given_back() {
    let plugin = format!("rate_limit,requests-per-day=2,per=global,utc-offset={}", offset_of_noon());
    let server = Server::start(&["--plugin", &plugin, "--max-rows", "1", "--max-waiting", "1"]);
    let client = server.client();
    let mut running = client.stream(CHAT, &endless());
    running.next().unwrap();
    let several = json!({ "prompt": ["a", "b", "c"], "max_tokens": 1 });
    let mut turned_away = 0;
    while turned_away < 5 {
        let reply = client.post("/v1/completions", &several);
        // What the one before reserved may not have been given back yet.
        assert!([503, 429].contains(&reply.status), "{} {}", reply.status, reply.text);
        turned_away += usize::from(reply.status == 503);
    }
    drop(running);
    wait_for(&client, &question(16), "a free place", |reply| reply.status == 200);
    assert_eq!(client.post(CHAT, &question(16)).status, 429);
}

#[test]
fn tenants_have_budgets_of_their_own() {
    let folder = Folder::new();
    let (file, keys) = key_file(
        &folder,
        &[
            ("anna", &["--tenant", "acme"]),
            ("ben", &["--tenant", "acme"]),
            ("carl", &["--tenant", "initech"]),
        ],
    );
    let server = Server::start(&[
        "--plugin",
        &format!("auth_static_keys,file={file}"),
        "--plugin",
        &format!("rate_limit,requests-per-day=2,per=tenant,utc-offset={}", offset_of_noon()),
    ]);
    let ask = |key: &str| server.client().bearer(key).post(CHAT, &question(16));
    assert_eq!([&keys[0], &keys[1]].map(|key| ask(key).status), [200, 200]);
    let refused = ask(&keys[0]);
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(
        refused.text.contains("per tenant on requests per day (RPD): Limit 2, Used 2"),
        "{}",
        refused.text
    );
    assert!(!refused.text.contains("acme") && !refused.text.contains("anna"), "{}", refused.text);
    let seconds = number(&refused, "retry-after");
    assert!((10 * 3600..14 * 3600).contains(&seconds), "{seconds}");
    assert!(refused.header("x-ratelimit-reset-requests").contains('h'), "{:?}", refused.headers);
    assert_eq!([&keys[2], &keys[2], &keys[2], &keys[1]].map(|key| ask(key).status), [200, 200, 429, 429]);
}

#[test]
fn a_request_that_can_never_pass_takes_nothing() {
    let server = serve("requests-per-minute=1,tokens-per-minute=500");
    let client = server.client();
    for _ in 0..3 {
        let refused = client.post(CHAT, &question(600));
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert!(
            refused
                .text
                .contains("Request too large for `mlx-gate-demo` per principal on tokens per min (TPM)"),
            "{}",
            refused.text
        );
        assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), ("", "false"));
    }
    assert_eq!(client.post(CHAT, &question(100)).status, 200);
}

#[test]
fn a_file_of_rules_that_cannot_be_used_stops_the_start() {
    let folder = Folder::new();
    let file = folder.write("limits.toml", "[[rule]]\nroles = ['vip']\n");
    let ended = Server::try_start(&["--plugin", &format!("rate_limit,file={file}")], &[]);
    let Err(ended) = ended else { panic!("the server started") };
    for text in ["rate_limit", "limits.toml", "rule 1", "unlimited = true"] {
        assert!(ended.stderr.contains(text), "`{text}` is not in\n{}", ended.stderr);
    }
}

#[test]
fn counts_outlive_a_change_of_the_rules() {
    let folder = Folder::new();
    let rules = |most: u32| folder.write("limits.toml", format!("[[rule]]\nrequests-per-day = {most}\n"));
    let file = rules(2);
    let server = serve(&format!("file={file},utc-offset={}", offset_of_noon()));
    let client = server.client();
    let ask = || client.post(CHAT, &question(16)).status;
    assert_eq!([ask(), ask(), ask()], [200, 200, 429]);
    rules(4);
    // Whoever was refused was not counted, so there are two left however often that happens.
    let third = wait_for(&client, &question(16), "the new limit", |reply| reply.status == 200);
    assert_eq!(third.header("x-ratelimit-limit-requests"), "4");
    assert_eq!(third.header("x-ratelimit-remaining-requests"), "1");
    assert_eq!([ask(), ask()], [200, 429]);
}
