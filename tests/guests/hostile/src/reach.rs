//! Too much of what the host offers, and what it does not.

use mlx_gate_plugin::http::{self, Request};
use mlx_gate_plugin::{Denial, host, kv};

use crate::deed::done;

/// What a call may log is used up early on.
pub(crate) fn flood_the_log() -> Denial {
    for number in 0..20_000 {
        host::log(host::Level::Error, &format!("flood {number}"));
    }
    done("log_flood")
}

/// Puts as much as one call may hand over, under keys of its own; asked often enough, the host has had enough.
pub(crate) fn flood_the_store() -> Denial {
    let (value, call) = (vec![7; 60_000], host::random(8));
    for number in 0..15 {
        match kv::put(&format!("flood-{call:?}-{number}"), &value, Some(600_000)) {
            Ok(()) => {}
            Err(kv::Error::Quota) => return done("quota"),
            Err(error) => return Denial::forbidden("store", error.to_string()),
        }
    }
    done("stored")
}

pub(crate) fn store_too_much() -> Denial {
    match kv::put("large", &vec![7; 1 << 19], None) {
        Err(kv::Error::TooLarge) => done("too_large"),
        Err(error) => Denial::forbidden("store", error.to_string()),
        Ok(()) => done("stored"),
    }
}

/// Fetches the URL after `http:`, and reports how that went.
pub(crate) fn fetch(deed: &str) -> Denial {
    let Some(url) = deed.strip_prefix("http:") else {
        return Denial::forbidden("unknown_deed", deed);
    };
    match http::send(&Request { timeout_ms: 500, ..Request::get(url) }) {
        Ok(answer) => Denial::forbidden("answered", answer.status.to_string()),
        Err(http::Error::NotGranted(message)) => Denial::forbidden("not_granted", message),
        Err(http::Error::Timeout) => done("timeout"),
        Err(http::Error::TooLarge) => done("too_large"),
        Err(http::Error::Failed(message)) => Denial::forbidden("failed", message),
    }
}
