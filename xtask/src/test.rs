//! `cargo xtask test`: sets up, builds the workspace once and runs every test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::error::Error;
use crate::shell::{Program, cargo};
use crate::{authoring, clients, minilm, setup};

/// Runs all tests, or those that `args` (handed to `cargo test`) select.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<(), Error> {
    // The whole-server tests run the program itself, which `cargo test` alone would not build.
    setup::run(root, &setup::Options::default())?;
    cargo(root).args(["build", "--release", "--workspace", "--bin", "mlx-gate"]).run()?;
    let (cargo_args, test_args) =
        args.split_at(args.iter().position(|arg| arg == "--").unwrap_or(args.len()));
    let cargo = setup::cargo_with_python(root)?;
    let cargo = minilm::find(root).into_iter().fold(cargo, |cargo, model| cargo.env(minilm::VARIABLE, model));
    let tests = cargo
        .env(authoring::VARIABLE, authoring::find(root)?)
        .env(clients::VARIABLE, clients::find(root)?)
        .args(["test", "--release", "--workspace", "--no-fail-fast"])
        .args(cargo_args)
        // Without this option libtest keeps what a passing test prints, and with it why a part was skipped.
        .args(["--", "--show-output"])
        .args(test_args.iter().skip(1));
    let mut report = Report::default();
    let passed = stream(tests, &mut report)?;
    report.print();
    if passed { Ok(()) } else { Err(Error::CheckFailed("some tests failed".into())) }
}

/// Runs to the end and shows each line that `report` lets through; whether the program succeeded.
fn stream(program: Program, report: &mut Report) -> Result<bool, Error> {
    let name = program.to_string();
    let not_started = |source| Error::NotStarted { program: name.clone(), source };
    let mut child = program.into_command().stdout(Stdio::piped()).spawn().map_err(not_started)?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(not_started)?;
        if report.take(&line) {
            eprintln!("{line}");
        }
    }
    child.wait().map(|status| status.success()).map_err(not_started)
}

/// What the tests said, gathered from libtest's output.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    passed: usize,
    failed: usize,
    /// `NAME (reason)`, from lines `skipped: NAME (reason)`.
    skipped: Vec<String>,
    /// Within the output of passing tests, which nobody wants to read.
    inside_successes: bool,
}

impl Report {
    /// Takes a line, and says whether a person should see it.
    fn take(&mut self, line: &str) -> bool {
        if let Some(skipped) = line.trim_start().strip_prefix("skipped: ") {
            self.skipped.push(skipped.to_owned());
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
        }
        match line {
            "successes:" => self.inside_successes = true,
            "failures:" => self.inside_successes = false,
            _ if line.starts_with("test result: ") => self.inside_successes = false,
            _ => {}
        }
        !self.inside_successes && !line.ends_with("... ok")
    }

    fn print(&self) {
        eprintln!("\ntests: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len());
        for skipped in &self.skipped {
            eprintln!("  skipped: {skipped}");
        }
    }
}

/// The number before `what;` in `ok. 3 passed; 0 failed; ...`.
fn count(result: &str, what: &str) -> usize {
    let part = result.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... FAILED

successes:

---- b stdout ----
chatter
skipped: b (no Python)

successes:
    a
    b

failures:

---- c stdout ----
it broke

failures:
    c

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_and_skips_are_gathered_and_chatter_of_passing_tests_is_not_shown() {
        let mut report = Report::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| report.take(line)).collect();
        let expected =
            Report { passed: 2, failed: 1, skipped: vec!["b (no Python)".into()], inside_successes: false };
        assert_eq!(report, expected);
        assert!(shown.contains(&"it broke") && shown.contains(&"test c ... FAILED"));
        assert!(!shown.contains(&"chatter") && !shown.contains(&"test a ... ok"));
    }
}
