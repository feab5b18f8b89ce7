use mlx_gate_plugin::testing::{configure, configure_with_files};
use serde_json::{Value, json};

use crate::RateLimits;

#[test]
fn mistakes_name_place_and_key() {
    let rule = |rule: Value| json!({ "rule": [rule] });
    for (options, expected) in [
        (
            json!({}),
            "no limits: set `requests-per-minute` for instance, or `file` to a file of `[[rule]]` tables",
        ),
        (
            json!({ "per": ["model"] }),
            "`per` says what has a count of its own, and there is no limit beside it",
        ),
        (json!({ "requests-per-minute": 0 }), "`requests-per-minute` is 1 to 1000000000000"),
        (
            json!({ "requests-per-minute": 1, "per": ["global", "model"] }),
            "`per` is some of `principal`, `tenant` and `model`, or `global` alone",
        ),
        (
            json!({ "requests-per-minute": 1, "utc-offset": "CET" }),
            "`utc-offset` is of the form `+02:00`, `-03:30` or `Z`",
        ),
        (rule(json!({})), "rule 1: a rule has limits, or says `unlimited = true`"),
        (
            rule(json!({ "unlimited": true, "tokens-per-day": 1 })),
            "rule 1: a rule has limits, or says `unlimited = true`",
        ),
        (
            rule(json!({ "tenants": [], "tokens-per-day": 1 })),
            "rule 1: `tenants` is empty, so the rule would be about nobody or nothing",
        ),
        (
            rule(json!({ "name": "", "tokens-per-day": 1 })),
            "rule 1: `name` has 1 to 64 bytes and no control characters",
        ),
        (
            json!({ "rule": [{ "tokens-per-day": 1 }], "requests-per-minute": 1 }),
            "rule 1 is about every request per principal, so rule 2 of all would never count; put it before, or give them \
             different `per`",
        ),
        (
            json!({ "rule": [
                { "name": "a", "roles": ["x"], "tokens-per-day": 1 }, { "name": "a", "tokens-per-day": 1 }
            ] }),
            "there are two rules of the `name` `a`",
        ),
    ] {
        assert_eq!(
            configure::<RateLimits>(&options.to_string()).err().as_deref(),
            Some(expected),
            "{options}"
        );
    }
    for (file, expected) in [
        (
            "[[rule]]\nper = ['user']",
            "`limits.toml`, line 2, rule 1, `per[0]`: unknown variant `user`, expected one of `principal`, `tenant`, `model`, `global`",
        ),
        (
            "[[rule]]\nunlimited = true\n[[rule]]\nroles = []\nrequests-per-day = 5",
            "`limits.toml`, rule 2: `roles` is empty, so the rule would be about nobody or nothing",
        ),
    ] {
        let error =
            configure_with_files::<RateLimits>(r#"{"file": "limits.toml"}"#, &[("limits.toml", file)]).err();
        assert_eq!(error.as_deref(), Some(expected), "{file}");
    }
}
