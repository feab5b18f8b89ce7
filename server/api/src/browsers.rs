//! Cross-origin resource sharing (WHATWG Fetch, section 3.2): whose web pages may call the API.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, Method};
use tower::{ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::Config;
use crate::config::Origin;
use crate::observe::{ANTHROPIC_REQUEST_ID, REQUEST_ID};
use crate::openai::responses::TOOLS_NOT_OFFERED;

/// How long a browser remembers the answer to its question. Chromium keeps none longer.
const REMEMBERED: Duration = Duration::from_hours(2);

/// What pages may read beside a body.
const OURS: [HeaderName; 4] = [REQUEST_ID, ANTHROPIC_REQUEST_ID, RETRY_AFTER, TOOLS_NOT_OFFERED];

/// What a client may learn of its limits, as the bundled rate limiter names it.
const LIMITS: [HeaderName; 6] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// The router as browsers need it, where any origin is allowed. Their preflights are answered in front of the gate: a
/// browser asks without credentials whether it may send them, and gets no other answer than that. Any other `OPTIONS`
/// is a request like every other.
pub(crate) fn around(router: Router, config: &Config) -> Router {
    let Some(layer) = layer(config) else { return router };
    let shared = router.clone().layer(layer);
    Router::new().fallback_service(service_fn(move |request: Request| {
        let asks = request.method() == Method::OPTIONS && !is_preflight(request.headers());
        if asks { router.clone() } else { shared.clone() }.oneshot(request)
    }))
}

/// WHATWG Fetch, section 3.2.2.
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn layer(config: &Config) -> Option<CorsLayer> {
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
            .expose_headers(LIMITS.into_iter().chain(OURS).collect::<Vec<_>>())
            .max_age(REMEMBERED),
    )
}
