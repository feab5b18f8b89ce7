use mlx_gate_plugin::authenticate::{Authenticate as _, Grant, Verdict};
use mlx_gate_plugin::testing::{FakeHost, configure, configure_with_files, request};
use serde_json::json;

use crate::StaticKeys;

/// SHA-256 of `alpha` and of `beta`.
const ALPHA: &str = "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
const BETA: &str = "sha256:f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

fn from_file(text: &str) -> Result<StaticKeys, String> {
    configure_with_files(r#"{"file": "keys.toml"}"#, &[("keys.toml", text)])
}

fn two_keys() -> StaticKeys {
    from_file(&format!(
        r#"
        [[key]]
        name = "alice"
        hash = "{ALPHA}"
        tenant = "research"
        roles = ["admin"]
        scopes = ["chat", "models"]

        [[key]]
        name = "bob"
        hash = "{BETA}"
        expires = 2026-06-01T00:00:00Z
        "#
    ))
    .expect("a sound key file")
}

/// What the plugin says to these headers, in a few words.
fn check(plugin: &StaticKeys, headers: &[(&str, &str)]) -> String {
    match plugin.authenticate(request("POST", "/v1/chat/completions", headers)) {
        Verdict::Abstain(challenge) => format!("abstain {}", challenge.unwrap_or_default()),
        Verdict::Allow(Grant { principal, .. }) => format!("allow {}", principal.subject),
        Verdict::Deny(denial) => format!("deny {} {}", denial.status, denial.code),
    }
}

#[test]
fn verdicts() {
    let plugin = two_keys();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], r#"abstain Bearer realm="mlx-gate""#),
        (&[("authorization", "Basic YTpi")], r#"abstain Bearer realm="mlx-gate""#),
        (&[("authorization", "Bearer alpha")], "allow alice"),
        (&[("authorization", "bearer  alpha ")], "allow alice"),
        (&[("x-api-key", "alpha")], "allow alice"),
        (&[("x-api-key", "beta")], "allow bob"),
        (&[("authorization", "Bearer alpha"), ("x-api-key", "alpha")], "allow alice"),
        (&[("authorization", "Bearer alpha"), ("x-api-key", "beta")], "deny 400 conflicting_credentials"),
        (&[("authorization", "Basic YTpi"), ("x-api-key", "beta")], "deny 400 conflicting_credentials"),
        (&[("authorization", "Bearer gamma")], "deny 401 invalid_api_key"),
        (&[("authorization", "Bearer Alpha")], "deny 401 invalid_api_key"),
        (&[("authorization", "Bearer")], "deny 401 invalid_api_key"),
        (&[("authorization", "Bearer ")], "deny 401 invalid_api_key"),
        (&[("x-api-key", "")], "deny 401 invalid_api_key"),
        (&[("x-api-key", ALPHA)], "deny 401 invalid_api_key"),
    ];
    for (headers, expected) in cases {
        assert_eq!(check(&plugin, headers), *expected, "{headers:?}");
    }
}

#[test]
fn unknown_keys_may_be_left_to_others() {
    let options =
        json!({ "keys": [{ "name": "ci", "hash": ALPHA, "expires": "2020-01-01" }], "unknown": "abstain" });
    let plugin = configure(&options.to_string()).expect("sound options");
    let abstains = r#"abstain Bearer realm="mlx-gate""#;
    assert_eq!(check(&plugin, &[("x-api-key", "beta")]), abstains);
    assert_eq!(check(&plugin, &[("authorization", "Bearer a.b.c")]), abstains);
    // What is known is decided here.
    assert_eq!(check(&plugin, &[("x-api-key", "alpha")]), "deny 401 expired_api_key");
    let both = [("authorization", "Bearer a.b.c"), ("x-api-key", "beta")];
    assert_eq!(check(&plugin, &both), "deny 400 conflicting_credentials");
}

#[test]
fn a_good_answer_may_be_reused_for_a_while() {
    for (more, expected) in
        [("", Some(60_000)), (r#", "cache-for-ms": 5"#, Some(5)), (r#", "cache-for-ms": 0"#, None)]
    {
        let options = format!(r#"{{"keys": [{{"name": "ci", "hash": "{ALPHA}"}}]{more}}}"#);
        let plugin: StaticKeys = configure(&options).expect("sound options");
        let Verdict::Allow(grant) = plugin.authenticate(request("GET", "/", &[("x-api-key", "alpha")]))
        else {
            panic!("the key is good");
        };
        assert_eq!(grant.cache_for_ms, expected, "{more}");
    }
}

#[test]
fn a_key_carries_its_facts() {
    let head = request("GET", "/v1/models", &[("authorization", "Bearer alpha")]);
    let Verdict::Allow(Grant { principal, .. }) = two_keys().authenticate(head) else {
        panic!("alice's key is good");
    };
    assert_eq!(principal.tenant.as_deref(), Some("research"));
    assert_eq!(principal.roles, ["admin"]);
    assert_eq!(principal.scopes, ["chat", "models"]);
    assert_eq!(principal.claims, [("key".to_owned(), "alice".to_owned())]);
}

#[test]
fn a_key_expires_to_the_millisecond() {
    let plugin = two_keys();
    let end = 1_780_272_000_000;
    FakeHost::set_now_ms(end - 1);
    assert_eq!(check(&plugin, &[("x-api-key", "beta")]), "allow bob");
    FakeHost::set_now_ms(end);
    assert_eq!(check(&plugin, &[("x-api-key", "beta")]), "deny 401 expired_api_key");
    assert_eq!(check(&plugin, &[("x-api-key", "alpha")]), "allow alice");
}

#[test]
fn expiry_is_read_as_date_time_and_string() {
    for (written, unix_ms) in [
        ("2026-06-01", Some(1_780_272_000_000)),
        ("\"2026-06-01\"", Some(1_780_272_000_000)),
        ("2026-06-01T02:30:00+02:30", Some(1_780_272_000_000)),
        ("\"2026-05-31 23:00:00.5-01:00\"", Some(1_780_272_000_000)),
        ("2028-02-29", Some(1_835_395_200_000)),
        ("\"2027-02-29\"", None),
        ("2026-06-01T00:00:00", None),
        ("\"1969-12-31\"", None),
        ("\"soon\"", None),
        ("12", None),
    ] {
        let plugin = from_file(&format!("[[key]]\nname = \"a\"\nhash = \"{ALPHA}\"\nexpires = {written}"));
        FakeHost::set_now_ms(0);
        let expires_ms = plugin.ok().and_then(|plugin| {
            match plugin.authenticate(request("GET", "/", &[("x-api-key", "alpha")])) {
                Verdict::Allow(grant) => grant.principal.expires_at,
                _ => None,
            }
        });
        assert_eq!(expires_ms, unix_ms, "{written}");
    }
}

#[test]
fn keys_may_stand_in_the_options() {
    let plugin =
        configure(&json!({ "keys": [{ "name": "ci", "hash": ALPHA }] }).to_string()).expect("sound options");
    assert_eq!(check(&plugin, &[("x-api-key", "alpha")]), "allow ci");
}

#[test]
fn an_empty_file_lets_nobody_in() {
    let plugin = from_file("# everybody has left\n").expect("an empty file is a valid one");
    assert_eq!(check(&plugin, &[("x-api-key", "alpha")]), "deny 401 invalid_api_key");
}

#[test]
fn expired_keys_are_pointed_out() {
    from_file(&format!("[[key]]\nname = \"a\"\nhash = \"{ALPHA}\"\nexpires = 2020-01-01"))
        .expect("a sound key file");
    assert_eq!(FakeHost::take_log()[0].1, "1 of 1 keys have expired");
}

#[test]
fn mistakes_name_key_and_field_but_not_the_value() {
    let good = format!("[[key]]\nname = \"alice\"\nhash = \"{ALPHA}\"\n");
    for (text, expected) in [
        ("[[key]]\nname = \"alice\"\n", "`keys.toml`, key `alice`, line 1: missing field `hash`"),
        (
            "[[key]]\nname = \"alice\"\nhash = \"my-secret\"",
            "`keys.toml`, key `alice`: `hash` is not `sha256:` and 64 hexadecimal digits, as `mlx-gate key new` writes it",
        ),
        (
            &format!("{good}tennant = \"x\"\n"),
            "`keys.toml`, key `alice`, line 4: unknown field `tennant`, expected one of `name`, `hash`, `tenant`, `roles`, `scopes`, `expires`",
        ),
        (
            &format!("{good}roles = \"admin\"\n"),
            "`keys.toml`, key `alice`, line 4: invalid type: string, expected a sequence",
        ),
        (&format!("{good}{good}"), "key `alice`: there are two keys of this `name`"),
        (
            &format!("{good}[[key]]\nname = \"bob\"\nhash = \"{ALPHA}\"\n"),
            "key `bob`: `hash` is that of key `alice` too",
        ),
        (
            &format!("# keys\n\n{good}\n[[key]]\nname = \"bob\"\nhash = 5\n"),
            "`keys.toml`, key `bob`, line 9: invalid type: integer `5`, expected a string",
        ),
        ("[[keys]]\nname = \"alice\"", "`keys.toml`, line 1: unknown field `keys`, expected `key`"),
        (
            "[[key]]\nname = my-secret",
            "`keys.toml`, line 2: string values must be quoted, expected literal string",
        ),
    ] {
        assert_eq!(from_file(text).err().as_deref(), Some(expected), "{text}");
    }
    assert_eq!(
        configure::<StaticKeys>("{}").err().as_deref(),
        Some("no keys: set `file` to a key file (`mlx-gate key new` writes its entries)")
    );
    assert_eq!(
        configure::<StaticKeys>(r#"{"keys": [{"name": "a"}]}"#).err().as_deref(),
        Some("`keys[0]`: missing field `hash`")
    );
}
