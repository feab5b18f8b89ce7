//! HTTP to the origins a plugin is granted, behind the host interfaces `http` and `jwks`. Every bound is held here: where a
//! request may go, to which addresses, for how long, how many at a time and how much comes back.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use crate::grants::{HttpGrant, Origin};

mod address;
mod exchange;
mod redirect;
mod resolver;
mod transport;

pub(crate) use transport::{Transport, Trusted};

/// The longest a request may take, redirects and the wait for a turn included.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// The most bytes of an answer's body.
pub(crate) const MOST_BODY: usize = 1 << 20;

/// The longest URL, in bytes.
const LONGEST_URL: usize = 8 << 10;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// A request, well formed.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// At most [`LONGEST`].
    pub(crate) time: Duration,
    /// At most [`MOST_BODY`].
    pub(crate) most_body: usize,
    pub(crate) follow: bool,
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Those whose value is text.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. Texts name origins, never paths or queries: those may hold tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    NotGranted(String),
    Timeout,
    TooLarge,
    Failed(String),
}

/// What one plugin may reach.
pub(crate) struct Outbound {
    transport: Arc<Transport>,
    grants: Vec<HttpGrant>,
}

impl Outbound {
    pub(crate) fn new(transport: Arc<Transport>, grants: Vec<HttpGrant>) -> Self {
        Self { transport, grants }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        let time = request.time.min(LONGEST);
        let answered = async {
            self.granted(&request.url)?;
            let _turn = self.transport.turn().await?;
            self.exchange(request).await
        };
        tokio::time::timeout(time, answered).await.unwrap_or(Err(Error::Timeout))
    }

    /// The URL of a plugin, if it is one that it may reach.
    pub(crate) fn parse(&self, url: &str) -> Result<Url, Error> {
        if url.len() > LONGEST_URL {
            return Err(Error::Failed(format!("the URL has more than {LONGEST_URL} bytes")));
        }
        let url = Url::parse(url).map_err(|error| Error::Failed(format!("not an absolute URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Failed("the URL holds a user name or a password".to_owned()));
        }
        self.granted(&url)?;
        Ok(url)
    }

    async fn exchange(&self, mut request: Request) -> Result<Response, Error> {
        for _ in 0..=MOST_REDIRECTS {
            let grant = self.granted(&request.url)?;
            let client = self.transport.client(grant.private)?;
            let response = exchange::send(client, &request).await?;
            match redirect::target(&request, &response)? {
                None => return exchange::read(response, request.most_body).await,
                Some(url) => {
                    self.granted(&url).map_err(|_| left(&request.url, &url))?;
                    request = redirect::followed(&request, response.status(), url)?;
                }
            }
        }
        Err(Error::Failed(format!("more than {MOST_REDIRECTS} redirects")))
    }

    fn granted(&self, url: &Url) -> Result<&HttpGrant, Error> {
        let origin = Origin::of(url).ok_or_else(|| {
            Error::NotGranted(format!("`{}` cannot be granted, only `https` and `http` can", url.scheme()))
        })?;
        let grant = self.grants.iter().find(|grant| grant.origin == origin);
        grant.ok_or_else(|| {
            Error::NotGranted(format!(
                "`{origin}` is not granted; whoever runs the server can add `grant.http={origin}`"
            ))
        })
    }
}

fn left(from: &Url, to: &Url) -> Error {
    let name =
        |url: &Url| Origin::of(url).map_or_else(|| url.scheme().to_owned(), |origin| origin.to_string());
    Error::NotGranted(format!("`{}` redirected to `{}`, which is not granted", name(from), name(to)))
}

#[cfg(test)]
pub(crate) mod tests;
