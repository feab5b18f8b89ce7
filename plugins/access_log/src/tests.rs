use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::logging::Logging as _;
use mlx_gate_plugin::output::Error;
use mlx_gate_plugin::testing::{FakeHost, completed, configure, configure_with_files};
use mlx_gate_plugin::{Completed, Operation, Principal, Priority, Tags, Usage};
use serde_json::{Value, json};

use crate::{AccessLog, line};

/// Options with these over what is needed.
fn plugin(more: &Value) -> Result<AccessLog, String> {
    let mut options = json!({ "file": "access.jsonl" });
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    configure_with_files(
        &options.to_string(),
        &[("key", "0123456789abcdef\n"), ("short", "0123456789\n\n\n\n\n\n\n")],
    )
}

fn lines(more: &Value, events: Vec<Completed>) -> Vec<Value> {
    plugin(more).expect("sound options").log(events);
    let lines = FakeHost::take_output();
    lines.iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A chat that was answered, with everything that can be known of it.
fn chat() -> Completed {
    let event = completed("req-1");
    let operation = event.operation.clone().map(|what| Operation {
        streaming: true,
        max_output_tokens: Some(64),
        end_user: Some("customer-7".to_owned()),
        adapter: Some("acme-1".to_owned()),
        ..what
    });
    Completed {
        peer: Some("203.0.113.77".to_owned()),
        principal: Some(Principal {
            tenant: Some("acme".to_owned()),
            roles: vec!["dev".to_owned()],
            claims: vec![("email".to_owned(), "anna@example.com".to_owned())],
            ..Principal::new("anna")
        }),
        operation,
        tags: Some(Tags {
            tenant: Some("acme-labs".to_owned()),
            priority: Some(Priority::High),
            adapter: Some("acme-0".to_owned()),
            labels: vec![("team".to_owned(), "search".to_owned())],
            ..Tags::default()
        }),
        usage: Usage { input_tokens: 12, cached_tokens: 8, output_tokens: 5, reasoning_tokens: 2 },
        queue_us: 250,
        first_token_us: Some(1_500),
        total_us: 2_250_000,
        ..event
    }
}

#[test]
fn an_answered_chat_is_written_by_the_conventions_names() {
    let expected = json!({
        "timestamp": "2026-01-01T00:00:00.000Z",
        "mlx_gate.request.id": "req-1",
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "http.server.request.duration": 2.25,
        "client.address": "203.0.113.77",
        "user.id": "anna",
        "enduser.id": "customer-7",
        "user.roles": ["dev"],
        "gen_ai.provider.name": "mlx_gate",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "demo",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stream": true,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.server.time_to_first_token": 0.0015,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "mlx_gate.queue.duration": 0.00025,
        "mlx_gate.dialect": "openai",
        "mlx_gate.outcome": "stop",
        "mlx_gate.tenant": "acme-labs",
        "mlx_gate.priority": "high",
        "mlx_gate.adapter": "acme-1",
        "mlx_gate.label.team": "search",
    });
    for name in expected.as_object().expect("an object").keys() {
        assert!(line::FIELDS.contains(&name.as_str()) || name.starts_with(line::LABEL), "{name}");
    }
    assert_eq!(lines(&json!({}), vec![chat()]), [expected]);
}

#[test]
fn a_refused_request_says_by_whom_and_nothing_it_does_not_know() {
    let stranger = Completed {
        operation: None,
        status: 401,
        outcome: "denied".to_owned(),
        code: Some("invalid_api_key".to_owned()),
        refused_by: Some("authenticate/auth_static_keys".to_owned()),
        first_token_us: None,
        ..completed("req-2")
    };
    let limited = Completed {
        status: 429,
        outcome: "denied".to_owned(),
        code: Some("rate_limited".to_owned()),
        refused_by: Some("rate-limit/rate_limit".to_owned()),
        first_token_us: None,
        tags: None,
        ..chat()
    };
    let found = lines(&json!({}), vec![stranger, limited]);
    let expected = json!({
        "timestamp": "2026-01-01T00:00:00.000Z",
        "mlx_gate.request.id": "req-2",
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 401,
        "http.server.request.duration": 0.002,
        "error.type": "invalid_api_key",
        "client.address": "127.0.0.1",
        "mlx_gate.dialect": "openai",
        "mlx_gate.outcome": "denied",
        "mlx_gate.refused_by": "authenticate/auth_static_keys",
    });
    assert_eq!(found[0], expected);
    assert_eq!(found[1]["mlx_gate.tenant"], "acme");
    assert_eq!(found[1]["gen_ai.request.model"], "demo");
    assert!(found[1].get("gen_ai.usage.input_tokens").is_none(), "nothing was consumed");
}

#[test]
fn endings_and_operations_have_the_conventions_words() {
    let ended = |outcome: &str, status, code: Option<&str>| {
        let code = code.map(str::to_owned);
        let event = Completed { outcome: outcome.to_owned(), status, code, ..chat() };
        let line = lines(&json!({}), vec![event]).remove(0);
        [&line["gen_ai.response.finish_reasons"], &line["error.type"]].map(Value::to_string)
    };
    assert_eq!(ended("length", 200, None), [r#"["length"]"#, "null"]);
    assert_eq!(ended("tool-calls", 200, None), [r#"["tool_calls"]"#, "null"]);
    assert_eq!(ended("ok", 200, None), ["null", "null"]);
    assert_eq!(ended("cancelled", 200, None), ["null", r#""cancelled""#]);
    assert_eq!(ended("error", 500, None), ["null", r#""500""#]);
    assert_eq!(ended("error", 503, Some("plugin_unavailable")), ["null", r#""plugin_unavailable""#]);
    for (api, expected) in [
        ("chat", "chat"),
        ("completion", "text_completion"),
        ("embedding", "embeddings"),
        ("message", "chat"),
        ("response", "chat"),
        ("count-tokens", "count-tokens"),
        ("models", "models"),
    ] {
        let mut event = chat();
        event.operation.as_mut().expect("it has one").api = api.to_owned();
        assert_eq!(lines(&json!({}), vec![event])[0]["gen_ai.operation.name"], expected);
    }
}

#[test]
fn people_are_shown_as_much_as_the_options_say() {
    let people = ["client.address", "user.id", "user.hash", "enduser.id", "enduser.pseudo.id"];
    let shown = |more: Value, peer: &str| {
        let line = lines(&more, vec![Completed { peer: Some(peer.to_owned()), ..chat() }]).remove(0);
        people.map(|name| line.get(name).map(|value| value.as_str().expect("a text").to_owned()))
    };
    let address = |shown_as: &str, peer: &str| {
        shown(json!({ "client-address": shown_as, "hash-key": "key" }), peer)[0].clone().unwrap_or_default()
    };
    assert_eq!(address("truncated", "203.0.113.77"), "203.0.113.0");
    assert_eq!(address("truncated", "2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
    assert_eq!(address("truncated", "::ffff:203.0.113.77"), "203.0.113.0");
    assert_eq!(address("none", "203.0.113.77"), "");
    // openssl dgst -sha256 -hmac 0123456789abcdef
    assert_eq!(address("hashed", "203.0.113.77"), "c84c04c05495024db1a7812233f2db09");
    assert_ne!(address("hashed", "203.0.113.78"), address("hashed", "203.0.113.77"));

    let full = shown(json!({ "user": "full" }), "::1");
    assert_eq!(full.each_ref().map(Option::is_some), [true, true, false, true, false]);
    let hashed = shown(json!({ "user": "hashed", "hash-key": "key" }), "::1");
    assert_eq!(hashed.each_ref().map(Option::is_some), [true, false, true, false, true]);
    assert_eq!(hashed[2].as_deref(), Some("b7a04172e11eaea238a11b25b8cf06e7"));
    let none = shown(json!({ "user": "none" }), "::1");
    assert_eq!(none.each_ref().map(Option::is_some), [true, false, false, false, false]);
}

#[test]
fn only_the_fields_asked_for_are_written() {
    let found =
        lines(&json!({ "fields": ["gen_ai.usage.*_tokens", "user.id", "mlx_gate.label.te*"] }), vec![chat()]);
    let expected = json!({
        "user.id": "anna",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "mlx_gate.label.team": "search",
    });
    assert_eq!(found, [expected]);
}

#[test]
fn successes_are_sampled_and_failures_are_not() {
    let events = |count: usize, change: fn(&mut Completed)| -> Vec<_> {
        let event = |n| {
            let mut event = completed(&format!("req-{n}"));
            change(&mut event);
            event
        };
        (0..count).map(event).collect()
    };
    let written = |sample: f64, change: fn(&mut Completed)| {
        let found = lines(&json!({ "sample": sample }), events(1000, change));
        assert!(found.iter().all(|line| line["mlx_gate.sample_rate"] == sample || sample >= 1.0));
        found.len()
    };
    assert_eq!(written(1.0, |_| {}), 1000);
    assert_eq!(written(0.0, |_| {}), 0);
    assert!((200..300).contains(&written(0.25, |_| {})));
    assert_eq!(written(0.0, |event| event.status = 404), 1000);
    assert_eq!(written(0.0, |event| event.outcome = "cancelled".to_owned()), 1000);
    assert_eq!(written(0.0, |event| event.outcome = "error".to_owned()), 1000);
    // The same request is in or out in every run.
    let ids = || lines(&json!({ "sample": 0.5, "fields": ["mlx_gate.request.id"] }), events(100, |_| {}));
    assert_eq!(ids(), ids());
}

#[test]
fn lost_lines_are_counted_in_the_log() {
    let plugin = plugin(&json!({})).expect("sound options");
    FakeHost::fail_output(Some(Error::Unavailable("disk full".to_owned())));
    plugin.log(vec![chat(), chat(), chat()]);
    assert_eq!(FakeHost::take_log(), [(Level::Error, "3 lines are lost: disk full".to_owned())]);
    FakeHost::fail_output(Some(Error::TooLarge));
    plugin.log(vec![chat(), chat(), chat()]);
    let lost = (Level::Error, "1 lines are lost: longer than the host writes".to_owned());
    assert_eq!(FakeHost::take_log(), [lost.clone(), lost.clone(), lost]);
    FakeHost::fail_output(None);
    plugin.log(vec![chat()]);
    assert_eq!((FakeHost::take_log().len(), FakeHost::take_output().len()), (0, 1));
}

#[test]
fn what_a_client_chooses_cannot_break_a_line() {
    let mut event = chat();
    let what = event.operation.as_mut().expect("it has one");
    what.model = Some(format!("a\n{{\"user.id\":\"root\"}}\u{2028}{}", "é".repeat(5_000)));
    what.end_user = Some("\"\n\u{0}".to_owned());
    let line = lines(&json!({}), vec![event]).remove(0);
    let model = line["gen_ai.request.model"].as_str().expect("a text");
    assert!(model.starts_with("a\n{\"user.id\"") && model.len() <= 256);
    assert_eq!(line["user.id"], "anna");
    assert!(!line.to_string().contains("anna@example.com"), "claims are not written");
}

#[test]
fn mistakes_name_the_option() {
    let no_field = plugin(&json!({ "fields": ["user.name"] })).err().expect("there is no such field");
    assert!(
        no_field.starts_with("`fields`: there is no field `user.name`; there are timestamp, "),
        "{no_field}"
    );
    for (more, expected) in [
        (json!({ "fields": [] }), "`fields` is empty; leave it out for all of them"),
        (json!({ "sample": 1.5 }), "`sample` is the part of the successes to write, from 0 to 1"),
        (json!({ "user": "truncated" }), "`user` is `full`, `hashed` or `none`"),
        (
            json!({ "user": "hashed" }),
            "`hash-key`: `hashed` needs a file with a secret; without one, whoever has the log can try out all addresses and names",
        ),
        (
            json!({ "user": "hashed", "hash-key": "short" }),
            "`hash-key`, `short`: a secret has at least 16 bytes, and this one has 10",
        ),
    ] {
        assert_eq!(plugin(&more).err().as_deref(), Some(expected), "{more}");
    }
    assert!(configure::<AccessLog>("{}").is_err(), "`file` is needed");
}
