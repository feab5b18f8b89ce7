//! `cargo xtask bench NAME [--json]`: builds a benchmark and runs it. With `--json` standard output holds one JSON
//! object and nothing else.

use std::path::Path;

use crate::error::Error;
use crate::setup;
use crate::shell::{Program, built};

/// Name of each benchmark and the example that measures it.
const BENCHMARKS: [(&str, &str); 2] = [("decode", "decode_bench"), ("gate", "gate_bench")];

pub(crate) fn run(root: &Path, args: &[String]) -> Result<(), Error> {
    let names = || BENCHMARKS.map(|(name, _)| name).join(", ");
    let (name, args) = args.split_first().ok_or_else(|| Error::Usage(format!("bench what? {}", names())))?;
    let example = BENCHMARKS.iter().find(|(known, _)| known == name).map(|(_, example)| *example);
    let example =
        example.ok_or_else(|| Error::Usage(format!("there is no benchmark `{name}`: {}", names())))?;
    let cargo = setup::cargo_with_python(root)?;
    cargo.args(["build", "--release", "--workspace", "--example", example]).run()?;
    let benchmark = Program::new(built(root, &format!("examples/{example}"))).dir(root).args(args);
    setup::comparison_env(root)
        .into_iter()
        .fold(benchmark, |run, (name, value)| run.env(name, value))
        .run_with_stdout()
}
