//! The environment's part of the configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::options::{ALL, CONFIG, LOG_LEVEL, Opt, PORT, Shape};
use super::source::{Given, Mistake, Source, Value};
use super::{Layer, nearest};

/// Variables of the build and the tests that look like options of the server.
const NOT_OPTIONS: [&str; 2] = ["MLX_GATE_PLUGINS", "MLX_GATE_PYTHON"];

/// What a set of environment variables says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Options given.
    pub layer: Layer,
    /// Values that cannot be read.
    pub mistakes: Vec<Mistake>,
    /// Old names, and names that are nearly right.
    pub warnings: Vec<String>,
    /// Where caches of this program belong, if this user has such a place.
    pub cache_dir: Option<PathBuf>,
}

/// Reads the options out of environment variables.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
    let variables: BTreeMap<String, OsString> =
        variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let mut environment = Environment { cache_dir: cache_dir(&variables), ..Environment::default() };
    for option in std::iter::once(&CONFIG).chain(ALL) {
        let old = option.was.filter(|old| variables.contains_key(*old));
        let new = Some(option.variable()).filter(|new| variables.contains_key(new));
        if let Some(old) = old {
            let name = option.variable();
            environment.warnings.push(match &new {
                Some(_) => format!("{old} is the name of mlx-server and is left out: {name} is set"),
                None => format!("{old} is the name of mlx-server; use {name}"),
            });
        }
        let foreign = || (option.name == LOG_LEVEL.name).then_some("RUST_LOG".to_owned());
        let Some(name) = new.or_else(|| old.map(str::to_owned)).or_else(foreign) else { continue };
        let Some(value) = variables.get(&name) else { continue };
        if option.name == PORT.name && value.to_string_lossy().starts_with("tcp://") {
            environment.warnings.push(format!(
                "{name} is left out: Kubernetes set it, for a service of that name; `enableServiceLinks: false` in the \
                 pod's spec stops that"
            ));
            continue;
        }
        environment.take(option, name, value);
    }
    environment.warn_of_near_misses(variables.keys());
    environment
}

/// As the XDG Base Directory Specification has it, and Apple's file system guide.
fn cache_dir(variables: &BTreeMap<String, OsString>) -> Option<PathBuf> {
    // A relative path is to be ignored, says the specification.
    let path = |name| variables.get(name).map(Path::new).filter(|path| path.is_absolute());
    let usual = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    let of_user = path("XDG_CACHE_HOME").map(Path::to_owned).or_else(|| Some(path("HOME")?.join(usual)))?;
    Some(of_user.join("mlx-gate"))
}

impl Environment {
    fn take(&mut self, option: &'static Opt, name: String, value: &OsString) {
        let source = Source::Variable(name);
        let Some(value) = value.to_str() else {
            self.mistakes.push(Mistake::unexpected(&source, "bytes that are not UTF-8", "text"));
            return;
        };
        let values = match option.shape {
            Shape::Secret => vec![Value::secret(value)],
            Shape::One | Shape::Switch => vec![Value::Text(value.to_owned())],
            Shape::Many => value.split([';', '\n']).map(|part| Value::Text(part.trim().to_owned())).collect(),
        };
        self.layer.insert(option.name, Given { source, values });
    }

    /// A variable with a slip in its name would otherwise be left out without a word.
    fn warn_of_near_misses<'a>(&mut self, names: impl Iterator<Item = &'a String>) {
        let known: Vec<String> = std::iter::once(&CONFIG).chain(ALL).map(Opt::variable).collect();
        for name in names.filter(|name| name.starts_with("MLX_GATE_")) {
            if known.contains(name) || NOT_OPTIONS.contains(&name.as_str()) {
                continue;
            }
            if let Some(meant) = nearest(name, known.iter().map(String::as_str)) {
                self.warnings.push(format!("{name} is not a variable of mlx-gate; {meant} is"));
            }
        }
    }
}
