//! The command line's part of the configuration.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::options::{ALL, CACHE_DIR, CLIENT, CONFIG, Opt, Shape};
use super::source::{Given, Source, Value};

/// The options as flags. Values are taken as text: they are checked in one place, with those of environment and file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags(pub Vec<(&'static str, Given)>);

/// The options that a client of the admin API takes.
#[derive(Debug, Default)]
pub(crate) struct AdminFlags(pub Flags);

/// The options of commands that compile plugins.
#[derive(Debug, Default)]
pub(crate) struct CacheFlags(pub Flags);

fn all() -> impl Iterator<Item = &'static Opt> {
    std::iter::once(&CONFIG).chain(ALL)
}

fn client() -> impl Iterator<Item = &'static Opt> {
    std::iter::once(&CONFIG).chain(CLIENT)
}

fn cache() -> impl Iterator<Item = &'static Opt> {
    std::iter::once(&CACHE_DIR)
}

/// Makes a set of options flags of a command.
macro_rules! flags {
    ($flags:ident, $options:expr, $wrap:expr) => {
        impl Args for $flags {
            fn augment_args(command: Command) -> Command {
                command.args($options.map(flag))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $flags {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok($wrap($options.filter_map(|option| given(option, matches)).collect()))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

flags!(Flags, all(), Self);
flags!(AdminFlags, client(), |given| Self(Flags(given)));
flags!(CacheFlags, cache(), |given| Self(Flags(given)));

fn flag(option: &'static Opt) -> Arg {
    let help = format!("{} [default: {}] [env: {}]", option.help, option.default, option.variable());
    let arg = Arg::new(option.name).long(option.name).help(help);
    match option.shape {
        Shape::Switch => arg.action(ArgAction::SetTrue),
        Shape::Many => arg.action(ArgAction::Append).value_name(option.value),
        Shape::One | Shape::Secret => arg.action(ArgAction::Set).value_name(option.value),
    }
}

fn given(option: &'static Opt, matches: &ArgMatches) -> Option<(&'static str, Given)> {
    let values = match option.shape {
        Shape::Switch => matches.get_flag(option.name).then(|| vec![Value::Text("true".to_owned())])?,
        Shape::Secret => vec![Value::secret(matches.get_one::<String>(option.name)?)],
        Shape::One | Shape::Many => {
            matches.get_many::<String>(option.name)?.cloned().map(Value::Text).collect()
        }
    };
    Some((option.name, Given { source: Source::Flag(option.name), values }))
}
