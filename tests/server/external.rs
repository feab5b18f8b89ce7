//! `auth_external` in front of the server: an authentication server decides, and nobody gets in without it.

use std::net::TcpListener;

use mlx_gate_tests::{Answer, Asked, Authority, Folder, Reply, Server, Web};
use serde_json::Value;

const KEY: &str = "marker-key-6c1f";

/// Knows one key, and is asked for trouble by others.
fn authority(asked: &Asked) -> Answer {
    let known = [("x-auth-subject", "ana"), ("x-auth-tenant", "acme"), ("x-auth-roles", "dev ops")];
    match asked.header("authorization").trim_start_matches("Bearer ") {
        KEY => Answer::new(200, &known, ""),
        "cached" => Answer::new(200, &[&known[..], &[("cache-control", "max-age=60")]].concat(), ""),
        "nameless" => Answer::new(200, &[], ""),
        "barred" => Answer::new(403, &[], "marker-body"),
        "login" if asked.path == "/login" => Answer::new(200, &[], "<html>log in</html>"),
        "login" => Answer::new(302, &[("location", "/login")], ""),
        "away" => Answer::new(302, &[("location", "http://127.0.0.2:9/")], ""),
        "broken" => Answer::new(500, &known, ""),
        "huge" => Answer::new(200, &known, "x".repeat(4 << 20)),
        "slow" => Answer::Silence,
        _ => Answer::new(401, &[("www-authenticate", r#"Bearer realm="theirs""#)], "marker-body"),
    }
}

fn start(web: &Web, more: &str) -> Server {
    let plugin = format!("auth_external,url={}{more}", web.url("/check"));
    Server::start(&["--plugin", &plugin, "--log-format", "json"])
}

fn models(server: &Server, key: &str) -> Reply {
    server.client().bearer(key).get("/v1/models")
}

fn code(reply: &Reply) -> (u16, Value) {
    (reply.status, reply.json()["error"]["code"].clone())
}

#[test]
fn the_authority_says_yes_and_no() {
    let web = Web::start(authority);
    let server = start(&web, "");
    assert_eq!(server.client().bearer(KEY).ask("What is 2 + 3?"), "2 + 3 = 5");
    server.wait_for_log("\"principal\":\"ana\"");
    server.wait_for_log("\"tenant\":\"acme\"");
    let stranger = models(&server, "marker-wrong-0a2b");
    assert_eq!(code(&stranger), (401, "invalid_credentials".into()));
    assert_eq!(stranger.header("www-authenticate"), r#"Bearer realm="theirs""#);
    assert!(!stranger.text.contains("marker-body"), "{}", stranger.text);
    assert_eq!(code(&models(&server, "barred")), (403, "access_denied".into()));

    let before = web.asked().len();
    let none = server.client().get("/v1/models");
    assert_eq!((none.status, none.header("www-authenticate")), (401, r#"Bearer realm="mlx-gate""#));
    assert_eq!(web.asked().len(), before, "nobody is asked about callers without a credential");
    for marker in [KEY, "marker-wrong-0a2b", "marker-body"] {
        assert!(!server.log().contains(marker), "the log shows {marker}");
    }
}

#[test]
fn the_authority_gets_what_was_declared_and_nothing_else() {
    let web = Web::start(authority);
    let server = start(&web, "");
    let client = server.client().bearer(KEY).with("cookie", "marker").with("x-auth-subject", "marker");
    let client = client.with("x-forwarded-uri", "/marker").with("x-forwarded-for", "203.0.113.9");
    assert_eq!(client.get("/v1/models?marker=marker").status, 200);
    let [asked] = &web.asked()[..] else { panic!("asked {} times", web.asked().len()) };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/check"));
    assert_eq!(asked.header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(asked.header("x-forwarded-method"), "GET");
    assert_eq!(asked.header("x-forwarded-uri"), "/v1/models");
    assert_eq!(asked.header("x-forwarded-for"), "127.0.0.1");
    assert!(!asked.header("x-request-id").is_empty());
    assert!(!format!("{asked:?}").contains("marker\""), "{asked:?}");
    server.wait_for_log("\"principal\":\"ana\"");

    let cookies = start(&web, ",forward=cookie,always=true");
    assert_eq!(cookies.client().with("cookie", "session=1").get("/v1/models").status, 401);
    let last = web.asked().pop().unwrap();
    assert_eq!((last.header("cookie"), last.header("authorization")), ("session=1", ""));
}

#[test]
fn no_answer_is_nobodys_leave() {
    let web = Web::start(authority);
    let server = start(&web, ",timeout-ms=300");
    for (key, told) in [
        ("nameless", "a yes without a name"),
        ("login", "a yes without a name"),
        ("away", "127.0.0.2"),
        ("broken", "status 500"),
        ("huge", "more than the host takes"),
        ("slow", "300 ms"),
    ] {
        assert_eq!(code(&models(&server, key)), (503, "plugin_unavailable".into()), "{key}");
        server.wait_for_log(told);
    }
    // One who has an answer gets it meanwhile.
    assert_eq!(models(&server, KEY).status, 200);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let server = Server::start(&["--plugin", &format!("auth_external,url=http://{address}/check")]);
    assert_eq!(code(&models(&server, KEY)), (503, "plugin_unavailable".into()));
    assert_eq!(server.client().get("/health").status, 200);
}

#[test]
fn an_answer_is_reused_where_it_says_so() {
    let web = Web::start(authority);
    let server = start(&web, "");
    for (key, expected) in [("cached", 1), (KEY, 3), ("barred", 3)] {
        let before = web.asked().len();
        let statuses: Vec<_> = (0..3).map(|_| models(&server, key).status).collect();
        assert_eq!(statuses, [statuses[0]; 3], "{key}");
        assert_eq!(web.asked().len() - before, expected, "{key}");
    }
    let never = start(&web, ",cache-for-ms=0");
    let before = web.asked().len();
    assert_eq!([models(&never, "cached").status, models(&never, "cached").status], [200, 200]);
    assert_eq!(web.asked().len() - before, 2);
}

#[test]
fn a_body_can_say_who_it_is() {
    let web = Web::start(|_| Answer::new(200, &[], r#"{"user": {"id": "ben"}, "groups": ["dev"]}"#));
    let server = start(&web, ",subject=/user/id,roles=/groups");
    assert_eq!(models(&server, KEY).status, 200);
    server.wait_for_log("\"principal\":\"ben\"");
}

#[test]
fn a_wrong_configuration_stops_the_start() {
    for (options, expected) in [
        ("", "url"),
        ("url=check", "url"),
        ("url=http://127.0.0.1:9/,forward=host", "forward"),
        ("url=http://127.0.0.1:9/,timeout-ms=0", "timeout-ms"),
        ("url=http://127.0.0.1:9/,subject=a b", "subject"),
    ] {
        let plugin =
            if options.is_empty() { "auth_external".to_owned() } else { format!("auth_external,{options}") };
        let Err(ended) = Server::try_start(&["--plugin", &plugin], &[]) else {
            panic!("the server started with {options}")
        };
        assert!(ended.stderr.contains(&format!("`{expected}")), "{options}: {}", ended.stderr);
    }
}

#[test]
fn over_tls_only_whom_a_trusted_certificate_vouches_for_is_asked() {
    let (theirs, folder) = (Authority::new(), Folder::new());
    let web = Web::start_tls(&theirs, authority);
    let trusted = folder.write("ca.pem", &theirs.pem);
    let server = start(&web, &format!(",grant.http-ca={trusted}"));
    assert_eq!(models(&server, KEY).status, 200);
    assert_eq!(code(&models(&server, "wrong")), (401, "invalid_credentials".into()));

    let before = web.asked().len();
    let another = folder.write("another.pem", &Authority::new().pem);
    for more in [String::new(), format!(",grant.http-ca={another}")] {
        let server = start(&web, &more);
        assert_eq!(code(&models(&server, KEY)), (503, "plugin_unavailable".into()), "{more}");
        server.wait_for_log("certificate");
    }
    assert_eq!(web.asked().len(), before, "no credential is sent to a server that nobody vouches for");
}

#[test]
fn certificates_that_are_none_stop_the_start() {
    let folder = Folder::new();
    let key = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    let empty = folder.write("empty.pem", "not a certificate");
    let broken = folder.write("broken.pem", key);
    for (file, problem) in
        [(empty, "no certificate in it"), (broken, "certificate"), (folder.at("gone.pem"), "No such file")]
    {
        let plugin = format!("auth_external,url=https://localhost:1/,grant.http-ca={file}");
        let Err(ended) = Server::try_start(&["--plugin", &plugin], &[]) else { panic!("the server started") };
        for text in ["http-ca", &file, problem] {
            assert!(ended.stderr.contains(text), "`{text}` is not in\n{}", ended.stderr);
        }
    }
}
