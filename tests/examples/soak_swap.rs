//! Swaps a plugin and its key file again and again under load; see `mlx_gate_tests::soak`.
//!
//! `cargo xtask soak swap` runs it. Arguments: `--swaps N` (1,000), `--hangup` to have each swap set off by SIGHUP instead of
//! by the server's own eyes, and `--json` for one object on standard output.

#![expect(clippy::print_stdout, reason = "this is a program, and this is its answer")]

use std::process::ExitCode;
use std::time::Duration;

use mlx_gate_tests::soak::{Report, Soak, Trigger};
use serde_json::json;

/// What resident memory may grow by after the tenth swap.
const MOST_GROWTH: f64 = 0.05;

fn main() -> ExitCode {
    let mut soak = Soak { swaps: 1000, trigger: Trigger::File, connections: 4 };
    let mut as_json = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => as_json = true,
            "--hangup" => soak.trigger = Trigger::Hangup,
            "--swaps" => match arguments.next().and_then(|number| number.parse().ok()) {
                Some(swaps) => soak.swaps = swaps,
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let report = soak.run();
    print(&report, as_json);
    let holds = report.failed == 0
        && report.swaps == soak.swaps
        && report.growth().is_none_or(|growth| growth <= MOST_GROWTH);
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("usage: soak_swap [--swaps N] [--hangup] [--json]");
    ExitCode::FAILURE
}

fn print(report: &Report, as_json: bool) {
    let at = |percent: usize| {
        let last = report.delays.len().saturating_sub(1);
        report.delays.get(last * percent / 100).map_or(0.0, |delay| milliseconds(*delay))
    };
    let (before, after) = report.resident;
    let growth = report.growth();
    for failure in &report.failures {
        eprintln!("failed: {failure}");
    }
    if as_json {
        let object = json!({
            "swaps": report.swaps,
            "requests": report.requests,
            "failed": report.failed,
            "rss_after_10_kib": before,
            "rss_kib": after,
            "rss_growth": growth,
            "swap_p50_ms": at(50),
            "swap_p99_ms": at(99),
        });
        println!("{object}");
        return;
    }
    println!("{} swaps, {} requests, {} failed", report.swaps, report.requests, report.failed);
    println!(
        "resident memory: {before} KiB after 10 swaps, {after} KiB at the end ({:+.1} %)",
        growth.unwrap_or_default() * 100.0
    );
    println!("from a new file to its first answer: p50 {:.0} ms, p99 {:.0} ms", at(50), at(99));
}

fn milliseconds(delay: Duration) -> f64 {
    delay.as_secs_f64() * 1e3
}
