use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION, USER_AGENT};
use reqwest::{Method, Response, StatusCode, Url};

use super::{Error, Request};
use crate::grants::Origin;

/// Where a response sends the request on to, if it does and the request wants it.
pub(super) fn target(request: &Request, response: &Response) -> Result<Option<Url>, Error> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| redirects && request.follow) else {
        return Ok(None);
    };
    let location = location.to_str().ok().and_then(|location| request.url.join(location).ok());
    location.map(Some).ok_or_else(|| Error::Failed("a redirect to what is no URL".to_owned()))
}

/// The request that follows a redirect (RFC 9110, section 15.4).
pub(super) fn followed(request: &Request, status: StatusCode, url: Url) -> Result<Request, Error> {
    let mut next = Request { url, ..request.clone() };
    let becomes_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(CONTENT_TYPE);
    }
    if Origin::of(&next.url) != Origin::of(&request.url) {
        // Any header may be a credential, under whatever name; these are none. A body may be one too, and who redirects
        // it is not who it was meant for.
        if next.body.is_some() {
            return Err(Error::Failed("a redirect to another origin of a request with a body".to_owned()));
        }
        let harmless = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];
        next.headers = next
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
            .filter(|(name, _)| harmless.contains(name))
            .collect();
    }
    Ok(next)
}
