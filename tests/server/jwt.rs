//! `auth_jwt` in front of the server: the tokens its unit tests know, checked by the host's own cryptography.

use mlx_gate_tests::{Client, Folder, Reply, Server, run};
use serde_json::Value;

const KEYS: &str = include_str!("../../plugins/auth_jwt/fixtures/jwks.json");
const SECRET: &str = include_str!("../../plugins/auth_jwt/fixtures/secret.txt");
const CASES: &str = include_str!("../../plugins/auth_jwt/fixtures/cases.json");

/// Keys, a secret, and tokens with the verdict each must get: of PyJWT and Authlib, and of jose.
const FIXTURES: [[&str; 3]; 2] = [
    [KEYS, SECRET, CASES],
    [
        include_str!("../../plugins/auth_jwt/fixtures/jose.jwks.json"),
        include_str!("../../plugins/auth_jwt/fixtures/jose.secret.txt"),
        include_str!("../../plugins/auth_jwt/fixtures/jose.cases.json"),
    ],
];

const OPTIONS: &str = "issuer=https://issuer.example,audience=mlx-gate,audience=mlx-gate-2";

fn cases(fixture: &str) -> Vec<Value> {
    serde_json::from_str(fixture).unwrap()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

/// A genuine token of the first case.
fn good_token() -> String {
    text(&cases(CASES)[0], "token").to_owned()
}

fn models(client: &Client, token: &str) -> Reply {
    client.clone().bearer(token).get("/v1/models")
}

#[test]
fn tokens_of_other_libraries_get_in_and_those_of_attackers_do_not() {
    let (mut allowed, mut denied) = (0, 0);
    for [keys, secret, fixture] in FIXTURES {
        let folder = Folder::new();
        let (keys, secret_file) = (folder.write("jwks.json", keys), folder.write("secret.txt", secret));
        let set = Server::start(&["--plugin", &format!("auth_jwt,{OPTIONS},jwks={keys}")]);
        let shared = Server::start(&["--plugin", &format!("auth_jwt,{OPTIONS},secret-file={secret_file}")]);
        let (set_client, shared_client) = (set.client(), shared.client());
        for case in cases(fixture) {
            let client = if case["config"] == "secret" { &shared_client } else { &set_client };
            let (name, token, verdict) = (text(&case, "name"), text(&case, "token"), text(&case, "verdict"));
            let reply = models(client, token);
            if verdict.starts_with("allow") {
                allowed += 1;
                assert_eq!(reply.status, 200, "{name}: {}", reply.text);
                continue;
            }
            denied += 1;
            let (status, code) = verdict.trim_start_matches("deny ").split_once(' ').unwrap();
            assert_eq!(reply.status.to_string(), status, "{name}: {}", reply.text);
            assert_eq!(reply.json()["error"]["code"], code, "{name}: {}", reply.text);
            assert!(reply.header("www-authenticate").contains(r#"error="invalid_token""#), "{name}");
        }
        for log in [set.log(), shared.log()] {
            for case in cases(fixture) {
                let parts = text(&case, "token").split('.').filter(|part| part.len() > 8);
                for part in parts {
                    assert!(!log.contains(part), "the log shows the token of `{}`", text(&case, "name"));
                }
            }
            assert!(!log.contains(secret.trim()), "the log shows the secret");
        }
    }
    assert!(allowed > 30 && denied > 150, "{allowed} tokens were good, {denied} were not");
}

#[test]
fn a_token_opens_the_chat_and_names_its_owner() {
    let folder = Folder::new();
    let keys = folder.write("jwks.json", KEYS);
    let plugin = format!("auth_jwt,{OPTIONS},jwks={keys}");
    let server = Server::start(&["--plugin", &plugin, "--log-format", "json"]);
    let client = server.client();
    assert_eq!(client.clone().bearer(&good_token()).ask("What is 2 + 3?"), "2 + 3 = 5");
    server.wait_for_log("\"principal\":\"ana\"");
    let none = client.get("/v1/models");
    assert_eq!((none.status, none.header("www-authenticate")), (401, r#"Bearer realm="mlx-gate""#));
    let twice = client.clone().bearer(&good_token()).bearer(&good_token()).get("/v1/models");
    assert_eq!(twice.status, 400, "{}", twice.text);
    let both = client.bearer(&good_token()).with("x-api-key", "other").get("/v1/models");
    assert_eq!((both.status, both.json()["error"]["code"].as_str()), (400, Some("conflicting_credentials")));
}

#[test]
fn tokens_and_keys_stand_side_by_side() {
    let folder = Folder::new();
    let (jwks, keys) = (folder.write("jwks.json", KEYS), folder.at("keys.toml"));
    let made = run(&["key", "new", "--file", &keys, "--name", "bob"], &[]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let jwt = format!("auth_jwt,{OPTIONS},jwks={jwks}");
    let static_keys = format!("auth_static_keys,file={keys}");
    // The keys may come first where they leave alone what they do not know.
    let abstaining = format!("{static_keys},unknown=abstain");
    for (first, second) in [(&jwt, &static_keys), (&abstaining, &jwt)] {
        let server = Server::start(&["--plugin", first, "--plugin", second]);
        let client = server.client();
        assert_eq!(models(&client, &good_token()).status, 200);
        assert_eq!(models(&client, made.stdout.trim()).status, 200);
        assert_eq!(models(&client, "nobodys-key").json()["error"]["code"], "invalid_api_key");
        assert_eq!(models(&client, "a.b.c").json()["error"]["code"], "invalid_token");
    }
}

#[test]
fn a_wrong_configuration_stops_the_start() {
    let folder = Folder::new();
    let short = "this-is-a-secret";
    let short_file = folder.write("short.txt", short);
    let weak = r#"{"keys":[{"kty":"RSA","kid":"weak","n":"wKLGCe9p","e":"AQAB"}]}"#;
    let weak = folder.write("weak.json", weak);
    for (options, expected) in [
        (format!("issuer=x,audience=y,secret-file={short_file}"), vec!["short.txt", "32 bytes"]),
        (format!("issuer=x,audience=y,jwks={weak}"), vec!["weak.json", "weak", "2048"]),
        (format!("issuer=x,jwks={weak}"), vec!["audience"]),
        (format!("audience=x,jwks={weak}"), vec!["issuer"]),
        (format!("issuer=x,audience=y,jwks={weak},leeway=61"), vec!["leeway", "60"]),
        ("issuer=x,audience=y".to_owned(), vec!["jwks", "secret-file"]),
    ] {
        let ended = Server::try_start(&["--plugin", &format!("auth_jwt,{options}")], &[]);
        let Err(ended) = ended else { panic!("the server started with {options}") };
        for text in expected {
            assert!(ended.stderr.contains(text), "{options}: `{text}` is not in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains(short), "{}", ended.stderr);
    }
}
