//! `cargo xtask ci`: what CI runs, step by step, each with its time.

use std::path::Path;
use std::time::Instant;

use crate::error::Error;
use crate::shell::cargo;
use crate::{fuzz, setup, test, tidy};

/// A step's name and what it does.
type Step<'a> = (&'a str, &'a dyn Fn() -> Result<(), Error>);

pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let steps: [Step<'_>; 6] = [
        ("fmt", &|| cargo(root).args(["fmt", "--all", "--check"]).run()),
        ("tidy", &|| tidy::run(root)),
        ("setup", &|| setup::run(root, &setup::Options::default())),
        ("test", &|| test::run(root, &[])),
        ("clippy", &|| clippy(root)),
        ("fuzz", &|| fuzz::run(root, fuzz::SECONDS)),
    ];
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, step) in steps {
        eprintln!("ci: {name}");
        let started = Instant::now();
        outcome = step();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        times.push(format!("{name:<8} {:>7.1} s  {verdict}", started.elapsed().as_secs_f64()));
        if outcome.is_err() {
            break;
        }
    }
    eprintln!("\nci:\n  {}", times.join("\n  "));
    outcome
}

fn clippy(root: &Path) -> Result<(), Error> {
    cargo(root)
        .args(["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        .run()
}
