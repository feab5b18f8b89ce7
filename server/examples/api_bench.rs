//! What the layer around the decoder takes: `cargo xtask bench api [--json] [--check]`.
//!
//! A whole server without plugins and with a decoder that costs nothing answers 256 streams of `/v1/chat/completions` at once,
//! each as soon as the one before it has ended. Server and clients share the machine's cores. The decoder takes a step's time
//! as a device does, so that it makes a little more than the target, and once more none at all, which shows how much the layer
//! can take (and where requests wait for each other). `sse_tokens_per_s` counts the tokens of complete answers; the time to
//! first byte is from the request's last byte to the response's first.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const STREAMS: usize = 256;
/// Length of an answer.
const TOKENS: usize = 256;
/// How long the decoder takes to give each stream a token: at most 146,000 tokens a second.
const STEP: Duration = Duration::from_micros(1750);
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(8);

const LEAST_TOKENS_PER_S: f64 = 100_000.0;
const MOST_TTFB_P99_MS: f64 = 20.0;

/// Ends a chunked response: RFC 9112, section 7.1.
const END: &[u8] = b"\r\n0\r\n\r\n";

#[derive(Parser)]
struct Arguments {
    /// The example `fake_server`.
    server: std::path::PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Fail where a target is missed.
    #[arg(long)]
    check: bool,
}

/// One answer as a client saw it.
struct Answer {
    begun: Instant,
    first_byte: Duration,
    ended: Instant,
    bytes: usize,
}

/// What clients of one server saw.
struct Seen {
    tokens_per_s: f64,
    ttfb_p50_ms: f64,
    ttfb_p99_ms: f64,
    bytes_per_answer: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let paced = measure(&Server::start(&arguments.server, STEP)?).await?;
    let free = measure(&Server::start(&arguments.server, Duration::ZERO)?).await?;
    report(&arguments, &paced, &free)
}

async fn measure(server: &Server) -> Result<Seen> {
    check_content(&server.address).await?;
    let started = Instant::now();
    let until = started + WARM_UP + MEASURED;
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(stream(server.address.clone(), until));
    }
    let mut answers = Vec::new();
    for stream in streams.join_all().await {
        answers.extend(stream?);
    }
    let window = started + WARM_UP..until;
    let ended = answers.iter().filter(|answer| window.contains(&answer.ended));
    let bytes: Vec<usize> = ended.map(|answer| answer.bytes).collect();
    let begun = answers.iter().filter(|answer| window.contains(&answer.begun));
    let mut waits: Vec<Duration> = begun.map(|answer| answer.first_byte).collect();
    waits.sort_unstable();
    let percentile = |percent: usize| match waits.get(waits.len() * percent / 100) {
        Some(wait) => Ok(wait.as_secs_f64() * 1e3),
        None => Err("no answer has begun"),
    };
    Ok(Seen {
        tokens_per_s: (bytes.len() * TOKENS) as f64 / MEASURED.as_secs_f64(),
        ttfb_p50_ms: percentile(50)?,
        ttfb_p99_ms: percentile(99)?,
        bytes_per_answer: bytes.iter().sum::<usize>() as f64 / bytes.len().max(1) as f64,
    })
}

#[expect(clippy::print_stdout, reason = "this is a program, and this is its answer")]
fn report(arguments: &Arguments, paced: &Seen, free: &Seen) -> Result<()> {
    let Seen { tokens_per_s, ttfb_p50_ms, ttfb_p99_ms, bytes_per_answer } = paced;
    if arguments.json {
        let hundredths = |value: f64| (value * 100.0).round() / 100.0;
        println!(
            "{}",
            json!({
                "sse_tokens_per_s": tokens_per_s.round(),
                "ttfb_p50_ms": hundredths(*ttfb_p50_ms),
                "ttfb_p99_ms": hundredths(*ttfb_p99_ms),
                "bytes_per_answer": bytes_per_answer.round(),
                "unpaced_sse_tokens_per_s": free.tokens_per_s.round(),
                "unpaced_ttfb_p99_ms": hundredths(free.ttfb_p99_ms),
                "streams": STREAMS,
                "tokens_per_answer": TOKENS,
            })
        );
    } else {
        println!("sse_tokens_per_s          {tokens_per_s:>9.0}   (at least {LEAST_TOKENS_PER_S})");
        println!("ttfb_p50_ms               {ttfb_p50_ms:>9.2}");
        println!("ttfb_p99_ms               {ttfb_p99_ms:>9.2}   (at most {MOST_TTFB_P99_MS})");
        println!("bytes_per_answer          {bytes_per_answer:>9.0}   ({TOKENS} tokens)");
        println!("unpaced_sse_tokens_per_s  {:>9.0}", free.tokens_per_s);
        println!("unpaced_ttfb_p99_ms       {:>9.2}", free.ttfb_p99_ms);
    }
    let holds = *tokens_per_s >= LEAST_TOKENS_PER_S && *ttfb_p99_ms <= MOST_TTFB_P99_MS;
    if arguments.check && !holds { Err("a target is missed".into()) } else { Ok(()) }
}

/// The bytes of one request.
fn request(address: &str) -> Vec<u8> {
    let body = json!({
        "model": "fake",
        "max_tokens": TOKENS,
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "You are a helpful assistant." },
            { "role": "user", "content": "Say hello to everybody who is here." },
        ],
    })
    .to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Asks again and again on one connection.
async fn stream(address: String, until: Instant) -> Result<Vec<Answer>> {
    let request = request(&address);
    let usage = format!("\"completion_tokens\":{TOKENS},");
    let mut connection = TcpStream::connect(&address).await?;
    connection.set_nodelay(true)?;
    let mut answers = Vec::new();
    let mut response = Vec::with_capacity(1 << 20);
    while Instant::now() < until {
        let (begun, first_byte) = exchange(&mut connection, &request, &mut response).await?;
        // Its usage is in the last event.
        let end = String::from_utf8_lossy(&response[response.len().saturating_sub(1000)..]);
        if !response.starts_with(b"HTTP/1.1 200") || !end.contains(&usage) {
            return Err(format!("an answer of another kind: ..{end}").into());
        }
        answers.push(Answer { begun, first_byte, ended: Instant::now(), bytes: response.len() });
    }
    Ok(answers)
}

/// One request and its whole response: when its last byte was sent, and how long the first of the response took.
async fn exchange(
    connection: &mut TcpStream,
    request: &[u8],
    response: &mut Vec<u8>,
) -> Result<(Instant, Duration)> {
    response.clear();
    connection.write_all(request).await?;
    let begun = Instant::now();
    let mut first_byte = None;
    while !response.ends_with(END) {
        if connection.read_buf(response).await? == 0 {
            return Err("the server closed a connection within a response".into());
        }
        first_byte.get_or_insert_with(|| begun.elapsed());
    }
    Ok((begun, first_byte.unwrap_or_default()))
}

/// Reads one answer as a client does, and makes sure that every token is in it.
async fn check_content(address: &str) -> Result<()> {
    let mut connection = TcpStream::connect(address).await?;
    let mut response = Vec::new();
    exchange(&mut connection, &request(address), &mut response).await?;
    let mut content = String::new();
    for line in String::from_utf8(response)?.lines() {
        let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else { continue };
        let event: Value = serde_json::from_str(data)?;
        content.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    if content.len() == TOKENS { Ok(()) } else { Err(format!("an answer of {} bytes", content.len()).into()) }
}

/// A running server. It ends with its standard input.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &std::path::Path, step: Duration) -> Result<Self> {
        let mut process = Command::new(program)
            // Longer than what is asked for, so that every answer has the same length.
            .arg((2 * TOKENS).to_string())
            .arg(step.as_micros().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("the server has no standard output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        match address.trim() {
            "" => Err("the server did not start".into()),
            address => Ok(Self { address: address.to_owned(), process }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nothing is left to do about a server that did not end well.
        let _ = self.process.wait();
    }
}
