use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Scheme, host and port of URLs (RFC 6454), `http` and `https` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// As it stands in a URL: IPv6 addresses in brackets, names in lower case and in punycode.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a URL, where it has one that HTTP can reach.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let reachable = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|host| reachable && !host.is_empty())?;
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Whether who wrote this origin meant a private address: it is one, or it is this machine's own name.
    pub(crate) fn is_private_by_itself(&self) -> bool {
        self.address().is_some() || self.host == "localhost" || self.host.ends_with(".localhost")
    }

    /// The address, where the host is one rather than a name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => Ok(()),
            (_, port) => write!(formatter, ":{port}"),
        }
    }
}

/// Reads `https://auth.example.com` or `http://10.0.0.5:8080`. The error says what is wrong with it.
impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "it is not a URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user name or a password");
        }
        if url.path() != "/" || text.ends_with('/') || url.query().is_some() || url.fragment().is_some() {
            return Err("it goes on after the host and the port");
        }
        Self::of(&url).ok_or("its scheme is neither `https` nor `http`, or it has no host")
    }
}
