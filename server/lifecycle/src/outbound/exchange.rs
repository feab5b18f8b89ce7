use std::error::Error as _;

use reqwest::{Client, Response as Incoming};

use super::resolver::OutOfReach;
use super::{Error, Request, Response};
use crate::grants::Origin;

/// The longest headers of a response, names and values together, in bytes.
const MOST_HEADER_BYTES: usize = 32 << 10;

/// The longest reason that is passed on, in bytes.
const LONGEST_REASON: usize = 200;

/// Sends one request, once.
pub(super) async fn send(client: &Client, request: &Request) -> Result<Incoming, Error> {
    let mut outgoing =
        client.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
    if let Some(body) = &request.body {
        outgoing = outgoing.body(body.clone());
    }
    outgoing.send().await.map_err(|error| explain(&error, request))
}

/// Reads a response to its end.
pub(super) async fn read(mut incoming: Incoming, most: usize) -> Result<Response, Error> {
    let header_bytes: usize =
        incoming.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MOST_HEADER_BYTES
        || incoming.content_length().is_some_and(|length| length > most as u64)
    {
        return Err(Error::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = incoming.chunk().await.map_err(|error| Error::Failed(reason(&error)))? {
        if body.len() + chunk.len() > most {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let headers = incoming.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    Ok(Response { status: incoming.status().as_u16(), headers, body })
}

fn explain(error: &reqwest::Error, request: &Request) -> Error {
    if error.is_timeout() {
        return Error::Timeout;
    }
    match (causes(error).find_map(|cause| cause.downcast_ref::<OutOfReach>()), Origin::of(&request.url)) {
        (Some(OutOfReach { private: true }), Some(origin)) => Error::NotGranted(format!(
            "`{origin}` stands for a private address; whoever runs the server can add `grant.http-private={origin}`"
        )),
        (Some(OutOfReach { private: false }), Some(origin)) => {
            Error::NotGranted(format!("`{origin}` stands for an address that no grant of a name covers"))
        }
        _ => Error::Failed(reason(error)),
    }
}

/// The first cause. What is above it repeats the URL.
fn reason(error: &reqwest::Error) -> String {
    let Some(cause) = causes(error).last() else { return "the request failed".to_owned() };
    let text = cause.to_string();
    text[..text.floor_char_boundary(LONGEST_REASON)].to_owned()
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
