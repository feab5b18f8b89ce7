//! A whole server with a decoder that costs nothing, for `cargo xtask bench gate` and `bench api`: what is left is HTTP, the
//! gate and the scheduler. Arguments are the length of an answer in tokens, how many microseconds a step takes at least, and
//! plugins as `--plugin` names them. It prints its address and serves until its standard input ends.

use std::error::Error;
use std::io::Read as _;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use mlx_gate_api::App;
use mlx_gate_engine::{Config, LocalEngine, fake};
use mlx_gate_lifecycle::Gate;
use tokio::net::TcpListener;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What answers are made of. Each byte is a token.
const WORDS: &str = "Hello to all of you, dear guests. ";

/// A row for each connection of a benchmark.
const ROWS: usize = 256;

#[expect(clippy::print_stdout, reason = "how the benchmark learns the address")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let length: usize = arguments.next().ok_or("how many tokens are an answer?")?.parse()?;
    let pace: u64 = arguments.next().ok_or("how long is a step?")?.parse()?;
    let answer: String = WORDS.chars().cycle().take(length).collect();
    let plugins = arguments.map(|spec| spec.parse()).collect::<Result<_, _>>()?;
    let gate = Gate::load(&mlx_gate_lifecycle::Config { plugins, ..Default::default() }, &[]).await?;
    let rows = NonZero::new(ROWS).ok_or("there are no rows")?;
    let engine = Config { max_rows: rows, ..Config::default() };
    let decoder = fake::says(&answer).with_pace(Duration::from_micros(pace));
    let engine = LocalEngine::spawn(engine, vec![fake::model("fake", decoder)])?;
    let app = App::new(Arc::new(engine), Arc::new(gate), mlx_gate_api::Config::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    mlx_gate_api::serve(listener, app, async {
        // Either way the benchmark is gone.
        let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
    })
    .await;
    Ok(())
}
