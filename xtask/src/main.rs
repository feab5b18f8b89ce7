//! Developer commands: `cargo xtask <command>`.
//!
//! Each command is a module of its own name; what several of them need stands in `install`, `shell`, `native` and
//! `python`.

mod authoring;
mod bench;
mod ci;
mod clients;
mod error;
mod fuzz;
mod install;
mod minilm;
mod native;
mod parity;
mod plugins;
mod python;
mod serve;
mod setup;
mod shell;
mod soak;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use error::Error;
use native::mlx::Backend;

const HELP: &str = "\
Usage: cargo xtask <command>

  serve [--backend cpu|cuda] [ARGS...]   get and build what is missing, then serve; ARGS go to `mlx-gate serve`
  test [ARGS...]                         set up the same way and run every test; ARGS go to `cargo test`
  parity                                 compare models with mlx-lm and chat templates with transformers
  bench decode|gate|api|embed [--json] [--check]   measure; --check fails where a target of `gate` or `api` is missed
  soak swap [--swaps N] [--hangup] [--json]   swap plugins and key files under load; 1,000 times
  fuzz [--seconds N]                     look for inputs that break a parser, every target for 60 s, all at once
  ci                                     what CI runs: fmt, tidy, tests, clippy, fuzz
  tidy                                   rules about the sources: crates, names, lengths, unsafe code

  setup [--backend cpu|cuda] [--tests]   only get and build what is missing; --tests: also what tests compare with
  native [--backend cpu|cuda]            the native parts of MLX
  plugins [--toolchain debian]           the bundled plugins

Everything that is downloaded or built lies in `.native` (or MLX_GATE_NATIVE) and `target`. On Linux, --backend chooses
the MLX library: `cpu` (the first time) or `cuda`; the choice is kept.
";

fn main() -> ExitCode {
    if let Some(code) = fuzz::compile() {
        return code;
    }
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<(), Error> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let command = if args.is_empty() { "help".into() } else { args.remove(0) };
    let root = root()?;
    match command.as_str() {
        "serve" => {
            let backend = take_backend(&mut args)?;
            serve::run(&root, &setup::Options { backend, tests: false }, &args)
        }
        "test" => test::run(&root, &args),
        "parity" => no_more(&args).and_then(|()| parity::run(&root)),
        "bench" => bench::run(&root, &args),
        "fuzz" => {
            let seconds = match take_value(&mut args, "--seconds")? {
                None => fuzz::SECONDS,
                Some(text) => text
                    .parse()
                    .map_err(|_| Error::Usage(format!("--seconds wants a whole number, not `{text}`")))?,
            };
            no_more(&args).and_then(|()| fuzz::run(&root, seconds))
        }
        "soak" => soak::run(&root, &args),
        "ci" => no_more(&args).and_then(|()| ci::run(&root)),
        "tidy" => no_more(&args).and_then(|()| tidy::run(&root)),
        "setup" => {
            let options = setup::Options {
                backend: take_backend(&mut args)?,
                tests: take_switch(&mut args, "--tests"),
            };
            no_more(&args).and_then(|()| setup::run(&root, &options))
        }
        "native" => {
            let backend = take_backend(&mut args)?;
            no_more(&args).and_then(|()| native::setup(&root, backend))
        }
        "plugins" => {
            let choice = plugins::Choice::parse(take_value(&mut args, "--toolchain")?.as_deref())?;
            no_more(&args).and_then(|()| plugins::build(&root, choice))
        }
        "help" | "--help" | "-h" => {
            eprint!("{HELP}");
            Ok(())
        }
        other => Err(Error::Usage(format!("there is no command `{other}`"))),
    }
}

fn take_backend(args: &mut Vec<String>) -> Result<Option<Backend>, Error> {
    take_value(args, "--backend")?.as_deref().map(Backend::parse).transpose()
}

/// Removes `--flag value` and gives the value.
fn take_value(args: &mut Vec<String>, flag: &str) -> Result<Option<String>, Error> {
    let Some(place) = args.iter().position(|arg| arg == flag) else { return Ok(None) };
    if place + 1 == args.len() {
        return Err(Error::Usage(format!("{flag} wants a value")));
    }
    args.remove(place);
    Ok(Some(args.remove(place)))
}

fn take_switch(args: &mut Vec<String>, flag: &str) -> bool {
    let before = args.len();
    args.retain(|arg| arg != flag);
    args.len() < before
}

fn no_more(args: &[String]) -> Result<(), Error> {
    if args.is_empty() { Ok(()) } else { Err(Error::Usage(format!("unexpected: {}", args.join(" ")))) }
}

/// The root of the checkout that cargo runs us from, which is not always the one we were compiled in.
fn root() -> Result<PathBuf, Error> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| Error::Usage("run me through cargo: `cargo xtask <command>`".into()))?;
    let xtask = PathBuf::from(manifest);
    Ok(xtask.parent().unwrap_or(&xtask).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_taken_out_of_the_arguments() {
        let mut given = args("--port 1 --backend cuda --tests");
        assert_eq!(take_backend(&mut given).ok(), Some(Some(Backend::Cuda)));
        assert!(take_switch(&mut given, "--tests"));
        assert_eq!(given, args("--port 1"));
        assert!(!take_switch(&mut given, "--tests"));
    }

    #[test]
    fn a_wrong_or_missing_value_is_an_error() {
        assert!(take_backend(&mut args("--backend tpu")).is_err());
        assert!(take_backend(&mut args("--backend")).is_err());
        assert!(no_more(&args("more")).is_err());
    }
}
