mod issuers;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mlx_gate_plugin::authenticate::{Authenticate as _, Grant, Verdict};
use mlx_gate_plugin::crypto::{Error, SignatureAlgorithm};
use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::testing::{FakeHost, configure_with_files, request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Jwt;
use crate::refusal::CHALLENGE;

const KEYS: &str = include_str!("../fixtures/jwks.json");
const SECRET: &str = include_str!("../fixtures/secret.txt");

/// A token with its verdict; `fixtures.py` makes them.
#[derive(Deserialize)]
struct Case {
    name: String,
    config: String,
    token: String,
    verdict: String,
    /// Where the signature is genuine.
    signed_by: Option<Signer>,
}

#[derive(Deserialize)]
struct Signer {
    key: String,
    algorithm: String,
}

/// Keys, a secret, and tokens with the verdict each must get.
struct Fixture {
    keys: &'static str,
    secret: &'static str,
    cases: &'static str,
}

/// The first is by `fixtures.py`, the second by `jose.mjs`.
const FIXTURES: [Fixture; 2] = [
    Fixture { keys: KEYS, secret: SECRET, cases: include_str!("../fixtures/cases.json") },
    Fixture {
        keys: include_str!("../fixtures/jose.jwks.json"),
        secret: include_str!("../fixtures/jose.secret.txt"),
        cases: include_str!("../fixtures/jose.cases.json"),
    },
];

impl Fixture {
    fn cases(&self) -> Vec<Case> {
        serde_json::from_str(self.cases).expect("the fixture is JSON")
    }
}

/// A host that knows which signatures are genuine. That the real one agrees is for the whole-server tests.
fn host_knows_the_signatures(fixture: &Fixture) {
    let keys: Value = serde_json::from_str(fixture.keys).expect("the fixture is JSON");
    let material = |jwk: &Value| ["k", "n", "x"].map(|name| jwk[name].as_str().map(str::to_owned));
    let genuine: Vec<_> = fixture
        .cases()
        .into_iter()
        .filter_map(|case| {
            let Signer { key, algorithm } = case.signed_by?;
            let jwk = keys["keys"].as_array()?.iter().find(|jwk| jwk["kid"] == key.as_str());
            let secret = json!({ "k": URL_SAFE_NO_PAD.encode(fixture.secret.trim_end()) });
            let (signed, signature) = case.token.rsplit_once('.')?;
            let algorithm = algorithm.replace("Ed25519", "EdDSA").to_uppercase();
            Some((algorithm, material(jwk.unwrap_or(&secret)), signed.to_owned(), signature.to_owned()))
        })
        .collect();
    FakeHost::on_verify(move |algorithm, jwk, message, signature| {
        let algorithm = format!("{algorithm:?}").rsplit("::").next().unwrap_or_default().to_uppercase();
        let jwk: Value = serde_json::from_str(jwk).expect("a key is JSON");
        let kty = match &algorithm[..2] {
            "HS" => "oct",
            "RS" | "PS" => "RSA",
            "ES" => "EC",
            _ => "OKP",
        };
        assert_eq!(jwk["kty"], kty, "{algorithm} was asked for with a key of another kind");
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(genuine.iter().any(|(its_algorithm, its_key, its_message, its_signature)| {
            *its_algorithm == algorithm
                && *its_key == material(&jwk)
                && its_message.as_bytes() == message
                && *its_signature == signature
        }))
    });
}

/// Any signature is right.
fn host_believes_everything() {
    FakeHost::on_verify(|_, _, _, _| Ok(true));
}

/// The plugin with options that take `KEYS`, and these over them. In place of a file's path stands its content.
fn configure(more: &Value) -> Result<Jwt, String> {
    let mut options = json!({ "issuer": "https://issuer.example", "audience": ["mlx-gate", "mlx-gate-2"] });
    if more.get("secret").is_none() && more.get("secret-file").is_none() {
        options["jwks"] = KEYS.into();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    let mut files = Vec::new();
    for (option, path) in [("jwks", "jwks.json"), ("secret-file", "secret.txt")] {
        if let Some(content) = options.get(option).and_then(Value::as_str) {
            files.push((path, content.to_owned()));
            options[option] = path.into();
        }
    }
    configure_with_files(&options.to_string(), &files)
}

fn plugin(more: &Value) -> Jwt {
    configure(more).expect("sound options")
}

fn ask(plugin: &Jwt, headers: &[(&str, &str)]) -> Verdict {
    plugin.authenticate(request("POST", "/v1/chat/completions", headers))
}

/// What the plugin says to these headers, in a few words.
fn check(plugin: &Jwt, headers: &[(&str, &str)]) -> String {
    match ask(plugin, headers) {
        Verdict::Abstain(challenge) => {
            assert_eq!(challenge.as_deref(), Some(CHALLENGE));
            "abstain".to_owned()
        }
        Verdict::Allow(Grant { principal, .. }) => format!("allow {}", principal.subject),
        Verdict::Deny(denial) => {
            let challenge = format!(r#"{CHALLENGE}, error="invalid_token""#);
            assert_eq!(denial.challenge, (denial.status == 401).then_some(challenge));
            format!("deny {} {}", denial.status, denial.code)
        }
    }
}

/// An unsigned token with these claims, for a host that believes everything.
fn token(claims: &Value) -> String {
    let mut all = json!({
        "iss": "https://issuer.example", "aud": "mlx-gate", "sub": "ana", "exp": 1_800_000_000
    });
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("Bearer {}.{}.", part(&json!({ "alg": "RS256", "kid": "rs256" })), part(&all))
}

#[test]
fn tokens_of_other_libraries_and_of_attackers() {
    for fixture in &FIXTURES {
        host_knows_the_signatures(fixture);
        let set = plugin(&json!({ "jwks": fixture.keys }));
        let secret = plugin(&json!({ "secret-file": fixture.secret }));
        for case in fixture.cases() {
            let plugin = if case.config == "secret" { &secret } else { &set };
            let bearer = format!("Bearer {}", case.token);
            let said = check(plugin, &[("authorization", &bearer)]);
            assert_eq!(said, case.verdict, "{}", case.name);
            if let Verdict::Deny(denial) = ask(plugin, &[("authorization", &bearer)]) {
                let parts = case.token.split('.').filter(|part| part.len() > 8);
                for part in parts {
                    assert!(!denial.message.contains(part), "{} shows the token", case.name);
                }
            }
        }
    }
}

#[test]
fn what_is_no_token_is_left_to_others() {
    host_believes_everything();
    let plugin = plugin(&json!({}));
    let good = token(&json!({}));
    let bare = good.trim_start_matches("Bearer ");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "abstain"),
        (&[("authorization", "Basic YTpi.c.d")], "abstain"),
        (&[("authorization", "Bearer")], "abstain"),
        (&[("authorization", "Bearer mlxg_0123456789")], "abstain"),
        (&[("authorization", "Bearer one.dot")], "abstain"),
        (&[("x-api-key", bare)], "abstain"),
        (&[("authorization", &good)], "allow ana"),
        (&[("authorization", &good.replace("Bearer", "bEARER "))], "allow ana"),
        (&[("authorization", &good), ("x-api-key", bare)], "allow ana"),
        (&[("authorization", &good), ("x-api-key", "other")], "deny 400 conflicting_credentials"),
        (&[("authorization", "Bearer a.b.c")], "deny 401 invalid_token"),
    ];
    for (headers, expected) in cases {
        assert_eq!(check(&plugin, headers), *expected, "{headers:?}");
    }
}

#[test]
fn time_is_judged_to_the_millisecond_with_leeway() {
    host_believes_everything();
    let at = |plugin: &Jwt, now_ms, claims: Value| {
        FakeHost::set_now_ms(now_ms);
        check(plugin, &[("authorization", &token(&claims))])
    };
    let (usual, strict) = (plugin(&json!({})), plugin(&json!({ "leeway": 0 })));
    let (exp, start) = (1_800_000_000_000, 1_700_000_000_000);
    for (plugin, leeway) in [(&usual, 30_000), (&strict, 0)] {
        assert_eq!(at(plugin, exp + leeway - 1, json!({})), "allow ana");
        assert_eq!(at(plugin, exp + leeway, json!({})), "deny 401 expired_token");
        for claim in ["nbf", "iat"] {
            assert_eq!(at(plugin, start - leeway, json!({ claim: start / 1000 })), "allow ana");
            let early = at(plugin, start - leeway - 1, json!({ claim: start / 1000 }));
            assert_eq!(early, "deny 401 token_not_yet_valid");
        }
    }
}

#[test]
fn claims_become_a_principal() {
    host_believes_everything();
    let principal =
        |more: Value, claims: Value| match ask(&plugin(&more), &[("authorization", &token(&claims))]) {
            Verdict::Allow(grant) => grant.principal,
            Verdict::Deny(denial) => panic!("{}", denial.message),
            Verdict::Abstain(_) => panic!("it is a token"),
        };
    let plain = principal(json!({}), json!({ "jti": "1" }));
    assert_eq!((plain.tenant, plain.roles.len(), plain.scopes.len(), plain.claims.len()), (None, 0, 0, 0));
    assert_eq!(plain.expires_at, Some(1_800_000_030_000));

    let usual = principal(
        json!({ "claims": ["jti", "n", "list", "absent"] }),
        json!({
            "tenant": "acme", "roles": ["a", "b"], "scope": "x y", "scp": ["no"], "jti": "7", "n": 1.5, "list": [1, "b"]
        }),
    );
    assert_eq!(usual.tenant.as_deref(), Some("acme"));
    assert_eq!((usual.roles, usual.scopes), (vec!["a".into(), "b".into()], vec!["x".into(), "y".into()]));
    let claims = [("jti", "7"), ("n", "1.5"), ("list", r#"[1,"b"]"#)];
    assert_eq!(usual.claims, claims.map(|(name, value)| (name.to_owned(), value.to_owned())));

    let other = principal(
        json!({
            "subject-claim": "email",
            "tenant-claim": "https://example.com/tenant",
            "roles-claim": "resource_access.llm.example.roles",
            "scopes-claim": "permissions",
        }),
        json!({
            "email": "ana@example.com",
            "https://example.com/tenant": "acme",
            "resource_access": { "llm": { "roles": ["no"] }, "llm.example": { "roles": "one  two" } },
            "permissions": ["read"],
            "scope": "no",
        }),
    );
    assert_eq!((other.subject.as_str(), other.tenant.as_deref()), ("ana@example.com", Some("acme")));
    assert_eq!((other.roles, other.scopes), (vec!["one".into(), "two".into()], vec!["read".into()]));
    let scp = principal(json!({}), json!({ "scp": ["read"] }));
    assert_eq!(scp.scopes, ["read"]);
}

#[test]
fn a_type_can_be_asked_for() {
    host_believes_everything();
    let plugin = plugin(&json!({ "typ": "at+jwt" }));
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let good = token(&json!({}));
    for (typ, verdict) in [
        (r#","typ":"at+jwt""#, "allow ana"),
        (r#","typ":"application/AT+JWT""#, "allow ana"),
        (r#","typ":"JWT""#, "deny 401 invalid_token"),
        ("", "deny 401 invalid_token"),
    ] {
        let header = part(&format!(r#"{{"alg":"RS256"{typ}}}"#));
        let bearer = format!("Bearer {header}.{}", good.split_once('.').expect("a token has dots").1);
        assert_eq!(check(&plugin, &[("authorization", &bearer)]), verdict, "{typ}");
    }
}

#[test]
fn only_allowed_algorithms_count_and_a_key_has_one() {
    FakeHost::on_verify(|algorithm, _, _, _| Ok(algorithm == SignatureAlgorithm::Ps512));
    let rsa = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    let set = json!({ "keys": [rsa] }).to_string();
    let claims = token(&json!({}));
    let ask = |algorithms: Value, alg: &str| {
        let plugin = plugin(&json!({ "jwks": set, "algorithms": algorithms }));
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
        let bearer = format!("Bearer {header}.{}", claims.split_once('.').expect("a token has dots").1);
        check(&plugin, &[("authorization", &bearer)])
    };
    assert_eq!(ask(json!(["PS512", "ES256"]), "PS512"), "allow ana");
    assert_eq!(ask(json!(["PS512"]), "RS256"), "deny 401 invalid_token");
    // Without a word on it, an RSA key is for RS256.
    assert_eq!(ask(json!([]), "PS512"), "deny 401 invalid_token");
    assert_eq!(FakeHost::take_log(), []);
    // The set's other keys are passed over, and it is said.
    plugin(&json!({ "algorithms": ["ES256"] }));
    assert_eq!(FakeHost::take_log(), [(Level::Info, "1 of 8 keys are of use here".to_owned())]);
}

#[test]
fn mistakes_name_the_option_and_never_a_key() {
    host_believes_everything();
    let jwks = |key: Value| json!({ "jwks": json!({ "keys": [key] }).to_string() });
    let one = "set one of `jwks`, `jwks-url`, `secret-file` and `secret`";
    let none = "`jwks.json`: none of its 1 keys checks signatures by an allowed algorithm";
    let rsa = |more: Value| {
        let mut key = json!({ "kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB" });
        key.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        jwks(key)
    };
    let many: Vec<_> = (0..65).map(|_| json!({ "kty": "RSA" })).collect();
    for (more, expected) in [
        (json!({ "jwks": KEYS, "secret": "x" }), one),
        (json!({ "jwks": null }), one),
        (json!({ "issuer": "" }), "`issuer` is empty"),
        (json!({ "audience": [] }), "`audience` needs at least one name, and none that is empty"),
        (json!({ "audience": "x" }), "`audience`: invalid type: string \"x\", expected a sequence"),
        (json!({ "leeway": 61 }), "`leeway` is at most 60 seconds"),
        (json!({ "claims": [""] }), "`claims` has at most 128 names of 1 to 256 bytes"),
        (
            json!({ "algorithms": ["none"] }),
            "`algorithms`: `none` is none of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, \
             ES512, EdDSA, Ed25519",
        ),
        (
            json!({ "secret": "hunter2" }),
            "`secret`: HS256 needs a secret of at least 32 bytes, and this one has 7",
        ),
        (
            json!({ "secret-file": format!("{}\r\n", "x".repeat(47)), "algorithms": ["HS384"] }),
            "`secret.txt`: HS384 needs a secret of at least 48 bytes, and this one has 47",
        ),
        (
            json!({ "secret": SECRET, "algorithms": ["HS256", "HS384"] }),
            "`secret`: it has no `alg`, and `algorithms` has both HS256 and HS384 for it; a key is for one algorithm",
        ),
        (
            json!({ "secret": SECRET, "algorithms": ["RS256"] }),
            "`secret`: `algorithms` names none for a secret (HS256, HS384, HS512)",
        ),
        (json!({ "jwks": "{\n}" }), "`jwks.json`: not a JSON Web Key Set; mistake at line 2, column 1"),
        (
            json!({ "jwks": "{\"keys\": []}" }),
            "`jwks.json`: none of its 0 keys checks signatures by an allowed algorithm",
        ),
        (
            json!({ "jwks": json!({ "keys": many }).to_string() }),
            "`jwks.json`: it has 65 keys; at most 64 are taken",
        ),
        (
            jwks(json!({ "kty": "oct", "k": "c2hvcnQ" })),
            "`jwks.json`, keys[0]: HS256 needs a secret of at least 32 bytes, and this one has 5",
        ),
        (jwks(json!({ "kty": "EC", "crv": "secp256k1" })), none),
        (rsa(json!({ "use": "enc" })), none),
        (rsa(json!({ "key_ops": ["sign"] })), none),
        (rsa(json!({ "alg": "RSA-OAEP" })), none),
        (rsa(json!({ "alg": "none" })), none),
        (
            rsa(json!({ "d": "AQAB" })),
            "`jwks.json`, key `a`: it is a private key (`d`); checking takes the public one alone",
        ),
        (
            rsa(json!({ "alg": "ES256" })),
            "`jwks.json`, key `a`: `alg` is ES256, which its `kty` and `crv` do not fit",
        ),
        (
            rsa(json!({ "alg": "HS256" })),
            "`jwks.json`, key `a`: `alg` is HS256, which its `kty` and `crv` do not fit",
        ),
    ] {
        assert_eq!(configure(&more).err().as_deref(), Some(expected), "{more}");
    }
    FakeHost::on_verify(|_, _, _, _| Err(Error::BadKey("n: missing".to_owned())));
    assert_eq!(configure(&rsa(json!({}))).err().as_deref(), Some("`jwks.json`, key `a`: n: missing"));
    FakeHost::on_verify(|_, _, _, _| Err(Error::Unsupported));
    let unsupported = "`jwks.json`, key `a`: this host does not have RS256";
    assert_eq!(configure(&rsa(json!({}))).err().as_deref(), Some(unsupported));
}
