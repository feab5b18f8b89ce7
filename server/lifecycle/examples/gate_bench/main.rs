//! What plugins cost a request: `cargo xtask bench gate [--json] [--check]` builds this and runs it.
//!
//! Latency is measured in this process, one request after another, on a runtime like the server's: [`chain`] takes requests
//! through all five phases with five plugins, [`tokens`] checks signatures. [`throughput`] runs a whole server with a decoder
//! that costs nothing and counts requests a second. [`report`] holds the targets.

mod chain;
mod report;
mod requests;
mod setting;
mod throughput;
mod tokens;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use setting::Setting;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As the runtime's tasks want it.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What to measure with.
struct Arguments {
    /// Of the bundled plugins, `NAME.wasm`.
    plugins: PathBuf,
    /// The example `fake_server`, and wrk. Without them throughput is left out.
    server: Option<PathBuf>,
    wrk: Option<PathBuf>,
    only: Only,
    as_json: bool,
    check: bool,
}

/// Which of the latencies are measured, and how often.
#[derive(Clone)]
struct Only {
    name: Option<String>,
    requests: usize,
}

impl Only {
    fn includes(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|only| only == name)
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let setting = Setting::make(&arguments.plugins)?;
    let mut report = Report::default();
    // Two workers as on the smallest of machines, and the work on one of them, as in the server.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let latency = {
        let (setting, only) = (setting.clone(), arguments.only.clone());
        runtime.spawn(async move {
            let mut report = Report::default();
            chain::measure(&setting, &only, &mut report).await?;
            tokens::measure(&setting, &only, &mut report).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(report)
        })
    };
    report.append(runtime.block_on(latency)??);
    // Its threads would take part in what follows.
    runtime.shutdown_background();
    let whole = arguments.only.name.is_none();
    if let (Some(server), Some(wrk), true) = (&arguments.server, &arguments.wrk, whole) {
        throughput::measure(server, wrk, &setting, &mut report)?;
    }
    report.print(arguments.as_json);
    let missed = report.missed();
    for line in &missed {
        eprintln!("{line}");
    }
    Ok(if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Arguments {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut plugins, mut server, mut wrk) = (None, None, None);
        let (mut as_json, mut check) = (false, false);
        let mut only = Only { name: None, requests: 20_000 };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => as_json = true,
                "--check" => check = true,
                "--only" => only.name = arguments.next(),
                "--requests" => only.requests = arguments.next().ok_or("--requests N")?.parse()?,
                "--server" => server = arguments.next().map(PathBuf::from),
                "--wrk" => wrk = arguments.next().map(PathBuf::from),
                _ if plugins.is_none() && !argument.starts_with('-') => {
                    plugins = Some(PathBuf::from(argument));
                }
                _ => return Err(format!("unknown argument `{argument}`").into()),
            }
        }
        let usage = "usage: gate_bench FOLDER-OF-PLUGINS [--server PROGRAM --wrk PROGRAM] [--only NAME] [--requests N] [--json] [--check]";
        Ok(Self { plugins: plugins.ok_or(usage)?, server, wrk, only, as_json, check })
    }
}
