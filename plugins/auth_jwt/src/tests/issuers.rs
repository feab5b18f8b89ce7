//! Several issuers, and keys that are fetched.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mlx_gate_plugin::authenticate::Verdict;
use mlx_gate_plugin::crypto::Error;
use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::jwks;
use mlx_gate_plugin::testing::{FakeHost, configure_with_files};
use serde_json::{Value, json};

use super::{ask, check, configure};
use crate::Jwt;

const URL: &str = "https://issuer.example/jwks.json";

/// A token of this issuer whose signature is the name of the key that made it.
fn signed(issuer: &str, header: &Value, key: &str) -> String {
    let claims = json!({ "iss": issuer, "aud": "mlx-gate", "sub": "ana", "exp": 1_800_000_000 });
    let [header, claims, signature] =
        [header.to_string(), claims.to_string(), key.to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("Bearer {header}.{claims}.{signature}")
}

fn by_key(kid: &str) -> String {
    signed("https://issuer.example", &json!({ "alg": "RS256", "kid": kid }), kid)
}

fn jwk(kid: &str) -> Value {
    json!({ "kty": "RSA", "n": kid, "e": "AQAB", "kid": kid })
}

/// A host that takes a signature for genuine if it is the key's own modulus.
fn host_knows_keys_by_name() {
    FakeHost::on_verify(|_, jwk, _, signature| {
        let jwk: Value = serde_json::from_str(jwk).expect("a key is JSON");
        match jwk["n"].as_str() {
            Some("broken") => Err(Error::BadKey("no modulus".to_owned())),
            name => Ok(name.is_some_and(|name| name.as_bytes() == signature)),
        }
    });
}

/// The set at `URL`, as the host hands it out.
fn set_is(keys: &[Value]) {
    let keys: Vec<_> = keys.to_vec();
    FakeHost::on_jwks(move |url, kid| {
        assert_eq!(url, URL);
        let fits = |key: &&Value| kid.is_none_or(|kid| key["kid"] == kid);
        Ok(keys.iter().filter(fits).map(Value::to_string).collect())
    });
}

fn fetching(more: &Value) -> Jwt {
    let mut options = json!({ "jwks": null, "jwks-url": URL });
    options.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    configure(&options).expect("sound options")
}

fn verdict(plugin: &Jwt, bearer: &str) -> String {
    check(plugin, &[("authorization", bearer)])
}

#[test]
fn keys_at_a_url_may_change() {
    host_knows_keys_by_name();
    let plugin = fetching(&json!({}));
    set_is(&[jwk("a")]);
    assert_eq!(verdict(&plugin, &by_key("a")), "allow ana");
    assert_eq!(verdict(&plugin, &by_key("b")), "deny 401 invalid_token");
    set_is(&[jwk("b")]);
    assert_eq!(verdict(&plugin, &by_key("b")), "allow ana");
    assert_eq!(verdict(&plugin, &by_key("a")), "deny 401 invalid_token");
    assert_eq!(FakeHost::take_log(), []);
    // A name says which key to ask, not whose word counts.
    let other = signed("https://issuer.example", &json!({ "alg": "RS256", "kid": "b" }), "a");
    assert_eq!(verdict(&plugin, &other), "deny 401 invalid_token");
}

#[test]
fn tokens_and_keys_without_a_name_find_each_other() {
    host_knows_keys_by_name();
    let nameless = json!({ "kty": "RSA", "n": "a", "e": "AQAB" });
    set_is(&[jwk("b"), nameless]);
    let plugin = fetching(&json!({}));
    assert_eq!(verdict(&plugin, &by_key("a")), "allow ana");
    let bare = |key: &str| signed("https://issuer.example", &json!({ "alg": "RS256" }), key);
    assert_eq!(verdict(&plugin, &bare("a")), "allow ana");
    assert_eq!(verdict(&plugin, &bare("b")), "allow ana");
    assert_eq!(verdict(&plugin, &bare("c")), "deny 401 invalid_token");
}

#[test]
fn what_is_fetched_is_held_to_the_same_rules() {
    host_knows_keys_by_name();
    let with = |kid: &str, more: Value| {
        let mut key = jwk(kid);
        key.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        key
    };
    set_is(&[
        with("private", json!({ "d": "AQAB" })),
        with("encryption", json!({ "use": "enc" })),
        with("other", json!({ "alg": "PS256" })),
        with("wrong", json!({ "alg": "ES256" })),
        with("broken", json!({})),
        json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32]), "kid": "secret" }),
        json!({ "kty": 7, "kid": "odd" }),
        jwk("good"),
    ]);
    let plugin = fetching(&json!({}));
    for (kid, said) in [
        (
            "private",
            "a key of the set cannot be used: it is a private key (`d`); checking takes the public one alone",
        ),
        ("encryption", ""),
        ("other", ""),
        ("wrong", "a key of the set cannot be used: `alg` is ES256, which its `kty` and `crv` do not fit"),
        ("broken", "a fetched key for RS256 cannot be used: Error::BadKey(\"no modulus\")"),
        ("odd", "a key of the set cannot be used: it is no JSON Web Key"),
    ] {
        assert_eq!(verdict(&plugin, &by_key(kid)), "deny 401 invalid_token", "{kid}");
        let log = FakeHost::take_log();
        assert_eq!(log.iter().any(|(_, text)| text == said), !said.is_empty(), "{kid}: {log:?}");
    }
    let hs256 = signed("https://issuer.example", &json!({ "alg": "HS256", "kid": "secret" }), "secret");
    assert_eq!(verdict(&plugin, &hs256), "deny 401 invalid_token");
    let said = "a key of the set cannot be used: it is a secret (`oct`), and what can be fetched is none";
    assert!(FakeHost::take_log().contains(&(Level::Warn, said.to_owned())));
    assert_eq!(verdict(&plugin, &by_key("good")), "allow ana");
    let strict = fetching(&json!({ "algorithms": ["ES256"] }));
    assert_eq!(verdict(&strict, &by_key("good")), "deny 401 invalid_token");
}

#[test]
fn without_the_set_nothing_is_decided() {
    host_knows_keys_by_name();
    let plugin = fetching(&json!({}));
    for (error, expected) in [
        (
            jwks::Error::Unavailable("no route".to_owned()),
            "the key set https://issuer.example/jwks.json is not to be had: no route",
        ),
        (
            jwks::Error::NotGranted("private".to_owned()),
            "the key set https://issuer.example/jwks.json may not be fetched: private",
        ),
    ] {
        FakeHost::on_jwks(move |_, _| Err(error.clone()));
        let asked = catch_unwind(AssertUnwindSafe(|| verdict(&plugin, &by_key("a"))));
        let text = asked.expect_err("it is no decision").downcast::<String>().expect("panics have texts");
        assert_eq!(*text, expected);
        // What is no token of this issuer's is refused without the set.
        assert_eq!(verdict(&plugin, "Bearer a.b.c"), "deny 401 invalid_token");
    }
}

#[test]
fn a_set_in_the_clear_is_pointed_out() {
    for (url, private) in [
        ("https://issuer.example/keys", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://[::1]/keys", true),
        ("http://[::1]:80/keys", true),
        ("http://localhost/keys", true),
        ("http://issuer.example/keys", false),
        ("http://127.issuer.example/keys", false),
        ("http://localhost.example:80?x", false),
    ] {
        fetching(&json!({ "jwks-url": url }));
        assert_eq!(FakeHost::take_log().is_empty(), private, "{url}");
    }
}

#[test]
fn of_several_issuers_the_one_named_decides() {
    host_knows_keys_by_name();
    let set = |kid: &str| json!({ "keys": [jwk(kid)] }).to_string();
    let options = json!({ "issuers": [
        { "issuer": "https://a.example", "audience": ["mlx-gate"], "jwks": "a.json", "tenant-claim": "sub",
          "subject-prefix": "a:" },
        { "issuer": "https://b.example", "audience": ["mlx-gate"], "jwks": "b.json", "subject-prefix": "b:" },
        { "issuer": "https://c.example", "audience": ["mlx-gate"], "jwks-url": URL, "subject-prefix": "" },
        { "issuer": "https://d.example", "audience": ["other"], "jwks": "a.json", "subject-prefix": "d:" },
    ] });
    let files = [("a.json", set("a")), ("b.json", set("b"))];
    let plugin = configure_with_files::<Jwt>(&options.to_string(), &files).expect("sound options");
    set_is(&[jwk("c")]);
    let from = |issuer: &str, key: &str| {
        verdict(
            &plugin,
            &signed(&format!("https://{issuer}.example"), &json!({ "alg": "RS256", "kid": key }), key),
        )
    };
    for issuer in ["a", "b", "c"] {
        for key in ["a", "b", "c"] {
            let allowed = match issuer {
                "a" => "allow a:ana",
                "b" => "allow b:ana",
                _ => "allow ana",
            };
            let expected = if issuer == key { allowed } else { "deny 401 invalid_token" };
            assert_eq!(from(issuer, key), expected, "{issuer} {key}");
        }
    }
    assert_eq!(from("d", "a"), "deny 401 wrong_audience");
    assert_eq!(from("e", "a"), "deny 401 wrong_issuer");
    let tenant = |issuer: &str| {
        let bearer =
            signed(&format!("https://{issuer}.example"), &json!({ "alg": "RS256", "kid": issuer }), issuer);
        match ask(&plugin, &[("authorization", &bearer)]) {
            Verdict::Allow(grant) => grant.principal.tenant,
            _ => panic!("it is a good token"),
        }
    };
    assert_eq!((tenant("a").as_deref(), tenant("b")), (Some("ana"), None));
}

#[test]
fn a_good_answer_may_be_reused_for_a_while() {
    FakeHost::on_verify(|_, _, _, _| Ok(true));
    let token = super::token(&json!({}));
    for (more, expected) in [
        (json!({}), Some(60_000)),
        (json!({ "cache-for-ms": 5 }), Some(5)),
        (json!({ "cache-for-ms": 0 }), None),
    ] {
        let Verdict::Allow(grant) = ask(&super::plugin(&more), &[("authorization", &token)]) else {
            panic!("it is a good token");
        };
        assert_eq!(grant.cache_for_ms, expected, "{more}");
        assert!(grant.principal.expires_at.is_some(), "the answer never outlives its token");
    }
}

#[test]
fn mistakes_name_the_issuer() {
    FakeHost::on_verify(|_, _, _, _| Ok(true));
    let prefixed = |name: &str, prefix: &str| json!({ "issuer": name, "audience": ["x"], "jwks-url": URL, "subject-prefix": prefix });
    let issuer = |name: &str| prefixed(name, "");
    let many: Vec<_> = (0..17).map(|n| issuer(&n.to_string())).collect();
    for (options, expected) in [
        (json!({ "issuers": [] }), "`issuers` has 1 to 16 entries"),
        (json!({ "issuers": many }), "`issuers` has 1 to 16 entries"),
        (
            json!({ "issuers": [issuer("a"), issuer("a")] }),
            "issuers 2, `issuer` is that of another entry too",
        ),
        (
            json!({ "issuers": [issuer("a"), { "issuer": "b", "audience": ["x"], "jwks-url": URL }] }),
            "issuers 2, `subject-prefix` is missing: a subject is one person's within its issuer only, and each issuer could \
             name the others' users; `\"\"` says that they all mean the same people",
        ),
        (
            json!({ "issuers": [issuer("a"), prefixed("b", "ci"), prefixed("c", "ci:")] }),
            "issuers 3, `subject-prefix` `ci:` and another entry's `ci` begin alike",
        ),
        (
            json!({ "issuers": [prefixed("a", &"x".repeat(65))] }),
            "`subject-prefix` has at most 64 bytes and no control characters",
        ),
        (
            json!({ "issuers": [issuer("a")], "audience": ["x"], "leeway": 1 }),
            "beside `issuers`, `audience`, `leeway` would be nobody's; put it inside",
        ),
        (
            json!({ "issuers": [issuer("a"), { "issuer": "b", "audience": "x" }] }),
            "`issuers[1].audience`: invalid type: string \"x\", expected a sequence",
        ),
        (
            json!({ "issuers": [issuer("a"), { "issuer": "b", "audience": ["x"], "subject-prefix": "b:" }] }),
            "issuers 2, set one of `jwks`, `jwks-url`, `secret-file` and `secret`",
        ),
        (json!({ "issuer": "a" }), "missing field `audience`"),
        (json!({ "cache-for-ms": -1 }), "`cache-for-ms`: invalid value: integer `-1`, expected u64"),
    ] {
        let found = configure_with_files::<Jwt>(&options.to_string(), &[] as &[(&str, &str)]).err();
        assert_eq!(found.as_deref(), Some(expected), "{options}");
    }
}
