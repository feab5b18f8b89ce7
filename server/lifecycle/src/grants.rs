//! What a plugin may use besides what every plugin may: said by who runs the server, and compared with what the component
//! imports before it decides about anything.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::{Problem, Source};

mod origin;

pub use origin::Origin;

/// What a plugin is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// A key-value space of its own.
    pub kv: bool,
    /// The origins it may reach over HTTP.
    pub http: Vec<HttpGrant>,
    /// A file of certificates (PEM) that may vouch for these origins, besides those the system trusts.
    pub http_ca: Option<PathBuf>,
    /// Where it may append lines.
    pub output: Option<OutputTarget>,
}

/// An origin that a plugin may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Which.
    pub origin: Origin,
    /// Whether its name may stand for a private address.
    pub private: bool,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputTarget {
    /// The server's standard output.
    Stdout,
    /// This file.
    File(PathBuf),
}

/// Why a grant cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedGrant {
    /// Nothing of this name can be granted.
    #[error("there is no grant `{0}`; there are: kv, http, http-private, http-ca, output")]
    Unknown(String),
    /// Its value does not say what is granted.
    #[error("the grant `{grant}` has to be {expected}, and `{given}` is not: {problem}")]
    Value {
        /// Which grant.
        grant: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        given: String,
        /// What is wrong with that.
        problem: &'static str,
    },
    /// Given twice where once is all.
    #[error("the grant `{0}` is given twice")]
    Repeated(&'static str),
}

const ORIGIN: &str = "an origin such as `https://auth.example.com` or `http://10.0.0.5:8080`";

impl Grants {
    /// Adds a grant as a flag words it: `kv` and `true`, `http` and an origin.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), MalformedGrant> {
        match name {
            "kv" => match value {
                "true" => self.kv = true,
                "false" => self.kv = false,
                _ => return Err(malformed("kv", "true or false", value, "it is neither")),
            },
            "http" => self.add_http("http", value, false)?,
            "http-private" => self.add_http("http-private", value, true)?,
            "http-ca" if self.http_ca.is_some() => return Err(MalformedGrant::Repeated("http-ca")),
            "http-ca" if value.is_empty() => {
                return Err(malformed("http-ca", "the path of a file of certificates", value, "it is empty"));
            }
            "http-ca" => self.http_ca = Some(PathBuf::from(value)),
            "output" if self.output.is_some() => return Err(MalformedGrant::Repeated("output")),
            "output" if value.is_empty() => {
                return Err(malformed("output", "the path of a file, or `-`", value, "it is empty"));
            }
            "output" => self.output = Some(OutputTarget::from(value)),
            _ => return Err(MalformedGrant::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// Reads a `[plugin.grant]` table. Where a flag can be repeated, the table has an array.
    pub fn from_table(table: &Map<String, Value>) -> Result<Self, MalformedGrant> {
        let mut grants = Self::default();
        for (name, value) in table {
            match value {
                Value::Array(values) => values.iter().try_for_each(|value| grants.add_value(name, value))?,
                value => grants.add_value(name, value)?,
            }
        }
        Ok(grants)
    }

    fn add_value(&mut self, name: &str, value: &Value) -> Result<(), MalformedGrant> {
        match value {
            Value::String(text) => self.add(name, text),
            other => self.add(name, &other.to_string()),
        }
    }

    fn add_http(&mut self, grant: &'static str, value: &str, private: bool) -> Result<(), MalformedGrant> {
        let origin = value.parse().map_err(|problem| malformed(grant, ORIGIN, value, problem))?;
        self.allow(origin, private);
        Ok(())
    }

    /// Grants an origin. One that is granted twice is private where either says so.
    pub(crate) fn allow(&mut self, origin: Origin, private: bool) {
        let private = private || origin.is_private_by_itself();
        match self.http.iter_mut().find(|grant| grant.origin == origin) {
            Some(grant) => grant.private |= private,
            None => self.http.push(HttpGrant { origin, private }),
        }
    }

    /// What is written down as grants, and what options grant besides.
    pub(crate) fn with(mut self, by_options: Self) -> Result<Self, Problem> {
        self.kv |= by_options.kv;
        for HttpGrant { origin, private } in by_options.http {
            self.allow(origin, private);
        }
        match (&self.output, by_options.output) {
            (Some(written), Some(option)) if *written != option => {
                return Err(Problem::TwoOutputs { grant: written.to_string(), option: option.to_string() });
            }
            (_, Some(option)) => self.output = Some(option),
            (_, None) => {}
        }
        Ok(self)
    }

    /// What can be reached by these grants and not by those.
    pub(crate) fn beyond(&self, those: &Self) -> Self {
        let is_new = |grant: &&HttpGrant| {
            let covers = |known: &HttpGrant| known.origin == grant.origin && known.private >= grant.private;
            !those.http.iter().any(covers)
        };
        Self {
            http: self.http.iter().filter(is_new).cloned().collect(),
            output: self.output.clone().filter(|target| those.output.as_ref() != Some(target)),
            ..Self::default()
        }
    }

    /// What is granted, in words, for those who run the server.
    pub fn describe(&self) -> Vec<String> {
        let http = self.http.iter().map(|HttpGrant { origin, private }| match private {
            true => format!("http-private {origin}"),
            false => format!("http {origin}"),
        });
        let http_ca = self.http_ca.iter().map(|path| format!("http-ca {}", path.display()));
        let output = self.output.iter().map(|target| format!("output {target}"));
        self.kv.then(|| "kv".to_owned()).into_iter().chain(http).chain(http_ca).chain(output).collect()
    }
}

/// What a component wants: the interfaces it imports, and the kinds of grant that its options can give.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Names of interfaces: `kv`, `http`, `jwks`, `output`.
    pub(crate) imports: Vec<String>,
    pub(crate) options: Granting,
}

/// Whether a plugin has options whose values are grants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Granting {
    /// Of format `host-url`.
    pub(crate) http: bool,
    /// Of format `host-output`.
    pub(crate) output: bool,
}

impl Wanted {
    fn imports(&self, any_of: &[&str]) -> Option<&str> {
        self.imports.iter().map(String::as_str).find(|name| any_of.contains(name))
    }
}

impl Grants {
    /// Compares what a component wants with what was written down for it. A component that wants more does not run, so
    /// that nobody finds out later what it reaches; a grant that nothing wants is a slip of the pen.
    ///
    /// A plugin whose options name what it reaches may be configured without them: what it then asks for is refused when
    /// it asks.
    pub(crate) fn check(&self, wanted: &Wanted, source: &Source) -> Result<(), Problem> {
        let cases: [(&[&str], bool, &str, &str, bool); 4] = [
            (&["kv"], self.kv, "kv", "true", false),
            (&["http", "jwks"], !self.http.is_empty(), "http", "ORIGIN", wanted.options.http),
            // Nobody has to have it: the system's certificates are there.
            (&["http", "jwks"], self.http_ca.is_some(), "http-ca", "PATH", true),
            (&["output"], self.output.is_some(), "output", "PATH", wanted.options.output),
        ];
        for (interfaces, granted, grant, value, by_option) in cases {
            match (wanted.imports(interfaces), granted, by_option) {
                (Some(import), false, false) => {
                    return Err(Problem::Ungranted(ungranted(import, grant, value, source)));
                }
                (None, true, _) => {
                    return Err(Problem::UnusedGrant {
                        grant: grant.to_owned(),
                        imports: wanted.imports.clone(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The text to add, ready to be copied.
fn ungranted(import: &str, grant: &str, value: &str, source: &Source) -> String {
    let (quote, note) = match value {
        "ORIGIN" => ("\"", "\nORIGIN is `https://auth.example.com` for instance."),
        "PATH" => ("\"", "\nPATH is that of a file, or `-` for standard output."),
        _ => ("", ""),
    };
    format!(
        "it imports `{import}`, which it is not granted. If it may have that, start with\n\
         \x20   --plugin {source},grant.{grant}={value}\n\
         or write under its [[plugin]] in the configuration file\n\
         \x20   [plugin.grant]\n\
         \x20   {grant} = {quote}{value}{quote}{note}"
    )
}

fn malformed(
    grant: &'static str,
    expected: &'static str,
    given: &str,
    problem: &'static str,
) -> MalformedGrant {
    MalformedGrant::Value { grant, expected, given: given.escape_debug().to_string(), problem }
}

impl From<&str> for OutputTarget {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Stdout } else { Self::File(PathBuf::from(text)) }
    }
}

impl fmt::Display for OutputTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("standard output"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
