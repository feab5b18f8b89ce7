//! What the server is to do: flags over environment over file over defaults, checked once, every mistake reported.

mod admin;
mod environment;
mod file;
mod flags;
pub(crate) mod options;
mod reference;
mod resolve;
mod settings;
mod show;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

pub(crate) use flags::{AdminFlags, CacheFlags, Flags};
pub(crate) use reference::reference;
pub(crate) use settings::{LogFormat, Settings};
pub(crate) use show::show;

use options::{CONFIG, Opt};
use source::{Given, Mistake, Value};

/// What one place says, by option.
type Layer = BTreeMap<&'static str, Given>;

/// Settings, and what else there is to say about how they came about.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// What the server is to do.
    pub settings: Settings,
    /// What was given, for `config show`.
    pub given: GivenOptions,
    /// Advice for the log.
    pub warnings: Vec<String>,
}

/// Everything that was said, the strongest place's word for each option.
#[derive(Debug, Default)]
pub(crate) struct GivenOptions(Layer);

impl GivenOptions {
    /// What was said about an option; `None` leaves it at its default.
    pub(crate) fn get(&self, option: &Opt) -> Option<&Given> {
        self.0.get(option.name)
    }
}

/// Every mistake of a configuration.
#[derive(Debug)]
pub(crate) struct Mistakes(pub Vec<Mistake>);

impl std::fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_slice() {
            [only] => write!(formatter, "{only}"),
            many => {
                write!(formatter, "the configuration has {} mistakes", many.len())?;
                many.iter().try_for_each(|mistake| write!(formatter, "\n  {mistake}"))
            }
        }
    }
}

impl std::error::Error for Mistakes {}

/// Brings flags, environment and file together. The only place that reads the environment and the file.
pub(crate) fn load(
    flags: Flags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Resolved, Mistakes> {
    let environment::Environment { layer, mut mistakes, warnings, cache_dir } = environment::read(variables);
    let mut strongest = layer;
    strongest.extend(flags.0);
    let mut merged = Layer::new();
    if let Some(given) = strongest.get(CONFIG.name) {
        merged = from_file(given, &mut mistakes);
    }
    merged.extend(strongest);
    let given = GivenOptions(merged);
    let settings = resolve::resolve(&given, cache_dir, &mut mistakes);
    if mistakes.is_empty() { Ok(Resolved { settings, given, warnings }) } else { Err(Mistakes(mistakes)) }
}

fn from_file(given: &Given, mistakes: &mut Vec<Mistake>) -> Layer {
    let [Value::Text(path)] = given.values.as_slice() else { return Layer::new() };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let (layer, wrong) = file::read(Path::new(path), &text);
            mistakes.extend(wrong);
            layer
        }
        Err(error) => {
            mistakes.push(Mistake::new(&given.source, format!("cannot read `{path}`: {error}")));
            Layer::new()
        }
    }
}

/// The known name somebody most likely meant, if one is close enough to say so.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| {
            (strsim::damerau_levenshtein(&candidate.replace('-', "_"), &name.replace('-', "_")), candidate)
        })
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}
