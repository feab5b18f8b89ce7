//! Requests as clients send them, and the times they take.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use mlx_gate_core::{
    Api, Dialect, Ended, FinishReason, HeaderValue, Operation, Outcome, RequestHead, Secret, Usage,
};

/// A chat request's head as a Python client sends it: 12 headers.
pub(crate) fn head(number: usize, credential: &Secret) -> RequestHead {
    let mut headers: Vec<(String, HeaderValue)> = [
        ("host", "127.0.0.1:8080"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
        ("content-length", "421"),
        ("user-agent", "OpenAI/Python 2.8.0"),
        ("x-stainless-lang", "python"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-runtime", "CPython"),
        ("x-stainless-retry-count", "0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), HeaderValue::Text(Secret::new(value))))
    .collect();
    let credential = Secret::new(format!("Bearer {}", credential.expose()));
    headers.push(("authorization".to_owned(), HeaderValue::Text(credential)));
    RequestHead {
        id: format!("req-{number:026}"),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        dialect: Dialect::OpenAi,
        peer: Some(Ipv4Addr::LOCALHOST.into()),
        headers,
    }
}

/// What the request asks for.
pub(crate) fn operation() -> Operation {
    Operation {
        model: Some("qwen3-8b".to_owned()),
        input_tokens: 120,
        max_output_tokens: Some(256),
        ..Operation::new(Api::Chat)
    }
}

/// How it ends.
pub(crate) fn ended(head: &RequestHead) -> Ended {
    Ended {
        id: head.id.clone(),
        method: head.method.clone(),
        route: Some("/v1/chat/completions"),
        dialect: head.dialect,
        peer: head.peer,
        ran: true,
        usage: Usage { input_tokens: 120, output_tokens: 64, ..Usage::default() },
        status: 200,
        outcome: Outcome::Finished(FinishReason::Stop),
        code: None,
        refused_by: None,
        started_at: SystemTime::now(),
        queued: Duration::from_micros(40),
        first_token: Some(Duration::from_millis(80)),
        total: Duration::from_millis(900),
    }
}

/// Microseconds, one figure for each request.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many percent of the requests did not exceed, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
