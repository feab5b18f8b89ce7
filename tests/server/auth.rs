//! The gate in front of the server, with the bundled plugin.

use mlx_gate_tests::{Folder, Server, guest, question_body, run};

/// A key file with one key for each of these names and further flags of `key new`; gives its path and the keys.
pub(crate) fn key_file(folder: &Folder, keys: &[(&str, &[&str])]) -> (String, Vec<String>) {
    let file = folder.at("keys.toml");
    let made = keys.iter().map(|(name, flags)| {
        let arguments = [&["key", "new", "--file", &file, "--name", name], *flags].concat();
        let made = run(&arguments, &[]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    });
    let made = made.collect();
    (file, made)
}

#[test]
fn keys_open_the_gate_in_both_header_styles() {
    let folder = Folder::new();
    let (file, keys) = key_file(&folder, &[("anna", &["--tenant", "acme", "--role", "admin"]), ("ben", &[])]);
    let server =
        Server::start(&["--plugin", &format!("auth_static_keys,file={file}"), "--log-format", "json"]);
    let client = server.client();
    for key in &keys {
        assert_eq!(client.clone().bearer(key).ask("What is 2 + 3?"), "2 + 3 = 5");
        assert_eq!(client.clone().with("x-api-key", key).ask("What is 2 + 3?"), "2 + 3 = 5");
        assert_eq!(
            client.clone().with("authorization", &format!("bearer {key}")).get("/v1/models").status,
            200
        );
        assert_eq!(client.clone().bearer(key).with("x-api-key", key).get("/v1/models").status, 200);
    }
    server.wait_for_log("\"principal\":\"anna\"");
    server.wait_for_log("\"tenant\":\"acme\"");
}

#[test]
fn everything_but_the_health_checks_is_closed() {
    let folder = Folder::new();
    let (file, keys) = key_file(&folder, &[("anna", &[]), ("ben", &[])]);
    let server = Server::start(&["--plugin", &format!("auth_static_keys,file={file}")]);
    let client = server.client();
    assert_eq!(client.get("/health").status, 200);
    assert_eq!(client.get("/ready").status, 200);

    for path in
        ["/v1/models", "/v1/models/any", "/v1/chat/completions", "/metrics", "/", "/health/", "/no/such"]
    {
        let reply = client.get(path);
        assert_eq!(reply.status, 401, "{path}: {}", reply.text);
        assert!(!reply.header("www-authenticate").is_empty(), "{path} sends no challenge");
    }
    let wrong = format!("{}x", keys[0]);
    let cases = [
        ("authorization", format!("Bearer {wrong}"), 401),
        ("authorization", "Bearer ".to_owned(), 401),
        ("authorization", "Basic YW5uYTphbm5h".to_owned(), 401),
        ("x-api-key", wrong.clone(), 401),
        ("x-api-key", String::new(), 401),
        ("cookie", format!("key={}", keys[0]), 401),
    ];
    for (name, value, status) in cases {
        let reply = client.clone().with(name, &value).get("/v1/models");
        assert_eq!(reply.status, status, "{name}: {value}: {}", reply.text);
        assert!(!reply.text.contains(&keys[0]), "the answer shows the key");
    }
    // Credentials that contradict each other are nobody's.
    let two = client.clone().bearer(&keys[0]).with("x-api-key", &keys[1]).get("/v1/models");
    assert_eq!(two.status, 400, "{}", two.text);
    let twice = client.clone().bearer(&keys[0]).bearer(&keys[1]).get("/v1/models");
    assert_eq!(twice.status, 400, "{}", twice.text);
}

#[test]
fn a_stranger_is_refused_before_the_body_is_read() {
    let server = Server::start_with(&[], &[("MLX_GATE_API_KEY", "one-key-for-all")]);
    let client = server.client();
    let not_json = client.post_bytes("/v1/chat/completions", "text/plain", b"not JSON");
    assert_eq!(not_json.status, 401, "{}", not_json.text);
    assert_eq!(client.clone().bearer("one-key-for-all").ask("What is 2 + 3?"), "2 + 3 = 5");
    assert_eq!(client.bearer("another-key").post("/v1/chat/completions", &question_body("hi")).status, 401);
}

#[test]
fn an_expired_key_is_refused() {
    let folder = Folder::new();
    let (file, keys) = key_file(&folder, &[("anna", &["--expires", "1d"])]);
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("expires")).unwrap();
    std::fs::write(&file, text.replace(line, "expires = \"2001-01-01T00:00:00Z\"")).unwrap();
    let server = Server::start(&["--plugin", &format!("auth_static_keys,file={file}")]);
    assert_eq!(server.client().bearer(&keys[0]).get("/v1/models").status, 401);
}

#[test]
fn a_plugin_that_fails_refuses_one_request_and_no_other() {
    let folder = Folder::new();
    for (name, code) in [
        ("trap.wasm", "(unreachable)"),
        ("loop.wasm", "(loop (br 0))"),
        ("eat.wasm", "(loop (drop (memory.grow (i32.const 16))) (br 0))"),
        ("recurse.wasm", "(drop (call $deeper (i32.const 0)))"),
    ] {
        let file = folder.write(name, guest(&[("check", code)]));
        let server = Server::start(&["--plugin", &file]);
        let client = server.client();
        for _ in 0..3 {
            let refused = client.get("/x/models");
            assert_eq!(refused.status, 503, "{name}: {}", refused.text);
            assert_eq!(refused.json()["error"]["code"], "plugin_unavailable", "{name}: {}", refused.text);
            assert_eq!(client.get("/v1/models").status, 200, "{name} has to go on serving others");
        }
        server.wait_for_log("guest");
    }
}
