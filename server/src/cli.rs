//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{AdminFlags, Flags};
use crate::kit;

/// What the server calls itself with to try a grammar.
pub(crate) const TRY_GRAMMAR: &str = "try-grammar";

/// An LLM server on MLX whose front door is programmable
#[derive(Debug, Parser)]
#[command(name = "mlx-gate", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve models over HTTP
    Serve(Flags),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make keys for the auth_static_keys plugin
    #[command(subcommand)]
    Key(KeyCommand),
    /// Write, build and try out plugins, and change those of a running server
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Compile the grammar on standard input and forget it; the server calls this for grammars it does not trust
    #[command(name = TRY_GRAMMAR, hide = true)]
    TryGrammar,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Start a plugin: a folder with a working authenticator and all it needs
    New(kit::NewArguments),
    /// Make a component of a plugin's folder
    Build(kit::BuildArguments),
    /// Say what a plugin is: phases, grants it needs, options, digest
    Inspect(kit::InspectArguments),
    /// Run a plugin in the sandbox on requests from JSON files, and compare its verdicts
    Test(kit::TestArguments),
    /// Measure what a plugin's phases take
    Bench(kit::BenchArguments),
    /// Show a running server's plugins: source, digest, phases, grants, and what the last failed change failed by
    List(AdminFlags),
    /// Replace a running plugin's code, without losing a request
    Swap(SwapPlugin),
    /// Have a running plugin read its code and files again
    Reload(ChangePlugin),
    /// Go back to what was in force before a running plugin's last change
    Rollback(ChangePlugin),
}

#[derive(Debug, Args)]
pub(crate) struct SwapPlugin {
    /// The plugin's id, as `mlx-gate plugin list` shows it
    pub id: String,
    /// A bundled plugin's name, or the path of a .wasm component
    pub source: String,
    #[command(flatten)]
    pub admin: AdminFlags,
}

#[derive(Debug, Args)]
pub(crate) struct ChangePlugin {
    /// The plugin's id, as `mlx-gate plugin list` shows it
    pub id: String,
    #[command(flatten)]
    pub admin: AdminFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check flags, environment and file as `serve` would, and report every mistake; where there is none, load the plugins
    Check(Flags),
    /// Print each option's value and where it comes from; credentials are not shown
    Show(Flags),
    /// Print the reference page in Markdown
    Reference,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key: it is printed once, the file gets its hash
    New(NewKey),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Key file to append to; made, readable by its owner only, where it is missing
    #[arg(long)]
    pub file: PathBuf,
    /// Who the key is for; the principal's subject
    #[arg(long)]
    pub name: String,
    /// The account its requests are on
    #[arg(long)]
    pub tenant: Option<String>,
    /// A role; repeatable
    #[arg(long = "role")]
    pub roles: Vec<String>,
    /// A scope; repeatable
    #[arg(long = "scope")]
    pub scopes: Vec<String>,
    /// When it stops working: days from now (90d) or a date (2027-01-31, or 2027-01-31T12:00:00Z)
    #[arg(long)]
    pub expires: Option<String>,
}
