//! `cargo xtask parity`: every architecture against mlx-lm, from fixtures and, where Python is there, live with other
//! random weights; those that embed or score against sentence-transformers' fixtures; and the chat templates against
//! transformers.

use std::path::Path;

use crate::error::Error;
use crate::shell::Program;
use crate::{python, setup};

pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let cargo = setup::cargo_with_python(root)?;
    let tests = ["parity", "encoders", "text"].iter().flat_map(|test| ["--test", test]);
    let tests = cargo.args(["test", "--release", "--workspace"]).args(tests);
    tests.args(["--", "--nocapture"]).run()?;
    let Some(python) = python::find(root) else {
        eprintln!("skipped: templates against live transformers (no Python)");
        return Ok(());
    };
    let script = root.join("server/engine/tests/templates/render.py");
    Program::new(python).arg(script).arg("--check").run()
}
