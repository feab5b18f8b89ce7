//! Reading a request's body, within limits of size and time.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::time::timeout;

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

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Error> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if announced > limit as u64 {
        return Err(Error::BodyTooLarge { limit });
    }
    let mut body = Limited::new(body, limit);
    let mut bytes = Vec::with_capacity(announced as usize);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
            Err(error) if error.is::<LengthLimitError>() => return Err(Error::BodyTooLarge { limit }),
            Err(_) => return Err(Error::BodyBroken),
        }
    }
    Ok(bytes.into())
}
