//! A marker is planted in every header, in the query and in the prompt of requests that end in every way. No output has any of
//! them: no log at any level, no line of a logger, no answer, no header, no answer of the admin API.

use mlx_gate_tests::{Client, Folder, Reply, Server, built_guest, question_body, run};
use serde_json::json;

const ADMIN_KEY: &str = "marker-admin-key-0a51c7e0";
const PROMPT: &str = "marker-prompt-91c4aa07";

/// Headers that carry credentials, and others in which people put them.
const PLANTED: [(&str, &str); 14] = [
    ("authorization", "Bearer marker-authorization-18f2"),
    ("proxy-authorization", "Basic marker-proxy-77d1"),
    ("x-api-key", "marker-x-api-key-5b3c"),
    ("cookie", "session=marker-cookie-4d20"),
    ("x-forwarded-user", "marker-forwarded-user-c0de"),
    ("x-auth-request-user", "marker-auth-request-9a9a"),
    ("x-tenant-id", "marker-tenant-2f2f"),
    ("x-priority", "marker-priority-1b1b"),
    ("x-amz-security-token", "marker-amz-6e6e"),
    ("x-csrf-token", "marker-csrf-8d8d"),
    ("api-key", "marker-api-key-3c3c"),
    ("x-goog-api-key", "marker-goog-7f7f"),
    ("referer", "https://example.com/?token=marker-referer-5a5a"),
    ("user-agent", "marker-user-agent-4e4e"),
];

/// What came out of the server, with where.
struct Outputs(Vec<(String, String)>);

impl Outputs {
    fn keep(&mut self, of: &str, reply: &Reply) {
        self.0.push((of.to_owned(), format!("{}\n{:?}\n{}", reply.status, reply.headers, reply.text)));
    }

    fn hold_none_of(&self, markers: &[&str]) {
        for (of, text) in &self.0 {
            for marker in markers {
                let line = text.lines().find(|line| line.contains(marker));
                assert_eq!(line, None, "{of} holds {marker}");
            }
        }
    }
}

/// Requests that are answered, refused by each phase, and not understood.
fn provoke(client: &Client, outputs: &mut Outputs) {
    let chat = "/v1/chat/completions";
    let mut question = question_body(PROMPT);
    question["max_tokens"] = json!(2);
    outputs.keep("an answer", &client.post(chat, &question));
    question["stream"] = json!(true);
    outputs.keep("a stream", &client.post(chat, &question));
    question["frobnicate"] = json!(PROMPT);
    outputs.keep("an unknown field", &client.post(chat, &question));
    outputs.keep("no JSON", &client.post_bytes(chat, "application/json", PROMPT.as_bytes()));
    outputs.keep("an unknown path", &client.get(&format!("/v1/{PROMPT}?key={PROMPT}")));
    outputs.keep("models", &client.get(&format!("/v1/models?key={PROMPT}")));
}

/// Requests for which the hostile guest fails, or logs what it sees, in each phase.
fn provoke_the_guest(client: &Client, outputs: &mut Outputs) {
    let mut question = question_body(PROMPT);
    question["max_tokens"] = json!(2);
    for phase in ["authenticate", "authorize", "admit", "tag", "settle", "log"] {
        for deed in ["panic", "trap", "tell"] {
            let evil = client.clone().with("x-evil", &format!("{phase}.{deed}"));
            outputs.keep(&format!("{phase}.{deed}"), &evil.post("/v1/chat/completions", &question));
        }
    }
}

#[test]
fn no_output_holds_what_was_planted() {
    let folder = Folder::new();
    let keys = folder.at("keys.toml");
    let made = run(&["key", "new", "--file", &keys, "--name", "anna"], &[]);
    let key = made.stdout.trim().to_owned();
    let planted = PLANTED.map(|(_, value)| value.rsplit([' ', '=']).next().unwrap());
    let markers: Vec<&str> = planted.into_iter().chain([PROMPT, ADMIN_KEY, &key]).collect();

    for authenticator in [
        format!("{},grant.kv=true,grant.http=http://127.0.0.1:9", built_guest("hostile")),
        format!("auth_static_keys,file={keys}"),
        format!("auth_jwt,issuer=https://issuer.example,audience=us,jwks={}", jwks(&folder)),
        format!("auth_htpasswd,file={}", folder.write("users", "anna:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n")),
    ] {
        let access = folder.at("access.jsonl");
        let log = format!("access_log,file={access}");
        let server = Server::start_with(
            &[
                "--plugin",
                &authenticator,
                "--plugin",
                &log,
                "--plugin",
                "tenant_tags",
                "--rate-limit",
                "1000",
                "--admin",
                "127.0.0.1:0",
                "--log-level",
                "trace",
            ],
            &[("MLX_GATE_ADMIN_KEY", ADMIN_KEY)],
        );
        let mut outputs = Outputs(Vec::new());
        let client = server.client();
        let all = PLANTED.iter().fold(client.clone(), |client, (name, value)| client.with(name, value));
        provoke(&all, &mut outputs);
        provoke_the_guest(&all, &mut outputs);
        for (name, value) in PLANTED {
            provoke(&client.clone().with(name, value), &mut outputs);
        }
        provoke(&client.bearer(&key), &mut outputs);
        let admin = server.admin().bearer(ADMIN_KEY);
        outputs.keep("the plugins", &admin.get("/admin/plugins"));
        outputs.keep("the status", &admin.get("/admin/status"));
        outputs.keep("a stranger at the admin API", &server.admin().bearer(planted[0]).get("/admin/plugins"));

        server.interrupt();
        let (_, text) = server.wait();
        outputs.0.push(("the log".to_owned(), text));
        outputs.0.push(("the access log".to_owned(), std::fs::read_to_string(&access).unwrap()));
        std::fs::remove_file(&access).unwrap();
        outputs.hold_none_of(&markers);
    }
}

/// A key set that no token here was signed with.
fn jwks(folder: &Folder) -> String {
    let key = json!({"kty": "oct", "kid": "one", "alg": "HS256", "k": "bm90IGEga2V5IGFueWJvZHkgc2lnbmVkIHdpdGgsIGF0IGFsbA"});
    folder.write("jwks.json", json!({ "keys": [key] }).to_string())
}
