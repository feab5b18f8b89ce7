//! Real sockets: what only the accept loop can do wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mlx_gate_core::FinishReason;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fake_gate::Seen;
use super::fakes::{FakeEngine, FakeGate, KEY, Say, app_with, finished, text};
use crate::Config;

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    seen: Arc<Seen>,
}

async fn server(engine: &Arc<FakeEngine>, config: Config) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = FakeGate::default();
    let seen = Arc::clone(&gate.seen);
    let app = app_with(engine, gate, config);
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(crate::serve(listener, app, async {
        let _ = stopped.await;
    }));
    Server { address, stop, ended, seen }
}

async fn connect(address: SocketAddr, head_and_body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head_and_body.as_bytes()).await.unwrap();
    stream
}

fn chat(stream: bool) -> String {
    let body = json!({ "messages": [{ "role": "user", "content": "x" }], "stream": stream }).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads until a text has come, or the end.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap_or(0);
        seen.extend_from_slice(&bytes[..read]);
        let so_far = String::from_utf8_lossy(&seen);
        if read == 0 || so_far.contains(text) {
            return so_far.into_owned();
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_generation() {
    for stream in [true, false] {
        let (engine, _says) = FakeEngine::held();
        let server = server(&engine, Config::default()).await;
        let connection = connect(server.address, &chat(stream)).await;
        engine.streams(1).await;
        drop(connection);
        engine.streams(0).await;
    }
}

#[tokio::test]
async fn shutting_down_lets_a_stream_end_and_refuses_the_rest() {
    let (engine, says) = FakeEngine::held();
    let server = server(&engine, Config::default()).await;
    let mut streaming = connect(server.address, &chat(true)).await;
    engine.streams(1).await;
    says.send(Say::Event(text("early"))).unwrap();
    assert!(read_until(&mut streaming, "early").await.contains("200 OK"));

    server.stop.send(()).unwrap();
    let ready = "GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answered = String::new();
    while !answered.contains("503 Service Unavailable") {
        answered = read_until(&mut connect(server.address, ready).await, "never").await;
    }
    let refused = read_until(&mut connect(server.address, &chat(false)).await, "server_shutting_down").await;
    assert!(refused.contains("503 Service Unavailable") && refused.contains("retry-after"), "{refused}");

    says.send(Say::Event(text("late"))).unwrap();
    says.send(Say::Event(finished(FinishReason::Stop))).unwrap();
    let rest = read_until(&mut streaming, "[DONE]").await;
    assert!(rest.contains("late"), "{rest}");
    assert!(!*server.seen.drained.lock().unwrap(), "an answer was in flight");
    server.ended.await.unwrap();
    assert!(*server.seen.drained.lock().unwrap(), "what was reserved is settled before the process ends");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn heads_are_bounded_in_time_count_and_size() {
    let engine = FakeEngine::says(Vec::new());
    let config = Config { head_timeout: Duration::from_millis(20), ..Config::default() };
    let server = server(&engine, config).await;
    for beginning in ["", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow:"] {
        let mut slow = connect(server.address, beginning).await;
        read_until(&mut slow, "never").await;
    }
    let many = "x-h: 1\r\n".repeat(200);
    let large = format!("x-h: {}\r\n", "a".repeat(100_000));
    for headers in [many, large] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("GET /health HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        // The server may answer and close before everything is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let answered = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answered.starts_with("HTTP/1.1 431"), "{answered}");
    }
}

#[tokio::test]
async fn a_client_that_sends_20_mb_sees_why_they_are_not_wanted() {
    let engine = FakeEngine::says(Vec::new());
    let server = server(&engine, Config::default()).await;
    let length = 20 * 1024 * 1024;
    for (key, status) in [(KEY, "413"), ("wrong", "401")] {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let mut stream = connect(server.address, &head).await;
        stream.write_all(&vec![b' '; length]).await.unwrap();
        let answered = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answered.starts_with(&format!("HTTP/1.1 {status}")), "{answered}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_generation() {
    let (engine, says) = FakeEngine::held();
    let config = Config { write_timeout: Duration::from_millis(20), ..Config::default() };
    let server = server(&engine, config).await;
    let _connection = connect(server.address, &chat(true)).await;
    engine.streams(1).await;
    // More than the buffers of any socket hold.
    for _ in 0..256 {
        says.send(Say::Event(text(&"x".repeat(1024 * 1024)))).unwrap();
    }
    engine.streams(0).await;
}

/// A chat request of somebody who is refused, or of somebody whom the route refuses, with so much body still to come.
fn unwanted(key: &str, framing: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: text/plain\r\n{framing}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_connection_outlives_a_short_body_that_nobody_wants() {
    let server = server(&FakeEngine::says(Vec::new()), Config::default()).await;
    let short = "x".repeat(1000);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut asked = 0;
    for (key, status) in [("wrong", "401"), (KEY, "415")] {
        for (framing, body) in [
            ("content-length: 1000", short.clone()),
            ("content-length: 0", String::new()),
            ("transfer-encoding: chunked", format!("3e8\r\n{short}\r\n0\r\n\r\n")),
        ] {
            stream.write_all(unwanted(key, framing).as_bytes()).await.unwrap();
            // The gate has seen the head before the body is on its way.
            asked += 1;
            while server.seen.heads.lock().unwrap().len() < asked {
                tokio::task::yield_now().await;
            }
            stream.write_all(body.as_bytes()).await.unwrap();
            let answered = read_until(&mut stream, "}}").await;
            assert!(answered.starts_with(&format!("HTTP/1.1 {status}")), "{framing}: {answered}");
            assert!(!answered.contains("connection: close"), "{framing}: {answered}");
        }
    }
    let last = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(last.as_bytes()).await.unwrap();
    let answered = read_until(&mut stream, "never").await;
    assert!(answered.starts_with("HTTP/1.1 200 OK"), "{answered}");
}

#[tokio::test]
async fn an_answer_before_a_body_that_is_not_read_closes_the_connection() {
    let server = server(&FakeEngine::says(Vec::new()), Config::default()).await;
    for framing in [
        // Too long to be read for nothing.
        "content-length: 65537",
        // It never arrives.
        "content-length: 10",
        "transfer-encoding: chunked",
        // Reading it would ask for it.
        "content-length: 10\r\nexpect: 100-continue",
    ] {
        let mut stream = connect(server.address, &unwanted("wrong", framing)).await;
        let answered = read_until(&mut stream, "}}").await;
        assert!(answered.starts_with("HTTP/1.1 401"), "{framing}: {answered}");
        assert!(answered.contains("connection: close"), "{framing}: {answered}");
    }
}
