use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;

/// What every plugin is: described, configured, and tested before it sees a request.
///
/// The value is the plugin's state. It is made once, and every request starts from a copy of it: what a phase changes is
/// gone with the request. Counters and caches belong to the host.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The configuration. Derive `Deserialize` with `deny_unknown_fields`; an option that names a file is a
    /// [`HostFile`](crate::HostFile).
    type Config: DeserializeOwned;

    /// What the host has to know before it configures the plugin.
    fn describe() -> Description;

    /// Makes the plugin's state. An error stops the server's start (or keeps the plugin's last good version); its message
    /// should name the option and say what would be right.
    fn configure(config: Self::Config) -> Result<Self, Rejected>;

    /// A last look before requests come. An error is treated as one from [`configure`](Self::configure).
    fn self_test(&self) -> Result<(), Rejected> {
        Ok(())
    }
}

/// What the host has to know before it configures a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Name in logs and metrics: lower case letters, digits, `_` and `-`, at most 64.
    pub name: &'static str,
    /// The plugin's own version.
    pub version: &'static str,
    /// JSON Schema of the configuration. `"format": "host-file"` marks an option whose value is the path of a file, which
    /// the host reads and watches; `"host-url"` a URL whose origin `http` and `jwks` may then reach; `"host-output"` the
    /// path of the file that `output` writes to.
    pub config_schema: &'static str,
    /// Headers that carry credentials, lower case. They are taken out of the request for everything after the gate.
    pub credential_headers: &'static [&'static str],
    /// Other headers wanted in `RequestHead::headers`, lower case.
    pub headers: &'static [&'static str],
}

/// Why a configuration cannot be used. Any error converts into one, so `?` does.
pub struct Rejected(String);

impl Rejected {
    /// With a message for the person who wrote the configuration.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

// `Rejected` does not implement `Error` itself: the conversion would then overlap with that of a type into itself.
impl<E: std::error::Error> From<E> for Rejected {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rejected({:?})", self.0)
    }
}

/// What serde says of a text of the wrong type, without the text, which may be a secret that stands in the wrong place.
pub fn without_text(message: &str) -> Cow<'_, str> {
    const TEXT: &str = ": string ";
    let kinds = ["invalid type", "invalid value"];
    let kind =
        kinds.iter().find(|kind| message.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(TEXT)));
    // The last one, as the text may have such words in it too.
    match kind.zip(message.rfind(", expected ")) {
        Some((kind, place)) => format!("{kind}: string{}", &message[place..]).into(),
        None => message.into(),
    }
}
