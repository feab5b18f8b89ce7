//! `mlx-gate`, the program: reads the command line and hands over.

mod admin;
mod admin_client;
mod announce;
mod bundled;
mod cli;
mod config;
mod error;
mod gate;
mod keys;
mod kit;
mod listen;
mod logs;
mod memory;
mod models;
mod serve;
mod signals;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use admin_client::Request;
use cli::{ChangePlugin, Cli, Command, ConfigCommand, KeyCommand, NewKey, PluginCommand, SwapPlugin};
use config::{AdminFlags, Flags, Resolved};
use error::Error;
use kit::TestArguments;

fn main() -> ExitCode {
    memory::give_back_at_once();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(flags) => serve::serve(&settle(flags)?.settings),
        Command::Config(ConfigCommand::Check(flags)) => serve::check(&settle(flags)?.settings),
        Command::Config(ConfigCommand::Show(flags)) => print(&config::show(&settle(flags)?)),
        Command::Config(ConfigCommand::Reference) => print(&config::reference()),
        Command::Key(KeyCommand::New(arguments)) => new_key(&arguments),
        Command::Plugin(command) => plugin(command),
        Command::TryGrammar => try_grammar(),
    }
}

/// What [`Trial`](mlx_gate_engine::Trial) starts. Where memory runs out the process ends, which is the answer.
fn try_grammar() -> Result<(), Error> {
    /// A grammar that is worth its while needs a tenth of this.
    const MOST_BYTES: u64 = 256 << 20;
    /// The server waits no longer than this, and may itself have ended.
    const MOST_SECONDS: u64 = 300;
    memory::limit(MOST_BYTES, MOST_SECONDS).map_err(Error::System)?;
    let failed = |error| Error::System(std::io::Error::other(error));
    mlx_gate_engine::try_grammar(std::io::stdin().lock()).map_err(failed)
}

/// Works on plugins in files, or has a running server do something with its own.
fn plugin(command: PluginCommand) -> Result<(), Error> {
    logs::start_for_authors();
    let (admin, request) = match command {
        PluginCommand::New(arguments) => return print(&kit::new(&arguments)?),
        PluginCommand::Build(arguments) => return print(&kit::build(&arguments)?),
        PluginCommand::Inspect(arguments) => return print(&kit::inspect(&arguments)?),
        PluginCommand::Test(arguments) => return test_plugin(&arguments),
        PluginCommand::Bench(arguments) => return print(&kit::bench(&arguments)?),
        PluginCommand::List(admin) => (admin, Request::List),
        PluginCommand::Swap(SwapPlugin { id, source, admin }) => (admin, Request::Swap { id, source }),
        PluginCommand::Reload(ChangePlugin { id, admin }) => (admin, Request::Reload(id)),
        PluginCommand::Rollback(ChangePlugin { id, admin }) => (admin, Request::RollBack(id)),
    };
    let AdminFlags(flags) = admin;
    let settings = config::load(flags, std::env::vars_os())?.settings;
    let runtime = tokio::runtime::Runtime::new().map_err(Error::System)?;
    print(&runtime.block_on(admin_client::run(settings.admin.as_ref(), request))?)
}

fn test_plugin(arguments: &TestArguments) -> Result<(), Error> {
    let (report, passed) = kit::test(arguments)?;
    print(&report)?;
    if passed { Ok(()) } else { Err(Error::Kit(kit::Error::Cases)) }
}

/// Resolves the configuration and starts the log.
fn settle(flags: Flags) -> Result<Resolved, Error> {
    let resolved = config::load(flags, std::env::vars_os())?;
    logs::start(&resolved.settings);
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

/// The key goes to standard output and nothing else does, so that a script can take it from there.
fn new_key(arguments: &NewKey) -> Result<(), Error> {
    let key = keys::new(arguments)?;
    eprintln!(
        "added `{}` to {}; this is the key, it is not shown again:",
        arguments.name,
        arguments.file.display()
    );
    print(&format!("{}\n", key.expose()))
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Error> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::System)
}
