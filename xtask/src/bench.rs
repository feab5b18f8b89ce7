//! `cargo xtask bench NAME [--json]`: builds a benchmark and runs it. With `--json` standard output holds one JSON
//! object and nothing else.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::setup;
use crate::shell::{Program, built, cargo};
use crate::{native, python};

/// A measurement somebody can ask for.
struct Benchmark {
    name: &'static str,
    /// The example that measures.
    example: &'static str,
    /// Whether it measures something of Python beside ours.
    has_peer: bool,
    /// The bundled plugin whose component is its first argument.
    plugin: Option<&'static str>,
}

const BENCHMARKS: [Benchmark; 2] = [
    Benchmark { name: "decode", example: "decode_bench", has_peer: true, plugin: None },
    Benchmark { name: "gate", example: "gate_bench", has_peer: false, plugin: Some("auth_static_keys") },
];

pub(crate) fn run(root: &Path, args: &[String]) -> Result<(), Error> {
    let names = || BENCHMARKS.map(|benchmark| benchmark.name).join(", ");
    let (name, args) = args.split_first().ok_or_else(|| Error::Usage(format!("bench what? {}", names())))?;
    let benchmark = BENCHMARKS.iter().find(|benchmark| benchmark.name == name);
    let benchmark =
        benchmark.ok_or_else(|| Error::Usage(format!("there is no benchmark `{name}`: {}", names())))?;

    setup::run(root, &setup::Options { tests: benchmark.has_peer, ..Default::default() })?;
    cargo(root).args(["build", "--release", "--workspace", "--example", benchmark.example]).run()?;
    let plugin: Option<PathBuf> =
        benchmark.plugin.map(|plugin| native::plugins_folder(root).join(format!("{plugin}.wasm")));
    let mut program = Program::new(built(root, &format!("examples/{}", benchmark.example))).dir(root);
    if let Some(python) = benchmark.has_peer.then(|| python::find(root)).flatten() {
        program = program.env(python::VARIABLE, python);
    }
    program.args(plugin).args(args).run_with_stdout()
}
