//! Measures the authenticate phase: `auth_static_keys` with 10,000 keys, a fresh instance for every request.
//!
//! `cargo xtask bench gate` runs it. Arguments: the plugin's `.wasm`, and `--json` for one object on standard output.

use std::error::Error;
use std::time::{Duration, Instant};

use mlx_gate_core::{Dialect, HeaderValue, Lifecycle as _, RequestHead, Secret};
use mlx_gate_lifecycle::static_keys::{self, KeyEntry};
use mlx_gate_lifecycle::{Config, Gate, OptionValue, PluginSpec, Source};
use serde_json::json;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 10_000;
const WARM_UP: usize = 2_000;
const REQUESTS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let [plugin] = arguments.as_slice() else {
        return Err("usage: gate_bench PLUGIN.wasm [--json]".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // On a worker, as in the server, and not on the thread that waits for the runtime.
    let plugin = plugin.clone();
    let figures = runtime.block_on(async { tokio::spawn(async move { measure(&plugin).await }).await? });
    print(&figures.map_err(|error| error.to_string())?, as_json);
    Ok(())
}

struct Figures {
    load: Duration,
    known: Vec<Duration>,
    unknown: Vec<Duration>,
}

async fn measure(plugin: &str) -> Result<Figures, Box<dyn Error + Send + Sync>> {
    let folder = std::env::temp_dir().join(format!("mlx-gate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("keys.toml");
    let keys = write_keys(&file)?;

    let options = vec![("file".to_owned(), OptionValue::Text(file.display().to_string()))];
    let spec = PluginSpec::new(Source::File(plugin.into()), options);
    let config = Config { plugins: vec![spec], ..Config::default() };
    let started = Instant::now();
    let gate = Gate::load(&config, &[]).await;
    let load = started.elapsed();
    std::fs::remove_dir_all(&folder)?;
    let gate = gate?;

    let stranger = static_keys::generate().ok_or("no randomness")?;
    run(&gate, &keys, WARM_UP, true).await?;
    let known = run(&gate, &keys, REQUESTS, true).await?;
    let unknown = run(&gate, std::slice::from_ref(&stranger), REQUESTS, false).await?;
    Ok(Figures { load, known, unknown })
}

fn write_keys(file: &std::path::Path) -> Result<Vec<Secret>, Box<dyn Error + Send + Sync>> {
    let keys: Option<Vec<_>> = (0..KEYS).map(|_| static_keys::generate()).collect();
    let keys = keys.ok_or("no randomness")?;
    let entries = keys.iter().enumerate().map(|(number, key)| {
        let entry = KeyEntry {
            name: format!("user-{number}"),
            hash: static_keys::hash(key),
            tenant: Some(format!("tenant-{}", number % 100)),
            roles: vec!["member".to_owned()],
            scopes: vec!["chat".to_owned(), "models".to_owned()],
            expires: None,
        };
        entry.to_toml()
    });
    std::fs::write(file, entries.collect::<String>())?;
    Ok(keys)
}

/// The time of each request's passage, from its beginning to the principal or the refusal.
async fn run(
    gate: &Gate,
    keys: &[Secret],
    requests: usize,
    expect_known: bool,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let mut times = Vec::with_capacity(requests);
    for number in 0..requests {
        // A stride that visits keys in no order a cache would like.
        let head = head(number, &keys[number * 7919 % keys.len()]);
        let started = Instant::now();
        let answer = gate.begin().authenticate(&head).await;
        times.push(started.elapsed());
        if answer.is_ok() != expect_known {
            return Err(format!("request {number} was answered {answer:?}").into());
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// A chat request as a Python client sends it.
fn head(number: usize, key: &Secret) -> RequestHead {
    let mut headers: Vec<(String, HeaderValue)> = [
        ("host", "127.0.0.1:8080"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
        ("content-length", "421"),
        ("user-agent", "OpenAI/Python 2.8.0"),
        ("x-stainless-lang", "python"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-runtime", "CPython"),
        ("x-stainless-retry-count", "0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), HeaderValue::Text(Secret::new(value))))
    .collect();
    let credential = Secret::new(format!("Bearer {}", key.expose()));
    headers.push(("authorization".to_owned(), HeaderValue::Text(credential)));
    RequestHead {
        id: format!("req-{number}"),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        dialect: Dialect::OpenAi,
        peer: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        headers,
    }
}

#[expect(clippy::print_stdout, reason = "this is a program, and this is its answer")]
fn print(figures: &Figures, as_json: bool) {
    let microseconds = |times: &[Duration], percent: usize| {
        let at = (times.len() * percent / 100).min(times.len() - 1);
        (times[at].as_secs_f64() * 1e7).round() / 10.0
    };
    let (known, unknown) = (&figures.known, &figures.unknown);
    if as_json {
        let object = json!({
            "authenticate_p50_us": microseconds(known, 50),
            "authenticate_p99_us": microseconds(known, 99),
            "unknown_key_p50_us": microseconds(unknown, 50),
            "unknown_key_p99_us": microseconds(unknown, 99),
            "load_ms": figures.load.as_millis(),
        });
        println!("{object}");
        return;
    }
    println!(
        "authenticate, auth_static_keys with {KEYS} keys, a fresh instance for each of {REQUESTS} requests"
    );
    println!();
    println!("{:<14}{:>10}{:>10}", "", "p50 us", "p99 us");
    for (name, times) in [("known key", known), ("unknown key", unknown)] {
        println!("{name:<14}{:>10.1}{:>10.1}", microseconds(times, 50), microseconds(times, 99));
    }
    println!();
    println!("load, configure and snapshot: {} ms", figures.load.as_millis());
}
