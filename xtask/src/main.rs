//! Developer commands: `cargo xtask <command>`.
//!
//! Each command is a module of its own name; what several of them need stands in `install`, `shell` and `native`.

mod error;
mod install;
mod native;
mod plugins;
mod shell;

use std::path::PathBuf;
use std::process::ExitCode;

use error::Error;

const HELP: &str = "\
Usage: cargo xtask <command>

  native [--backend cpu|cuda]   get and build the native parts of MLX
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, args) = args.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    let root = root()?;
    match command {
        "plugins" => plugins::build(&root, toolchain(args)?),
        "native" => native::setup(&root, backend(args)?),
        "help" | "--help" | "-h" => {
            eprint!("{HELP}");
            Ok(())
        }
        other => Err(Error::Usage(format!("there is no command `{other}`"))),
    }
}

fn toolchain(args: &[String]) -> Result<plugins::Choice, Error> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(plugins::Choice::Any),
        ["--toolchain", "debian"] => Ok(plugins::Choice::Debian),
        _ => Err(Error::Usage(format!("unexpected arguments: {}", args.join(" ")))),
    }
}

fn backend(args: &[String]) -> Result<Option<native::mlx::Backend>, Error> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        ["--backend", name] => native::mlx::Backend::parse(name).map(Some),
        _ => Err(Error::Usage(format!("unexpected arguments: {}", args.join(" ")))),
    }
}

/// The root of the checkout that cargo runs us from, which is not always the one we were compiled in.
fn root() -> Result<PathBuf, Error> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| Error::Usage("run me through cargo: `cargo xtask <command>`".into()))?;
    let xtask = PathBuf::from(manifest);
    Ok(xtask.parent().unwrap_or(&xtask).to_path_buf())
}
