use std::path::PathBuf;

use clap::Args;
use mlx_gate_lifecycle::PluginSpec;

use super::Language;
use crate::config::CacheFlags;

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// What to write it in
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The plugin's name: lower case letters, digits, `_` and `-`
    pub name: String,
    /// Where to make the folder, instead of one of that name here
    #[arg(long)]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The plugin's folder
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Where to put the component, instead of NAME.wasm in the folder
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// A .wasm component, or the name of a bundled plugin
    #[arg(value_name = "NAME_OR_PATH")]
    pub plugin: PluginSpec,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// A .wasm component or the name of a bundled plugin, with grants and options as for `serve --plugin`; those of the
    /// case files come on top
    #[arg(value_name = "NAME_OR_PATH[,OPTION=VALUE...]")]
    pub plugin: PluginSpec,
    /// A file with cases or a folder of such files, instead of `cases` beside the component
    #[arg(long)]
    pub cases: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheFlags,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// A .wasm component or the name of a bundled plugin, with grants and options as for `serve --plugin`
    #[arg(value_name = "NAME_OR_PATH[,OPTION=VALUE...]")]
    pub plugin: PluginSpec,
    /// A file of cases for `test`: the first case says what the plugin is asked. Without it, `cases` beside the component
    /// is looked at, and then a request without credentials is taken
    #[arg(long)]
    pub cases: Option<PathBuf>,
    /// How long to measure each phase
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub seconds: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheFlags,
}
