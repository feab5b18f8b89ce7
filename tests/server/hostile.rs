//! A plugin that misbehaves in every phase and in every way. The request that provoked it is refused with 503 and the reason is
//! in the log; every other request is served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use mlx_gate_tests::{Client, Reply, Server, built_guest, question_body, run};
use serde_json::{Value, json};

/// What cannot be answered, and what the log says of it.
const DEEDS: [(&str, &str); 9] = [
    ("loop", "did not return within 250 ms"),
    ("memory", "bytes of memory; the limit is 16777216"),
    ("stack", "used up its stack"),
    ("trap", "wasm `unreachable` instruction executed"),
    ("panic", "a panic of the plugin's own"),
    ("large", "answered with more than 1048576 bytes"),
    ("gigabyte", "string pointer/length out of bounds of memory"),
    // The guest's own bindings copy a list before they hand it over.
    ("items", "wanted 160"),
    ("utf8", "invalid utf-8 sequence of 1 bytes from index 1"),
];

/// The plugin with what it imports granted, and these options.
fn plugin(options: &str) -> String {
    format!("{},grant.kv=true,grant.http=http://127.0.0.1:9{options}", built_guest("hostile"))
}

fn start(options: &str) -> Server {
    Server::start(&["--plugin", &plugin(options)])
}

fn body() -> Value {
    let mut body = question_body("hello");
    body["max_tokens"] = json!(2);
    body
}

fn provoke(server: &Server, phase: &str, deed: &str) -> Reply {
    let client = server.client().with("x-evil", &format!("{phase}.{deed}"));
    client.post("/v1/chat/completions", &body())
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn is_served(client: &Client) {
    let reply = client.post("/v1/chat/completions", &body());
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[test]
fn a_deed_before_the_answer_refuses_one_request_and_delays_no_other() {
    for phase in ["authenticate", "authorize", "admit", "tag"] {
        let server = start("");
        for (deed, reason) in DEEDS {
            thread::scope(|scope| {
                let guilty = scope.spawn(|| provoke(&server, phase, deed));
                is_served(&server.client());
                let reply = guilty.join().expect("it is answered");
                assert_eq!(reply.status, 503, "{phase}.{deed}: {}", reply.text);
                assert_eq!(code(&reply), "plugin_unavailable", "{phase}.{deed}");
                assert!(!reply.text.contains(reason), "the reason is for the log: {}", reply.text);
            });
            server.wait_for_log(reason);
            is_served(&server.client());
        }
    }
}

/// The answer has been given by then, so it is the log alone that tells.
#[test]
fn a_deed_after_the_answer_is_only_logged() {
    for phase in ["settle", "log"] {
        let server = start("");
        for deed in ["loop", "memory", "stack", "trap", "panic"] {
            let reply = provoke(&server, phase, deed);
            assert_eq!(reply.status, 200, "{phase}.{deed}: {}", reply.text);
            let reason = DEEDS.iter().find(|(name, _)| *name == deed).map(|(_, reason)| *reason).unwrap();
            server.wait_for_log(reason);
            is_served(&server.client());
        }
        server.interrupt();
        let (status, _) = server.wait();
        assert!(status.success(), "{phase}: {status}");
    }
}

#[test]
fn a_deed_at_the_start_keeps_the_server_from_starting() {
    for (option, function) in [("configure", "`configure`"), ("self-test", "`self-test`")] {
        for (deed, reason) in
            DEEDS.iter().filter(|(deed, _)| ["memory", "stack", "trap", "panic"].contains(deed))
        {
            let plugin = plugin(&format!(",{option}={deed}"));
            let ended = run(&["serve", "--port", "0", "--plugin", &plugin], &[]);
            assert_eq!(ended.code, Some(1), "{option} {deed}: {}", ended.stderr);
            assert!(ended.stderr.contains(reason), "{option} {deed}: {}", ended.stderr);
            assert!(ended.stderr.contains(function), "{option} {deed}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_flood_of_messages_is_cut() {
    let server = start("");
    let reply = provoke(&server, "authorize", "log-flood");
    assert_eq!((reply.status, code(&reply).as_str()), (403, "log_flood"), "{}", reply.text);
    server.interrupt();
    let (_, log) = server.wait();
    let lines = log.lines().filter(|line| line.contains("flood ")).count();
    assert!((1..=100).contains(&lines), "{lines} of 20000 messages are in the log");
    assert!(log.contains("dropped"), "nothing says that messages are missing:\n{log}");
}

/// Whoever can make a plugin fail must not be able to fill the log.
#[test]
fn a_flood_of_failures_is_cut_and_counted() {
    const REQUESTS: usize = 500;

    let server = start("");
    for _ in 0..REQUESTS {
        assert_eq!(provoke(&server, "authorize", "trap").status, 503);
    }
    let lines = server.log().matches("the request is refused").count();
    assert!((1..REQUESTS).contains(&lines), "{lines} lines for {REQUESTS} requests");
    while !server.log().contains("more of its calls failed meanwhile") {
        assert_eq!(provoke(&server, "authorize", "trap").status, 503);
    }
    is_served(&server.client());
}

#[test]
fn a_flood_of_values_ends_at_the_quota() {
    // What a self-test stores is not kept, or whoever may try plugins could fill the space of the one in force.
    let [plain, tested] = ["", ",self-test=kv-flood"].map(|options| {
        let server = start(options);
        let large = provoke(&server, "authorize", "kv-large");
        assert_eq!((large.status, code(&large).as_str()), (403, "too_large"), "{}", large.text);
        // 15 values of 60 kB with each request.
        let full = (0..1000).find(|_| code(&provoke(&server, "authorize", "kv-flood")) == "quota");
        is_served(&server.client());
        full.expect("900 MB were stored, and the host had not had enough")
    });
    assert_eq!(plain, tested);
}

/// A server that answers every connection with these bytes, and keeps it open; with nothing at all it is just slow.
fn origin(answer: impl Fn() -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer().as_bytes());
            open.push(stream);
        }
    });
    address
}

#[test]
fn http_goes_to_granted_origins_and_nowhere_else() {
    let other = origin(|| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
    let good = origin(|| "HTTP/1.1 204 No Content\r\n\r\n".to_owned());
    let slow = origin(String::new);
    let endless =
        origin(|| format!("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n{}", "x".repeat(2_000_000)));
    let target = other.clone();
    let leaving =
        origin(move || format!("HTTP/1.1 302 Found\r\nlocation: {target}/\r\ncontent-length: 0\r\n\r\n"));
    let grants = [&good, &slow, &endless, &leaving].map(|origin| format!(",grant.http={origin}")).concat();
    let server = start(&grants);
    for (url, expected) in [
        (&good, "answered"),
        (&other, "not_granted"),
        (&leaving, "not_granted"),
        (&slow, "timeout"),
        (&endless, "too_large"),
        (&"http://10.0.0.1".to_owned(), "not_granted"),
        (&"http://169.254.169.254/latest/meta-data".to_owned(), "not_granted"),
        (&"file:///etc/passwd".to_owned(), "not_granted"),
    ] {
        thread::scope(|scope| {
            let guilty = scope.spawn(|| provoke(&server, "authorize", &format!("http:{url}/")));
            is_served(&server.client());
            let reply = guilty.join().expect("it is answered");
            assert_eq!((reply.status, code(&reply).as_str()), (403, expected), "{url}: {}", reply.text);
        });
    }
}
