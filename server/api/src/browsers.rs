//! Cross-origin resource sharing (WHATWG Fetch, section 3.2): whose web pages may call the API.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::Config;
use crate::config::Origin;
use crate::observe::REQUEST_ID;

/// How long a browser remembers the answer to its question. Chromium keeps none longer.
const REMEMBERED: Duration = Duration::from_hours(2);

/// What a client may learn of its limits, as the bundled rate limiter names it.
const LIMITS: [HeaderName; 6] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// The layer that answers browsers, where any origin is allowed. It stands in front of the gate: a browser asks without
/// credentials whether it may send them, and gets no other answer than that.
pub(crate) fn layer(config: &Config) -> Option<CorsLayer> {
    let origins = &config.cors_origins;
    let named = origins.iter().filter_map(|origin| match origin {
        Origin::Any => None,
        Origin::Of(origin) => Some(origin.clone()),
    });
    let allowed = if origins.is_empty() {
        return None;
    } else if origins.contains(&Origin::Any) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(named)
    };
    // No cookies: whoever calls has its key in a header that a page has to set itself.
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(LIMITS.into_iter().chain([REQUEST_ID, RETRY_AFTER]).collect::<Vec<_>>())
            .max_age(REMEMBERED),
    )
}
