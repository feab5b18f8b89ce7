use std::time::Duration;

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
}

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
        }
    }
}
