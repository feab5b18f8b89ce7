//! Plain values of what a host hands over, for tests to change.

use crate::{Completed, Operation, RequestHead, Usage};

/// The head of a request with these credential headers.
pub fn request(method: &str, path: &str, credentials: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        id: "req-test".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        dialect: "openai".to_owned(),
        peer: Some("127.0.0.1".to_owned()),
        tls_subject: None,
        credentials: credentials
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        headers: Vec::new(),
    }
}

/// An operation of this kind, on this model, with an empty prompt and no bounds.
pub fn operation(api: &str, model: &str) -> Operation {
    Operation {
        api: api.to_owned(),
        model: Some(model.to_owned()),
        adapter: None,
        streaming: false,
        input_tokens: 0,
        max_output_tokens: None,
        tools: 0,
        images: 0,
        end_user: None,
    }
}

/// A request to OpenAI's chat route that a client has been answered well, of an anonymous caller.
pub fn completed(id: &str) -> Completed {
    Completed {
        id: id.to_owned(),
        method: "POST".to_owned(),
        route: Some("/v1/chat/completions".to_owned()),
        dialect: "openai".to_owned(),
        peer: Some("127.0.0.1".to_owned()),
        principal: None,
        operation: Some(operation("chat", "demo")),
        tags: None,
        usage: Usage::default(),
        status: 200,
        outcome: "stop".to_owned(),
        code: None,
        refused_by: None,
        started_at_ms: 1_767_225_600_000,
        queue_us: 0,
        first_token_us: Some(1_000),
        total_us: 2_000,
    }
}
