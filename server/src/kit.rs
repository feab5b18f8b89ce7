//! The author's kit: `mlx-gate plugin new|build|inspect|test|bench`.
//!
//! A plugin's source is a [`project`]: a folder with a `plugin.toml`. [`new`] writes one from a template, [`build`] makes a
//! component of it with the language's own tools. [`inspect`], [`test`] and [`bench`] take a finished component, or a
//! bundled plugin, and run it in the sandbox that `serve` has.

mod arguments;
mod bench;
mod build;
mod embedded;
mod error;
mod inspect;
mod new;
mod program;
mod project;
mod test;

use std::time::Duration;

use mlx_gate_lifecycle::workbench::Workshop;
use tokio::runtime::Runtime;

use crate::config::CacheFlags;
use crate::{bundled, config};

pub(crate) use arguments::{BenchArguments, BuildArguments, InspectArguments, NewArguments, TestArguments};
pub(crate) use error::Error;
use project::Language;

/// Starts a plugin, and says how to go on with it.
pub(crate) fn new(arguments: &NewArguments) -> Result<String, Error> {
    let NewArguments { lang, name, path } = arguments;
    let folder = new::new(name, *lang, path.as_deref())?;
    let tools = match lang {
        Language::Rust | Language::C => "",
        Language::Js => "  npm install\n",
        Language::Python => "  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt\n",
    };
    Ok(format!(
        "{0} is an authenticator that works. Next:\n  cd {0}\n{tools}  mlx-gate plugin build\n  mlx-gate plugin test {name}.wasm\n  \
         mlx-gate serve --plugin ./{name}.wasm,password=open-sesame\n",
        folder.display()
    ))
}

/// Makes a component of a plugin's folder, and says what came of it.
pub(crate) fn build(arguments: &BuildArguments) -> Result<String, Error> {
    let component = build::build(&arguments.folder, arguments.output.as_deref())?;
    let bytes = std::fs::metadata(&component).map_err(Error::file("reading", &component))?.len();
    Ok(format!(
        "{} has {}\n",
        component.display(),
        inspect::size(usize::try_from(bytes).unwrap_or(usize::MAX))
    ))
}

/// Says what a plugin is.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<String, Error> {
    let source = &arguments.plugin.source;
    let plugin = runtime()?.block_on(workshop(&arguments.cache)?.inspect(source))?;
    Ok(if arguments.json { pretty(&inspect::json(source, &plugin)) } else { inspect::text(source, &plugin) })
}

/// Runs a plugin's cases. The report, and whether all is as expected.
pub(crate) fn test(arguments: &TestArguments) -> Result<(String, bool), Error> {
    let cases = arguments.cases.as_deref();
    let report = runtime()?.block_on(test::test(&arguments.plugin, cases, &workshop(&arguments.cache)?))?;
    Ok((if arguments.json { pretty(&report.json()) } else { report.text() }, report.passed()))
}

/// Measures a plugin.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<String, Error> {
    let time = Duration::try_from_secs_f64(arguments.seconds).unwrap_or(Duration::from_secs(1));
    let (plugin, cases) = (&arguments.plugin, arguments.cases.as_deref());
    let report = runtime()?.block_on(bench::bench(plugin, cases, time, &workshop(&arguments.cache)?))?;
    Ok(if arguments.json { pretty(&report.json()) } else { report.text() })
}

fn runtime() -> Result<Runtime, Error> {
    Runtime::new().map_err(Error::System)
}

/// Where components are compiled, with what a server keeps of that.
fn workshop(cache: &CacheFlags) -> Result<Workshop, Error> {
    let settings = config::load(cache.0.clone(), std::env::vars_os())?.settings;
    Ok(Workshop::new(&bundled::plugins(), settings.cache_dir.as_deref())?)
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
