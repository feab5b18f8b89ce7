//! `http`: requests to the granted origins.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::http::{Error, Host, Request, Response};
use crate::outbound::{self, LONGEST, MOST_BODY};

/// Methods whose answers are read as those of any other. `CONNECT` and `TRACE` are not for plugins.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Headers that frame a message or belong to a connection: with one of them a plugin could say one thing to this host and
/// another to the server.
const FRAMING: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-connection",
];

const MOST_HEADERS: usize = 64;
const MOST_HEADER_BYTES: usize = 16 << 10;

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.not_while_configuring("http", "send")?;
        Ok(self.exchange(request).await.map_err(Error::from))
    }
}

impl State {
    async fn exchange(&mut self, request: Request) -> Result<Response, outbound::Error> {
        let outbound = self.services.outbound.clone();
        let time = match request.timeout_ms {
            0 => LONGEST,
            timeout => Duration::from_millis(timeout.into()).min(LONGEST),
        };
        let request = outbound::Request {
            method: method(&request.method)?,
            url: outbound.parse(&request.url)?,
            headers: headers(&request.headers)?,
            body: request.body,
            time: time.min(self.patience()),
            most_body: MOST_BODY,
            follow: true,
        };
        self.has_acted |= !request.method.is_safe();
        let response = self.waiting(outbound.send(request)).await?;
        Ok(Response { status: response.status, headers: response.headers, body: response.body })
    }
}

fn method(name: &str) -> Result<Method, outbound::Error> {
    let method = METHODS.into_iter().find(|method| method.as_str() == name);
    method.ok_or_else(|| {
        let names = METHODS.map(|method| method.to_string()).join(", ");
        outbound::Error::Failed(format!("the method is none of {names}"))
    })
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, outbound::Error> {
    let wrong = |name: &str, problem: &str| {
        outbound::Error::Failed(format!("the header `{}` {problem}", name.escape_debug()))
    };
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return Err(outbound::Error::Failed(format!(
            "the request has more than {MOST_HEADERS} headers or {MOST_HEADER_BYTES} bytes of them"
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(wrong(name, "is not for plugins to set"));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name, "has no valid name"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| wrong(name.as_str(), "has no valid value"))?;
        // Any of them may be a credential.
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

impl From<outbound::Error> for Error {
    fn from(error: outbound::Error) -> Self {
        match error {
            outbound::Error::NotGranted(reason) => Self::NotGranted(reason),
            outbound::Error::Timeout => Self::Timeout,
            outbound::Error::TooLarge => Self::TooLarge,
            outbound::Error::Failed(reason) => Self::Failed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_HEADERS, headers, method};
    use crate::outbound::Error;

    fn refused(name: &str, value: &str) -> String {
        match headers(&[(name.to_owned(), value.to_owned())]) {
            Err(Error::Failed(reason)) => reason,
            other => panic!("{name}: {value} is {other:?}"),
        }
    }

    #[test]
    fn headers_that_frame_a_message_are_refused() {
        for name in ["host", "Content-Length", "TRANSFER-ENCODING", "connection", "upgrade"] {
            assert_eq!(refused(name, "x"), format!("the header `{name}` is not for plugins to set"));
        }
        assert_eq!(refused("a b", "x"), "the header `a b` has no valid name");
        assert_eq!(refused("a", "x\r\nhost: y"), "the header `a` has no valid value");
        let many = vec![("a".to_owned(), "b".to_owned()); MOST_HEADERS + 1];
        assert!(headers(&many).is_err());
        assert!(headers(&many[1..]).is_ok());
    }

    #[test]
    fn methods_are_upper_case_and_known() {
        assert_eq!(method("GET").unwrap(), reqwest::Method::GET);
        for name in ["get", "CONNECT", "TRACE", "", "GET / HTTP/1.1"] {
            assert!(method(name).is_err(), "{name}");
        }
    }
}
