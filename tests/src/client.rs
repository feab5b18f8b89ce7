use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, Body};

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    address: String,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub text: String,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_mins(2)))
            .build();
        Self { agent: config.into(), address: address.to_owned(), headers: Vec::new() }
    }

    /// Sends a header with every request.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends `Authorization: Bearer KEY` with every request.
    pub fn bearer(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Reply {
        Reply::read(self.send("GET", path, None, b""))
    }

    /// `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
    }

    /// `POST` of anything.
    pub fn post_bytes(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        Reply::read(self.send("POST", path, Some(content_type), body))
    }

    /// `PUT` of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        Reply::read(self.send("PUT", path, Some("application/json"), body.to_string().as_bytes()))
    }

    /// `POST` of JSON whose answer is read as it comes.
    pub fn stream(&self, path: &str, body: &Value) -> Events {
        let body = body.to_string();
        let response = self.send("POST", path, Some("application/json"), body.as_bytes());
        assert_eq!(response.status(), 200, "{}", Reply::read(response).text);
        let (parts, body) = response.into_parts();
        Events { headers: parts.headers, lines: BufReader::new(Box::new(body.into_reader())) }
    }

    /// A chat's answer to one question, at temperature 0.
    pub fn ask(&self, question: &str) -> String {
        let reply = self.post("/v1/chat/completions", &question_body(question));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = if method == "GET" {
            self.agent.run(request.body(()).expect("a valid request"))
        } else {
            self.agent.run(request.body(body).expect("a valid request"))
        };
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

/// The body of a chat request with one question.
pub fn question_body(question: &str) -> Value {
    serde_json::json!({"messages": [{"role": "user", "content": question}], "temperature": 0})
}

impl Reply {
    fn read(response: Response<Body>) -> Self {
        let (parts, mut body) = response.into_parts();
        let text = body.read_to_string().unwrap_or_else(|error| panic!("the answer's body: {error}"));
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in `{}`", self.text))
    }

    /// A header as text, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The `data:` lines of a server-sent event stream, one by one as they come. Dropping it closes the connection.
pub struct Events {
    headers: HeaderMap,
    lines: BufReader<Box<dyn std::io::Read + Send>>,
}

impl Events {
    /// A header as text, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

impl Iterator for Events {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data:") {
                return Some(data.trim().to_owned());
            }
        }
    }
}
