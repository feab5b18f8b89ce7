use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::{Grants, MalformedGrant};

mod host;

pub use host::{HostOptions, Isolation};

/// What the gate is made of.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The plugins, in the order in which they are asked.
    pub plugins: Vec<PluginSpec>,
    /// What each plugin may use.
    pub limits: Limits,
    /// Where interpreters are kept once they are compiled; a folder of its own is made there.
    pub cache_dir: Option<PathBuf>,
}

/// A plugin inside the server's binary.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// The name `--plugin` knows it by.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// A plugin to load, as a flag or a configuration file names it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSpec {
    /// Where its code is.
    pub source: Source,
    /// Its own options, in the order given.
    pub options: Vec<(String, OptionValue)>,
    /// How the host runs it.
    pub host: HostOptions,
    /// What it may use besides what every plugin may.
    pub grants: Grants,
}

/// Where a plugin's code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the server's binary, under this name.
    Bundled(String),
    /// In this file.
    File(PathBuf),
}

/// An option's value.
#[derive(Clone, PartialEq)]
pub enum OptionValue {
    /// From a flag; the plugin's schema says what it stands for. An option given more than once makes an array.
    Text(String),
    /// From a configuration file.
    Json(Value),
}

/// What one plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of an instance, in bytes.
    pub memory: usize,
    /// Time for one call, by the clock on the wall: a loaded machine then gives no false alarms.
    pub call: Duration,
    /// Time for `configure`, which happens once.
    pub configure: Duration,
    /// What a call may hand to the host at once, in bytes: its answer, or the arguments of one host function.
    pub transfer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            call: Duration::from_millis(250),
            configure: Duration::from_secs(10),
            transfer: 1 << 20,
        }
    }
}

impl PluginSpec {
    /// A plugin with these options of its own, run as usual.
    pub fn new(source: Source, options: Vec<(String, OptionValue)>) -> Self {
        Self { source, options, host: HostOptions::default(), grants: Grants::default() }
    }

    /// A bundled plugin with options from code.
    pub fn bundled(name: impl Into<String>, options: impl IntoIterator<Item = (String, Value)>) -> Self {
        let options = options.into_iter().map(|(name, value)| (name, OptionValue::Json(value)));
        Self::new(Source::Bundled(name.into()), options.collect())
    }
}

/// Reads `NAME_OR_PATH[,option=value...]`. Options whose names begin with `host.` are the host's, those
/// that begin with `grant.` are grants.
impl FromStr for PluginSpec {
    type Err = MalformedSpec;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let source = match parts.next() {
            None | Some("") => return Err(MalformedSpec::NoName),
            Some(source) => Source::from(source),
        };
        let mut spec = Self::new(source, Vec::new());
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) if !name.is_empty() => (name, value),
                _ => {
                    let name = part.split('=').next().unwrap_or_default();
                    return Err(MalformedSpec::Option(name.to_owned()));
                }
            };
            if let Some(grant) = name.strip_prefix("grant.") {
                spec.grants.add(grant, value)?;
                continue;
            }
            let value = OptionValue::Text(value.to_owned());
            match name.strip_prefix("host.") {
                Some(name) => spec.host.set(name, &value)?,
                None => spec.options.push((name.to_owned(), value)),
            }
        }
        Ok(spec)
    }
}

/// Why a plugin's flag or table cannot be read. Values of a plugin's own options are not repeated: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSpec {
    /// Nothing before the first comma.
    #[error("a plugin is NAME_OR_PATH[,option=value...], and there is no name")]
    NoName,
    /// Something after a comma that is not `option=value`.
    #[error("`{0}` is not of the form option=value")]
    Option(String),
    /// A grant that cannot be read.
    #[error("{0}")]
    Grant(#[from] MalformedGrant),
    /// The host has no such option.
    #[error("there is no option `host.{option}`; there are: {known}")]
    UnknownHostOption {
        /// The option.
        option: String,
        /// The options there are.
        known: String,
    },
    /// A host option's value does not fit.
    #[error("`host.{option}` is `{found}`, and has to be {expected}")]
    HostOption {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What would fit.
        expected: &'static str,
    },
}

/// A path has a separator in it or ends in `.wasm`.
impl From<&str> for Source {
    fn from(text: &str) -> Self {
        let path = PathBuf::from(text);
        let is_wasm = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"));
        if is_wasm || text.contains(['/', '\\']) { Self::File(path) } else { Self::Bundled(text.to_owned()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) => formatter.write_str(name),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

// An option may be a password.
impl fmt::Debug for OptionValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text(_) => "Text([redacted])",
            Self::Json(_) => "Json([redacted])",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{HostOptions, Isolation, MalformedSpec, OptionValue, PluginSpec, Source};

    #[test]
    fn a_flag_names_a_bundled_plugin_or_a_file() {
        for (text, source) in [
            ("auth_static_keys", Source::Bundled("auth_static_keys".to_owned())),
            ("./auth", Source::File(PathBuf::from("./auth"))),
            ("auth.wasm", Source::File(PathBuf::from("auth.wasm"))),
            ("/opt/plugins/auth.WASM,a=1", Source::File(PathBuf::from("/opt/plugins/auth.WASM"))),
        ] {
            assert_eq!(text.parse::<PluginSpec>().expect("well formed").source, source);
        }
    }

    #[test]
    fn options_follow_commas() {
        let spec: PluginSpec = "p,file=a=b.toml,empty=".parse().expect("well formed");
        let text = |value: &str| OptionValue::Text(value.to_owned());
        assert_eq!(spec.options, [("file".to_owned(), text("a=b.toml")), ("empty".to_owned(), text(""))]);
        assert_eq!("".parse::<PluginSpec>(), Err(MalformedSpec::NoName));
        assert_eq!(",file=x".parse::<PluginSpec>(), Err(MalformedSpec::NoName));
        assert_eq!("p,file".parse::<PluginSpec>(), Err(MalformedSpec::Option("file".to_owned())));
        assert_eq!("p,=secret".parse::<PluginSpec>(), Err(MalformedSpec::Option(String::new())));
    }

    #[test]
    fn options_of_the_host_are_kept_apart() {
        let spec: PluginSpec = "p,host.isolation=reuse,file=x,host.cache=false".parse().expect("well formed");
        let host = HostOptions { isolation: Some(Isolation::Reuse), cache: false, ..HostOptions::default() };
        assert_eq!(spec.host, host);
        assert_eq!(spec.options, [("file".to_owned(), OptionValue::Text("x".to_owned()))]);
        let error = "p,host.cache=maybe".parse::<PluginSpec>().expect_err("not a boolean").to_string();
        assert_eq!(error, "`host.cache` is `maybe`, and has to be `true` or `false`");
    }

    #[test]
    fn grants_are_kept_apart() {
        let spec: PluginSpec =
            "p,grant.kv=true,file=x,grant.http=https://a.example".parse().expect("well formed");
        assert_eq!(spec.grants.describe(), ["kv", "http https://a.example"]);
        assert_eq!(spec.options, [("file".to_owned(), OptionValue::Text("x".to_owned()))]);
        let error = "p,grant.kvs=true".parse::<PluginSpec>().expect_err("no such grant").to_string();
        assert_eq!(error, "there is no grant `kvs`; there are: kv, http, http-private, http-ca, output");
    }

    #[test]
    fn debug_does_not_show_values() {
        let spec: PluginSpec = "p,password=hunter2".parse().expect("well formed");
        assert!(!format!("{spec:?}").contains("hunter2"));
    }
}
