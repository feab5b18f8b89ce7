//! `cargo xtask soak NAME`: builds the server and what works on it for long, and runs that. With `--json` standard output
//! holds one JSON object and nothing else.

use std::path::Path;

use crate::error::Error;
use crate::setup;
use crate::shell::{Profile, Program, built, cargo};

/// What can be soaked, with the example that does it.
const SOAKS: [(&str, &str); 1] = [("swap", "soak_swap")];

pub(crate) fn run(root: &Path, args: &[String]) -> Result<(), Error> {
    let names = || SOAKS.map(|(name, _)| name).join(", ");
    let (name, args) = args.split_first().ok_or_else(|| Error::Usage(format!("soak what? {}", names())))?;
    let found = SOAKS.iter().find(|(known, _)| known == name);
    let (_, example) =
        found.ok_or_else(|| Error::Usage(format!("there is no soak `{name}`: {}", names())))?;
    setup::run(root, &setup::Options::default())?;
    cargo(root)
        .args(["build", "--release", "--workspace", "--bin", "mlx-gate", "--example", example])
        .run()?;
    Program::new(built(root, Profile::Release, &format!("examples/{example}")))
        .dir(root)
        .args(args)
        .run_with_stdout()
}
