//! `cargo xtask fuzz`: builds the targets of `fuzz/` with coverage and runs all of them at once.
//!
//! It is libFuzzer, as cargo-fuzz runs it, but on a stable compiler: LLVM's pass that counts edges is an option of any
//! rustc. Only the sanitizers need a nightly one, and safe Rust has little for them to find.
//!
//! Only our own crates are counted, so that the fuzzer looks for ways through them and not through a JSON parser, and so
//! that the others are compiled as fast as they can be. Cargo knows no flags for single crates on stable; it is told that
//! this program is what calls the compiler.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::error::Error;
use crate::shell::{Program, cargo};

/// The targets, each a program.
const TARGETS: [&str; 4] = ["output", "detokenizer", "request", "sse"];

/// Counts every edge, and shows libFuzzer what is compared with what.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Counters of functions that several units share would be lost between them.
    "-Ccodegen-units=1",
];

/// The variable by which this program knows that cargo wants it to call the compiler.
const WRAPPER: &str = "MLX_GATE_FUZZ_COMPILES";

/// How long each target runs where nobody says otherwise, in seconds.
pub(crate) const SECONDS: u32 = 60;

/// An input that takes longer counts as a hang.
const INPUT_SECONDS: u32 = 20;

/// Memory a target may take, in MiB. Inputs are small, so more is a leak or a bound that is missing.
const MEMORY: u32 = 2048;

/// A target that runs.
struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

pub(crate) fn run(root: &Path, seconds: u32) -> Result<(), Error> {
    let place = root.join("target").join("fuzz");
    let programs = build(root, &place)?;
    let mut running = Vec::new();
    for name in TARGETS {
        running.push(start(root, &place, &programs, name, seconds)?);
    }
    let mut failed = Vec::new();
    for mut target in running {
        let status = target.child.wait().map_err(Error::file("waiting for what writes", &target.log))?;
        let log = std::fs::read_to_string(&target.log).unwrap_or_default();
        if status.success() {
            let last = log.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("Done");
            eprintln!("fuzz: {:<12} {last}", target.name);
        } else {
            let said: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("fuzz: {} FAILED", target.name);
            said.iter().rev().for_each(|line| eprintln!("  {line}"));
            failed.push(target.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::CheckFailed(format!(
        "fuzzing found something in {}; the inputs lie in {}",
        failed.join(", "),
        place.join("artifacts").display()
    )))
}

/// Builds the targets and gives the folder they are in.
fn build(root: &Path, place: &Path) -> Result<PathBuf, Error> {
    let ours = std::env::current_exe().map_err(Error::file("finding", Path::new("this program")))?;
    cargo(root)
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .arg(place)
        .env("RUSTC_WRAPPER", ours)
        .env(WRAPPER, "1")
        .run()?;
    Ok(place.join("release"))
}

/// Calls the compiler where cargo runs this program for that: with coverage for what is ours.
pub(crate) fn compile() -> Option<ExitCode> {
    std::env::var_os(WRAPPER)?;
    let mut args = std::env::args_os().skip(1);
    let mut rustc = Command::new(args.next()?);
    rustc.args(args);
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name.starts_with("mlx-gate")) {
        rustc.args(COVERAGE);
    }
    let succeeded = rustc.status().is_ok_and(|status| status.success());
    Some(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn start(
    root: &Path,
    place: &Path,
    programs: &Path,
    name: &'static str,
    seconds: u32,
) -> Result<Running, Error> {
    let found = place.join("corpus").join(name);
    let artifacts = place.join("artifacts").join(name);
    for folder in [&found, &artifacts] {
        std::fs::create_dir_all(folder).map_err(Error::file("creating", folder))?;
    }
    let log = place.join(format!("{name}.log"));
    let file = File::create(&log).map_err(Error::file("creating", &log))?;
    let mut command = Program::new(programs.join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // What is new is written to the first folder; the second holds what is kept with the sources.
        .arg(&found)
        .arg(root.join("fuzz").join("corpus").join(name))
        .into_command();
    command.stdout(Stdio::null()).stderr(file);
    let child = command.spawn().map_err(|source| Error::NotStarted { program: name.to_owned(), source })?;
    Ok(Running { name, child, log })
}
