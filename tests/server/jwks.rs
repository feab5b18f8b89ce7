//! `auth_jwt` with keys from a URL: they are fetched when they are needed, and may change while the server runs.

use std::sync::{Arc, Mutex};

use mlx_gate_tests::{Answer, Authority, Folder, Reply, Server, Web};
use serde_json::{Value, json};

const KEYS: &str = include_str!("../../plugins/auth_jwt/fixtures/jose.jwks.json");
const CASES: &str = include_str!("../../plugins/auth_jwt/fixtures/jose.cases.json");

const OPTIONS: &str = "issuer=https://issuer.example,audience=mlx-gate";

/// A token that `jose` signed by this algorithm, with a key called `jose-ALGORITHM`.
fn token(algorithm: &str) -> String {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let name = format!("jose {algorithm}");
    cases.iter().find(|case| case["name"] == name.as_str()).unwrap()["token"].as_str().unwrap().to_owned()
}

/// The set with the keys of these algorithms.
fn set(algorithms: &[&str]) -> String {
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    let wanted = |key: &&Value| algorithms.iter().any(|algorithm| key["alg"] == *algorithm);
    json!({ "keys": keys["keys"].as_array().unwrap().iter().filter(wanted).collect::<Vec<_>>() }).to_string()
}

/// An issuer whose set can be changed.
fn issuer(algorithms: &[&str]) -> (Web, Arc<Mutex<Answer>>) {
    let answer = Arc::new(Mutex::new(Answer::new(200, &[], set(algorithms))));
    let current = answer.clone();
    (Web::start(move |_| current.lock().unwrap().clone()), answer)
}

fn start(web: &Web, more: &str) -> Server {
    Server::start(&["--plugin", &format!("auth_jwt,{OPTIONS},jwks-url={}{more}", web.url("/jwks.json"))])
}

fn models(server: &Server, algorithm: &str) -> Reply {
    server.client().bearer(&token(algorithm)).get("/v1/models")
}

#[test]
fn keys_rotate_without_a_restart() {
    let (web, answer) = issuer(&["RS256"]);
    let server = start(&web, ",cache-for-ms=0");
    assert_eq!(web.asked().len(), 0, "nothing is fetched before it is needed");
    assert_eq!(models(&server, "RS256").status, 200);
    assert_eq!(models(&server, "RS256").status, 200);
    assert_eq!(web.asked().len(), 1, "a set is fetched once");
    *answer.lock().unwrap() = Answer::new(200, &[], set(&["ES256"]));
    // Nobody looks before a token asks for a key that is new.
    assert_eq!(models(&server, "RS256").status, 200);
    assert_eq!(models(&server, "ES256").status, 200);
    assert_eq!(web.asked().len(), 2);
    let withdrawn = models(&server, "RS256");
    assert_eq!((withdrawn.status, withdrawn.json()["error"]["code"].as_str()), (401, Some("invalid_token")));
    // Anybody can make up a key's name, and nobody can make the server ask each time.
    for _ in 0..5 {
        assert_eq!(models(&server, "PS256").status, 401);
    }
    assert_eq!(web.asked().len(), 2);
}

#[test]
fn every_algorithm_of_jose_is_checked_with_a_fetched_key() {
    let all =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
    let (web, _) = issuer(&all);
    let server = start(&web, "");
    for algorithm in all {
        assert_eq!(models(&server, algorithm).status, 200, "{algorithm}");
    }
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    for case in cases.iter().filter(|case| case["config"] == "set" && case["verdict"] != "allow ana") {
        let reply = server.client().bearer(case["token"].as_str().unwrap()).get("/v1/models");
        assert_eq!(reply.status, 401, "{}: {}", case["name"], reply.text);
    }
}

#[test]
fn without_a_set_nothing_is_decided() {
    let elsewhere = Web::start(|_| Answer::new(200, &[], set(&["RS256"])));
    let redirect = Answer::new(302, &[("location", &elsewhere.url("/jwks.json"))], "");
    for answer in
        [Answer::new(500, &[], ""), Answer::new(200, &[], "<html>"), Answer::new(200, &[], "{}"), redirect]
    {
        let (web, current) = issuer(&[]);
        *current.lock().unwrap() = answer.clone();
        let server = start(&web, "");
        let reply = models(&server, "RS256");
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (503, &json!("plugin_unavailable")),
            "{answer:?}"
        );
        server.wait_for_log("key set");
        assert_eq!(server.client().get("/v1/models").status, 401, "who has no token is told so");
    }
    assert_eq!(elsewhere.asked().len(), 0, "redirects are not followed");
}

#[test]
fn of_several_issuers_each_has_its_own_keys() {
    let (web, _) = issuer(&["ES256"]);
    let folder = Folder::new();
    let file = folder.write("jwks.json", set(&["RS256"]));
    let config = format!(
        r#"
        [[plugin]]
        source = "auth_jwt"

        [[plugin.options.issuers]]
        issuer = "https://issuer.example"
        audience = ["mlx-gate"]
        jwks-url = "{}"
        subject-prefix = "issuer:"

        [[plugin.options.issuers]]
        issuer = "https://other.example"
        audience = ["mlx-gate"]
        jwks = "{file}"
        subject-prefix = ""
        "#,
        web.url("/jwks.json")
    );
    let server = Server::start(&["--config", &folder.write("mlx-gate.toml", config)]);
    assert_eq!(models(&server, "ES256").status, 200);
    let foreign = models(&server, "RS256");
    assert_eq!(
        foreign.json()["error"]["code"],
        "invalid_token",
        "a key of another issuer signs for no other"
    );
}

#[test]
fn over_tls_keys_come_only_from_whom_a_trusted_certificate_vouches_for() {
    let (theirs, folder) = (Authority::new(), Folder::new());
    let web = Web::start_tls(&theirs, |_| Answer::new(200, &[], set(&["RS256"])));
    let server = start(&web, &format!(",grant.http-ca={}", folder.write("ca.pem", &theirs.pem)));
    assert_eq!(models(&server, "RS256").status, 200);

    let before = web.asked().len();
    let server = start(&web, "");
    assert_eq!(models(&server, "RS256").status, 503);
    server.wait_for_log("certificate");
    assert_eq!(web.asked().len(), before);
}
