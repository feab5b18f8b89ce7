//! Embeddings over HTTP, from texts to vectors: `cargo xtask bench embed [--json]`.
//!
//! A server without plugins serves all-MiniLM-L6-v2 (22 million parameters, f32). Clients on the same machine ask it for
//! embeddings of short texts (about a sentence) and long ones (about a page), one text to a request and many, one client and
//! several. Each asks again as soon as it has its answer. What is counted are the embeddings and the prompt tokens (by the
//! answers' own `usage`, special tokens included) of the answers that came within the time measured.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);

/// Words of a text. Texts differ, so that nothing could be had from a memory of answers.
const WORDS: [&str; 16] = [
    "the", "river", "bends", "behind", "old", "mills", "and", "slow", "boats", "carry", "grain", "to",
    "towns", "where", "people", "wait",
];

#[derive(Parser)]
struct Arguments {
    /// The program `mlx-gate`.
    server: PathBuf,
    /// The folder of the model.
    model: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What clients ask for.
struct Case {
    name: &'static str,
    /// Words of a text.
    words: usize,
    /// Texts of a request.
    texts: usize,
    clients: usize,
}

const CASES: [Case; 6] = [
    Case { name: "short_alone", words: 14, texts: 1, clients: 1 },
    Case { name: "short_batch", words: 14, texts: 64, clients: 1 },
    Case { name: "short_clients", words: 14, texts: 1, clients: 32 },
    Case { name: "long_alone", words: 220, texts: 1, clients: 1 },
    Case { name: "long_batch", words: 220, texts: 16, clients: 1 },
    Case { name: "long_clients", words: 220, texts: 1, clients: 16 },
];

/// What came of a case.
struct Seen {
    embeddings_per_s: f64,
    tokens_per_s: f64,
    p50_ms: f64,
}

/// One answer as a client saw it.
struct Answer {
    took: Duration,
    ended: Instant,
    embeddings: usize,
    tokens: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let server = Server::start(&arguments.server, &arguments.model)?;
    let mut report = Map::new();
    if !arguments.json {
        print_line("case            embeddings/s   tokens/s   p50, ms");
    }
    for case in &CASES {
        let Seen { embeddings_per_s, tokens_per_s, p50_ms } = measure(&server.address, case).await?;
        let name = case.name;
        if !arguments.json {
            print_line(&format!("{name:<14} {embeddings_per_s:>13.1} {tokens_per_s:>10.0} {p50_ms:>9.1}"));
        }
        let tenths = |number: f64| json!((number * 10.0).round() / 10.0);
        report.insert(format!("{name}_embeddings_per_s"), tenths(embeddings_per_s));
        report.insert(format!("{name}_tokens_per_s"), tenths(tokens_per_s));
        report.insert(format!("{name}_p50_ms"), tenths(p50_ms));
    }
    if arguments.json {
        print_line(&Value::Object(report).to_string());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a program, and this is its answer")]
fn print_line(line: &str) {
    println!("{line}");
}

async fn measure(address: &str, case: &'static Case) -> Result<Seen> {
    let started = Instant::now();
    let until = started + WARM_UP + MEASURED;
    let mut clients = JoinSet::new();
    for client in 0..case.clients {
        clients.spawn(ask(address.to_owned(), case, client, until));
    }
    let mut answers = Vec::new();
    for client in clients.join_all().await {
        answers.extend(client?);
    }
    answers.retain(|answer: &Answer| answer.ended >= started + WARM_UP);
    let mut times: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).ok_or("no answer came in time")?;
    // The last answers end behind the time measured, in which they were begun.
    let end = answers.iter().map(|answer| answer.ended).max().unwrap_or(until);
    let seconds = end.duration_since(started + WARM_UP).as_secs_f64();
    Ok(Seen {
        embeddings_per_s: answers.iter().map(|answer| answer.embeddings).sum::<usize>() as f64 / seconds,
        tokens_per_s: answers.iter().map(|answer| answer.tokens).sum::<u64>() as f64 / seconds,
        p50_ms: median.as_secs_f64() * 1e3,
    })
}

/// Asks again and again on one connection.
async fn ask(address: String, case: &'static Case, client: usize, until: Instant) -> Result<Vec<Answer>> {
    let mut connection = TcpStream::connect(&address).await?;
    connection.set_nodelay(true)?;
    let mut answers = Vec::new();
    let mut seed = client * 1009;
    while Instant::now() < until {
        let texts: Vec<String> = (0..case.texts)
            .map(|_| {
                seed += 1;
                text(case.words, seed)
            })
            .collect();
        let request = request(&address, &json!({ "input": texts, "encoding_format": "base64" }));
        let begun = Instant::now();
        connection.write_all(&request).await?;
        let answer = body(&mut connection).await?;
        let (took, ended) = (begun.elapsed(), Instant::now());
        let embeddings = answer["data"].as_array().map_or(0, Vec::len);
        let tokens = answer["usage"]["prompt_tokens"].as_u64().unwrap_or(0);
        if embeddings != case.texts || tokens == 0 {
            return Err(format!("an answer of another kind: {answer:.300}").into());
        }
        answers.push(Answer { took, ended, embeddings, tokens });
    }
    Ok(answers)
}

/// A text of so many words, another one for each seed.
fn text(words: usize, seed: usize) -> String {
    let word = |place: usize| WORDS[(seed * 31 + place * (seed % 7 + 1)) % WORDS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

fn request(address: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// The body of the next response, whose length is in its head.
async fn body(connection: &mut TcpStream) -> Result<Value> {
    const GAP: &[u8] = b"\r\n\r\n";
    let mut response = Vec::new();
    loop {
        if connection.read_buf(&mut response).await? == 0 {
            return Err("the server closed a connection within a response".into());
        }
        let Some(head) = response.windows(GAP.len()).position(|bytes| bytes == GAP) else { continue };
        let text = String::from_utf8_lossy(&response[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize =
            length.ok_or_else(|| format!("a response without a length: {text}"))?.trim().parse()?;
        let begin = head + GAP.len();
        if response.len() >= begin + length {
            return Ok(serde_json::from_slice(&response[begin..begin + length])?);
        }
    }
}

/// A running server.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &Path, model: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["serve", "--port", "0", "--model"])
            .arg(model)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = process.stderr.take().ok_or("the server has no standard error")?;
        let mut said = String::new();
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some((_, address)) = line.split_once("listens on http://") {
                let digits = |sign: char| sign.is_ascii_digit() || matches!(sign, '.' | ':');
                let address: String = address.chars().take_while(|sign| digits(*sign)).collect();
                // It goes on writing a line for each request, and must not wait for anybody to read them.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { process, address });
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(format!("the server did not start:\n{said}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do about a server that did not end well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
