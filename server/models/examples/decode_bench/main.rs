//! Decoding and prefill speed beside mlx-lm: same MLX, same weights, same prompt, in one run, taking turns.
//!
//! Two models, made by mlx-lm at the start: one of 46 million parameters in f32, where both sides have the fast BLAS this
//! binary is linked with, and the same one as `mlx_lm.convert` quantizes it to 4 bits, where mlx-lm runs as pip installs
//! it. Python is `MLX_GATE_PYTHON`, or the one `cargo xtask setup --tests` makes.

#![expect(clippy::print_stdout, reason = "the result of a benchmark")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use mlx_gate_core::Decoder;
use mlx_gate_core::decoder::{Pick, RowId, RowStep};
use mlx_gate_models::{LoadOptions, ModelRef, load};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = arguments.iter().find(|argument| *argument != "--json") {
        return Err(format!("unknown argument {unknown}; expected nothing or --json").into());
    }
    let python = python()?;
    let folder = std::env::temp_dir().join(format!("mlx-gate-decode-bench-{}", std::process::id()));
    let f32 = measure(&python, &folder.join("f32"), Kind::F32);
    let q4 = f32.and_then(|f32| Ok((f32, measure(&python, &folder.join("q4"), Kind::Quantized)?)));
    std::fs::remove_dir_all(&folder)?;
    let (f32, q4) = q4?;
    if arguments.is_empty() {
        print_table(&[("f32", &f32), ("4 bits", &q4)]);
        return Ok(());
    }
    let report = json!({
        "decode_ratio_f32": f32.decode_ratio(),
        "decode_ratio_q4": q4.decode_ratio(),
        "prefill_ratio_f32": f32.prefill_ratio(),
        "prefill_ratio_q4": q4.prefill_ratio(),
        "decode_tokens_per_second_f32": f32.ours.decode,
        "decode_tokens_per_second_q4": q4.ours.decode,
        "peer_decode_tokens_per_second_f32": f32.theirs.decode,
        "peer_decode_tokens_per_second_q4": q4.theirs.decode,
    });
    println!("{report}");
    Ok(())
}

fn print_table(rows: &[(&str, &Comparison)]) {
    println!("model      |  decode, tokens/s       |  prefill, tokens/s");
    println!("           |  ours  mlx-lm   ratio   |  ours  mlx-lm   ratio");
    for (name, row) in rows {
        println!(
            "{name:10} | {:5.1}   {:5.1}  {:6.2}   | {:5.0}   {:5.0}  {:6.2}",
            row.ours.decode,
            row.theirs.decode,
            row.decode_ratio(),
            row.ours.prefill,
            row.theirs.prefill,
            row.prefill_ratio()
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    F32,
    Quantized,
}

/// How much is measured: the slow side should not take minutes, and short rounds find quiet moments.
struct Plan {
    rounds: usize,
    /// Tokens of the prompt.
    prompt: u32,
    /// Tokens we generate in a round.
    ours: usize,
    /// Tokens mlx-lm generates in a round.
    theirs: usize,
}

impl Plan {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::F32 => Self { rounds: 15, prompt: 128, ours: 48, theirs: 48 },
            Kind::Quantized => Self { rounds: 7, prompt: 16, ours: 48, theirs: 8 },
        }
    }
}

/// Speeds in tokens per second, each of its fastest round: the one that other programs disturbed least.
struct Speeds {
    prefill: f64,
    decode: f64,
}

struct Comparison {
    ours: Speeds,
    theirs: Speeds,
}

impl Comparison {
    fn decode_ratio(&self) -> f64 {
        self.ours.decode / self.theirs.decode
    }

    fn prefill_ratio(&self) -> f64 {
        self.ours.prefill / self.theirs.prefill
    }
}

/// Seconds of one round: to the first token, and for the others.
struct Round {
    first: f64,
    others: f64,
}

fn measure(python: &Path, folder: &Path, kind: Kind) -> Result<Comparison> {
    let quantize = (kind == Kind::Quantized).then_some("--quantize");
    let made = peer(python, "make", folder).args(quantize).stderr(Stdio::null()).status()?;
    if !made.success() {
        return Err("mlx-lm could not make the model".into());
    }
    let plan = Plan::of(kind);
    let mut ours = Ours::new(folder)?;
    let mut theirs = Peer::start(python, folder, kind)?;
    let prompt: Vec<u32> = (0..plan.prompt).map(|place| place * 97 % 16_384).collect();
    // One round each to warm up.
    ours.round(&prompt, plan.ours)?;
    theirs.round(&prompt, plan.theirs)?;
    let (mut our_rounds, mut their_rounds) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        their_rounds.push(theirs.round(&prompt, plan.theirs)?);
        our_rounds.push(ours.round(&prompt, plan.ours)?);
    }
    theirs.stop()?;
    Ok(Comparison {
        ours: speeds(&our_rounds, plan.prompt, plan.ours),
        theirs: speeds(&their_rounds, plan.prompt, plan.theirs),
    })
}

fn speeds(rounds: &[Round], prompt: u32, count: usize) -> Speeds {
    let fastest = |seconds: fn(&Round) -> f64| rounds.iter().map(seconds).fold(f64::INFINITY, f64::min);
    Speeds {
        prefill: f64::from(prompt) / fastest(|round| round.first),
        decode: (count - 1) as f64 / fastest(|round| round.others),
    }
}

struct Ours {
    decoder: Box<dyn Decoder>,
}

impl Ours {
    fn new(folder: &Path) -> Result<Self> {
        let source = ModelRef::parse(&folder.display().to_string())?.fetch()?;
        Ok(Self { decoder: load(&source, LoadOptions::default())?.into_decoder()? })
    }

    fn round(&mut self, prompt: &[u32], count: usize) -> Result<Round> {
        let row = self.decoder.open()?;
        let chunk = self.decoder.facts().prefill_chunk as usize;
        let start = Instant::now();
        let (head, tail) = prompt.split_at((prompt.len() - 1) / chunk * chunk);
        for tokens in head.chunks(chunk) {
            self.step(row, tokens, Pick::Nothing)?;
        }
        let mut token = self.step(row, tail, Pick::Greedy)?;
        let first = start.elapsed().as_secs_f64();
        for _ in 1..count {
            token = self.step(row, &[token.ok_or("no token was chosen")?], Pick::Greedy)?;
        }
        let others = start.elapsed().as_secs_f64() - first;
        self.decoder.close(row);
        Ok(Round { first, others })
    }

    fn step<'a>(&mut self, row: RowId, tokens: &'a [u32], pick: Pick<'a>) -> Result<Option<u32>> {
        let mut results = self.decoder.step(&mut [RowStep { row, tokens, pick, score: None }])?;
        Ok(results.remove(0)?)
    }
}

/// A Python process that measures mlx-lm when asked to, and sleeps otherwise.
struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path, folder: &Path, kind: Kind) -> Result<Self> {
        let mut command = peer(python, "run", folder);
        if let (Kind::F32, Some(blas)) = (kind, fast_blas()) {
            command.env("LD_PRELOAD", blas);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = process.stdin.take().ok_or("no pipe to Python")?;
        let answers = BufReader::new(process.stdout.take().ok_or("no pipe from Python")?);
        Ok(Self { process, requests, answers })
    }

    fn round(&mut self, prompt: &[u32], count: usize) -> Result<Round> {
        writeln!(self.requests, "{}", json!({ "prompt": prompt, "tokens": count }))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        let seconds = |key: &str| answer[key].as_f64().ok_or_else(|| format!("no `{key}` in {line}"));
        Ok(Round { first: seconds("first")?, others: seconds("others")? })
    }

    fn stop(self) -> Result<()> {
        let Self { mut process, requests, .. } = self;
        drop(requests);
        process.wait()?;
        Ok(())
    }
}

fn peer(python: &Path, command: &str, folder: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/decode_bench/peer.py");
    let mut process = Command::new(python);
    process.arg(script).arg(command).arg(folder);
    process
}

fn python() -> Result<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.native/python/bin/python");
    let python = std::env::var_os("MLX_GATE_PYTHON").map_or(installed, PathBuf::from);
    if python.exists() {
        return Ok(python);
    }
    Err(format!("{} does not exist; `cargo xtask setup --tests` installs it", python.display()).into())
}

/// The BLAS this process runs with in front of MLX's own, with the libraries it needs, for mlx-lm to have the same.
fn fast_blas() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let loaded = |name: &str| {
        maps.lines().filter_map(|line| line.split_whitespace().last()).find(|path| path.contains(name))
    };
    let blas = loaded("/libopenblas")?;
    let needed = ["/libquadmath.so", "/libgfortran.so"].into_iter().filter_map(loaded);
    Some(needed.chain([blas]).collect::<Vec<_>>().join(":"))
}
