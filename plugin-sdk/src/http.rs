//! Outbound HTTP to the origins named in the grant. The wait is not counted against the plugin's time for a call.
//!
//! An option of format `host-url` grants the origin of its URL.

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::http as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::http as imports;

pub use crate::bindings::mlx_gate::plugin::http::{Error, Request, Response};

/// Sends a request and waits for the whole answer. A status of 400 and above is an answer too. Redirects are followed within
/// the granted origins.
pub fn send(request: &Request) -> Result<Response, Error> {
    imports::send(request)
}

/// A URL as a message may show it: without its query, which may hold a secret.
pub fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

impl Request {
    /// A `GET` of this URL without headers, for 5 seconds at most.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: "GET".to_owned(), url: url.into(), headers: Vec::new(), body: None, timeout_ms: 5_000 }
    }
}

impl Response {
    /// The first value of this header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::vocabulary::value(&self.headers, name)
    }
}
