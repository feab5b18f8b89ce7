use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use ipnet::IpNet;

/// Limits of the HTTP side, and whom it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Largest request body, in bytes. More is 413.
    pub max_body_bytes: usize,
    /// Longest time for a body to arrive. More is 408.
    pub body_timeout: Duration,
    /// Longest time from the request's head to the end of its answer. More is 504, or an error event in a stream. Also
    /// how long a shutdown waits for answers in flight.
    pub request_timeout: Duration,
    /// Silence after which a stream carries a comment, so that proxies do not take the connection for dead.
    pub keep_alive: Duration,
    /// Longest time for a request's head to arrive, and so how long an idle connection is kept.
    pub head_timeout: Duration,
    /// Largest request head, in bytes. More is 431, and so are more than 100 headers.
    pub max_head_bytes: usize,
    /// Longest time a client may leave bytes we sent unread before its connection is dropped.
    pub write_timeout: Duration,
    /// Most open connections; further ones wait to be accepted.
    pub max_connections: usize,
    /// Networks of the proxies whose word is taken for who the client is. Empty believes nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests that nobody vouches for may call this server by any name, also when they come from this machine, where a web
    /// page may have sent them.
    pub any_host: bool,
    /// Web pages of these origins may call the API from a browser, and read its answers (CORS). Empty is none.
    pub cors_origins: Vec<Origin>,
}

/// Whose web pages may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Anybody's.
    Any,
    /// Those of `scheme://host[:port]`, as browsers write it (RFC 6454, section 6.1).
    Of(HeaderValue),
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let uri: Uri = text.parse().map_err(|_| NotAnOrigin)?;
        let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
        let named = uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty());
        let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'@');
        if bare && named && lower {
            HeaderValue::from_str(text).map(Self::Of).map_err(|_| NotAnOrigin)
        } else {
            Err(NotAnOrigin)
        }
    }
}

/// A text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `*` or an origin such as https://app.example.com: in lower case, without a path")]
pub struct NotAnOrigin;

impl Default for Config {
    fn default() -> Self {
        Self {
            max_body_bytes: 8 * 1024 * 1024,
            body_timeout: Duration::from_mins(1),
            request_timeout: Duration::from_mins(10),
            keep_alive: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            max_head_bytes: 64 * 1024,
            write_timeout: Duration::from_mins(1),
            max_connections: 2048,
            trusted_proxies: Vec::new(),
            any_host: false,
            cors_origins: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAnOrigin, Origin};

    #[test]
    fn origins_are_written_as_browsers_do() {
        assert_eq!("*".parse(), Ok(Origin::Any));
        for good in
            ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080", "tauri://localhost"]
        {
            assert_eq!(good.parse(), Ok(Origin::Of(good.parse().unwrap())), "{good}");
        }
        for bad in [
            "",
            "null",
            "example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://A",
            "https://u@a",
            "https://*.a b",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(NotAnOrigin), "{bad}");
        }
    }
}
