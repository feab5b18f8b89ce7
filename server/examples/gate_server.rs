//! A whole server with a decoder that costs nothing, for `cargo xtask bench gate`: what is left is HTTP, the gate and the
//! scheduler. Arguments are plugins as `--plugin` names them. It prints its address and serves until its standard input ends.

use std::error::Error;
use std::io::Read as _;
use std::num::NonZero;
use std::sync::Arc;

use mlx_gate_api::App;
use mlx_gate_engine::{Config, LocalEngine, fake};
use mlx_gate_lifecycle::Gate;
use tokio::net::TcpListener;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every request is answered with: 32 tokens, which are bytes.
const ANSWER: &str = "Hello to all of you, dear guests.";

#[expect(clippy::print_stdout, reason = "how the benchmark learns the address")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let plugins = std::env::args().skip(1).map(|spec| spec.parse()).collect::<Result<_, _>>()?;
    let gate = Gate::load(&mlx_gate_lifecycle::Config { plugins, ..Default::default() }, &[]).await?;
    // A row for each of the benchmark's connections.
    let rows = NonZero::new(32).ok_or("32 is not 0")?;
    let engine = Config { max_rows: rows, ..Config::default() };
    let engine = LocalEngine::spawn(engine, vec![fake::model("fake", fake::says(ANSWER))])?;
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
