//! Reading a request's body, within limits of size and time.

use std::io;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tokio_util::io::StreamReader;

use crate::Config;
use crate::error::Error;

/// The body as JSON.
pub(crate) async fn json(headers: &HeaderMap, body: Body, config: &Config) -> Result<Value, Error> {
    check_content_type(headers)?;
    let bytes = timeout(config.body_timeout, read(headers, body, config.max_body_bytes))
        .await
        .map_err(|_| Error::BodyTimeout { limit: config.body_timeout })??;
    check_values(&bytes, config.max_body_bytes.saturating_mul(VALUES_TO_BODY))?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// How much more than the largest body its values may take in memory. Numbers of five digits, as tokens are, take twelve times
/// as much as they do on the wire.
const VALUES_TO_BODY: usize = 16;

/// A value of two bytes may take a hundred in memory, and nobody has yet looked at whether the caller may ask for anything. So
/// they are counted before they are made. The count holds for what is JSON; what is not will be found out.
fn check_values(bytes: &[u8], limit: usize) -> Result<(), Error> {
    /// A value in an array or object.
    const VALUE: usize = size_of::<Value>();
    /// An array or object of few values, with its allocation.
    const HOLDER: usize = 8 * VALUE;
    let (mut size, mut in_text, mut escaped) = (0, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' if !in_text => size += VALUE,
            b'[' | b'{' if !in_text => size += HOLDER,
            _ => {}
        }
    }
    if size > limit { Err(Error::BodyTooManyValues { limit }) } else { Ok(()) }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(Error::ContentType { found: "missing".to_owned() });
    };
    let text = value.to_str().unwrap_or("not readable");
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Error::ContentType { found: format!("`{}`", essence.chars().take(100).collect::<String>()) })
    }
}

/// A coding in which a body comes (RFC 9110, section 8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// What the head announces: one of those in which answers go out, or none.
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let text = values.map(|value| value.to_str().unwrap_or("not readable")).collect::<Vec<_>>().join(",");
        let named = |name: &&str| !name.is_empty() && !name.eq_ignore_ascii_case("identity");
        let names: Vec<&str> = text.split(',').map(str::trim).filter(named).collect();
        match names[..] {
            [] => Ok(Self::Identity),
            [name] if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                Ok(Self::Gzip)
            }
            [name] if name.eq_ignore_ascii_case("br") => Ok(Self::Brotli),
            _ => Err(Error::ContentEncoding { found: text.chars().take(100).collect() }),
        }
    }

    /// What such a body was before it was coded. It is decoded when it is there to its end: a client that lets the rest of a few
    /// bytes wait must not have what they decode to held for it meanwhile.
    async fn decoded(self, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(&*body);
                decoder.multiple_members(true);
                collected(decoder, 0, limit).await
            }
            Self::Brotli => collected(BrotliDecoder::new(&*body), 0, limit).await,
        }
    }
}

/// All of what is read, which may be more than was sent.
async fn collected(
    mut body: impl AsyncRead + Unpin,
    announced: usize,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(announced);
    while body.read_buf(&mut bytes).await.map_err(|error| broken(&error, limit))? > 0 {
        if bytes.len() > limit {
            return Err(Error::BodyTooLarge { limit });
        }
        // It may never have to wait.
        consume_budget().await;
    }
    Ok(bytes)
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Error> {
    let coding = Coding::of(headers)?;
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if announced > limit as u64 {
        return Err(Error::BodyTooLarge { limit });
    }
    let stream = Limited::new(body, limit).into_data_stream().map_err(io::Error::other);
    let sent = collected(StreamReader::new(stream), announced as usize, limit).await?;
    coding.decoded(sent, limit).await
}

/// Why a body cannot be read on: what it comes from has broken, or it is not coded as it says.
fn broken(error: &io::Error, limit: usize) -> Error {
    match error.get_ref() {
        Some(cause) if cause.is::<LengthLimitError>() => Error::BodyTooLarge { limit },
        Some(cause) if cause.is::<axum::Error>() => Error::BodyBroken,
        _ => Error::BodyNotDecoded,
    }
}
