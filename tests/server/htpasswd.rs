//! `auth_htpasswd` in front of the server: files of Apache's `htpasswd`, checked by the host's own cryptography.

use mlx_gate_tests::{Folder, Server};

const USERS: &str = include_str!("../../plugins/auth_htpasswd/fixtures/users.htpasswd");
const PASSWORDS: &str = include_str!("../../plugins/auth_htpasswd/fixtures/users.tsv");

/// Users and their passwords, as they were given to `htpasswd`.
fn passwords() -> impl Iterator<Item = (&'static str, &'static str)> {
    PASSWORDS.lines().map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), fields.next().unwrap())
    })
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).map(|group| {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        let digit = |index: usize| match index {
            index if index > group.len() => '=',
            index => char::from(ALPHABET[bits >> (18 - 6 * index) & 63]),
        };
        String::from_iter([digit(0), digit(1), digit(2), digit(3)])
    });
    groups.collect()
}

#[test]
fn apaches_users_get_in_with_their_passwords() {
    let folder = Folder::new();
    let file = folder.write("users.htpasswd", USERS);
    let groups = folder.write("groups", "admin: anna\n");
    let plugin = format!("auth_htpasswd,file={file},groups={groups},tenant=acme,failures-per-minute=0");
    let server = Server::start(&["--plugin", &plugin, "--log-format", "json"]);
    let client = server.client();
    for (user, password) in passwords() {
        let ask = |user: &str, password: &str| {
            client.clone().with("authorization", &basic(user, password)).get("/v1/models")
        };
        let good = ask(user, password);
        assert_eq!(good.status, 200, "{user}: {}", good.text);
        let stranger = ask(&format!("{user}x"), password);
        for wrong in ["", "x", &format!("{password} "), &password.to_uppercase()] {
            let reply = ask(user, wrong);
            assert_eq!(reply.status, 401, "{user} {wrong}: {}", reply.text);
            assert_eq!(reply.json()["error"]["code"], "invalid_credentials");
            assert_eq!(reply.header("www-authenticate"), r#"Basic realm="mlx-gate", charset="UTF-8""#);
            assert_eq!(reply.json()["error"]["message"], stranger.json()["error"]["message"]);
        }
    }
    server.wait_for_log("\"principal\":\"чеслав\"");
    server.wait_for_log("\"tenant\":\"acme\"");
    for (user, password) in passwords() {
        let log = server.log();
        assert!(!log.contains(password) && !log.contains(&basic(user, password)), "the log shows {password}");
    }
}

#[test]
fn basic_and_other_credentials_do_not_mix() {
    let folder = Folder::new();
    let file = folder.write("users.htpasswd", USERS);
    let server = Server::start(&["--plugin", &format!("auth_htpasswd,file={file},realm=the lab")]);
    let client = server.client();
    let anna = basic("anna", "correct horse battery staple");
    assert_eq!(client.clone().with("authorization", &anna).ask("What is 2 + 3?"), "2 + 3 = 5");
    let none = client.get("/v1/models");
    assert_eq!(
        (none.status, none.header("www-authenticate")),
        (401, r#"Basic realm="the lab", charset="UTF-8""#)
    );
    assert_eq!(client.clone().bearer("key").get("/v1/models").status, 401);
    let malformed = client.clone().with("authorization", "Basic anna:x").get("/v1/models");
    assert_eq!(malformed.json()["error"]["code"], "malformed_credentials", "{}", malformed.text);
    let both = client.clone().with("authorization", &anna).with("x-api-key", "k").get("/v1/models");
    assert_eq!((both.status, both.json()["error"]["code"].as_str()), (400, Some("conflicting_credentials")));
    let twice = client.with("authorization", &anna).with("authorization", &anna).get("/v1/models");
    assert_eq!(twice.status, 400, "{}", twice.text);
}

#[test]
fn who_guesses_has_to_wait_and_nobody_else() {
    let folder = Folder::new();
    let file = folder.write("users.htpasswd", USERS);
    let plugin = format!("auth_htpasswd,file={file},failures-per-minute=3");
    let server = Server::start(&["--plugin", &plugin, "--trusted-proxy", "127.0.0.1"]);
    let ask = |peer: &str, user: &str, password: &str| {
        let client = server.client().with("x-forwarded-for", peer);
        client.with("authorization", &basic(user, password)).get("/v1/models")
    };
    let mut users = passwords();
    let (anna, hers) = users.next().expect("a user");
    let (other, his) = users.next().expect("another");
    assert_eq!(ask("192.0.2.1", anna, hers).status, 200);
    for guess in ["a", "b", "c"] {
        assert_eq!(ask("192.0.2.1", other, guess).status, 401);
    }
    let late = ask("192.0.2.1", other, his);
    assert_eq!((late.status, late.json()["error"]["code"].as_str()), (429, Some("too_many_attempts")));
    let seconds: u64 = late.header("retry-after").parse().expect("a number of seconds");
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(ask("192.0.2.1", anna, hers).status, 200, "who was let in before is not asked again");
    assert_eq!(ask("192.0.2.2", other, his).status, 200);
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start() {
    let folder = Folder::new();
    for (line, expected) in [
        ("old:3YSpNDNK/et4k", vec!["line 2", "`old`", "DES crypt", "htpasswd -B"]),
        ("old:in-the-clear", vec!["line 2", "`old`", "plain text"]),
        ("in-the-clear", vec!["line 2", "USER:HASH"]),
        ("old:$2y$17$aG7IkxXoRBkhAGg00DhxguU2NEKx7BEFXbOW8bbsMwxKF/Vvm0qpS", vec!["line 2", "cost", "16"]),
    ] {
        let file = folder.write("users.htpasswd", format!("# users\n{line}\n"));
        let ended = Server::try_start(&["--plugin", &format!("auth_htpasswd,file={file}")], &[]);
        let Err(ended) = ended else { panic!("the server started with `{line}`") };
        for text in expected.into_iter().chain(["users.htpasswd"]) {
            assert!(ended.stderr.contains(text), "{line}: `{text}` is not in\n{}", ended.stderr);
        }
        let secret = line.trim_start_matches("old:");
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}
