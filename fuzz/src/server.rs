//! The HTTP side over an engine that says what it is told, and a gate that allows everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::stream;
use http_body_util::BodyExt;
use mlx_gate_api::{App, Config};
use mlx_gate_core::encoder::Text;
use mlx_gate_core::{
    Admission, BoxFuture, Capabilities, Constraints, EncodeRequest, Encoded, Encoding, Ended, Engine,
    EngineError, Event, EventStream, Lifecycle, ModelCard, Operation, OutputFormat, Passage, Prepared,
    PreparedEncode, Principal, Refusal, RequestHead, Sampling, Tags, Tokenize, Tokenized,
};
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Routes that read a body.
pub const ROUTES: [&str; 10] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
    "/tokenize",
    "/detokenize",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/score",
];

/// A server without a model.
pub struct Server {
    app: App,
    engine: Arc<Telling>,
    runtime: Runtime,
}

impl Server {
    /// A server that answers every generation with no text, until it is told something else.
    pub fn new() -> Self {
        let engine = Arc::new(Telling { models: vec![card()], events: Mutex::default() });
        let config = Config { keep_alive: Duration::from_secs(3600), ..Config::default() };
        let app = App::new(engine.clone(), Arc::new(OpenGate), config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { app, engine, runtime }
    }

    /// What the next generations say.
    pub fn tell(&self, events: Vec<Event>) {
        *self.engine.events.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    /// Posts a body as JSON and gives what comes back, whole.
    pub fn post(&self, route: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::post(route)
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .body(Body::from(body))
            .expect("a request");
        self.runtime.block_on(async {
            let response = self.app.router().oneshot(request).await.expect("a router always answers");
            let status = response.status();
            (status, response.into_body().collect().await.expect("a body").to_bytes().to_vec())
        })
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

fn card() -> ModelCard {
    ModelCard {
        id: "demo".to_owned(),
        created: 0,
        architecture: "fake".to_owned(),
        context_length: 4096,
        capabilities: Capabilities {
            completion: true,
            chat: true,
            tools: true,
            reasoning: true,
            structured_output: true,
            embeddings: true,
            score: true,
        },
    }
}

struct Telling {
    models: Vec<ModelCard>,
    events: Mutex<Vec<Event>>,
}

impl Engine for Telling {
    fn models(&self) -> &[ModelCard] {
        &self.models
    }

    fn prepare(&self, request: mlx_gate_core::Request) -> BoxFuture<'_, Result<Prepared, EngineError>> {
        let prepared = Prepared {
            id: request.id,
            model: "demo".to_owned(),
            prompt: vec![1],
            choices: request.choices,
            max_output_tokens: request.max_output_tokens.unwrap_or(16),
            sampling: Sampling::default(),
            stop: request.stop,
            end: request.end,
            special_tokens: request.special_tokens,
            token_ids: request.token_ids,
            logprobs: request.logprobs,
            prompt_logprobs: request.prompt_logprobs,
            format: OutputFormat::default(),
            tools: [].into(),
            continues: false,
            grammar: None,
            reasoning_budget: None,
        };
        Box::pin(async { Ok(prepared) })
    }

    fn start(&self, prepared: Prepared, _: &Tags) -> Result<Vec<EventStream>, EngineError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let choice = |_| Box::pin(stream::iter(events.clone())) as EventStream;
        Ok((0..prepared.choices).map(choice).collect())
    }

    fn prepare_encode(&self, request: EncodeRequest) -> BoxFuture<'_, Result<PreparedEncode, EngineError>> {
        let text = |_| Text { tokens: vec![1], segments: Vec::new() };
        let texts = request.inputs.into_iter().map(text).collect();
        let prepared = PreparedEncode { id: request.id, model: "demo".to_owned(), task: request.task, texts };
        Box::pin(async { Ok(prepared) })
    }

    fn encode(&self, prepared: PreparedEncode, _: &Tags) -> Result<Encoding, EngineError> {
        let vectors = vec![vec![0.5]; prepared.texts.len()];
        Ok(Box::pin(async { Ok(Encoded { vectors, queued: Duration::ZERO }) }))
    }

    fn tokenize(&self, _: Tokenize) -> BoxFuture<'_, Result<Tokenized, EngineError>> {
        Box::pin(async { Ok(Tokenized { model: "demo".to_owned(), tokens: vec![1], spelled: None }) })
    }

    fn detokenize(&self, _: Option<String>, _: Vec<u32>) -> BoxFuture<'_, Result<String, EngineError>> {
        Box::pin(async { Ok(String::new()) })
    }
}

struct OpenGate;

impl Lifecycle for OpenGate {
    fn begin(&self) -> Arc<dyn Passage> {
        Arc::new(Self)
    }

    fn authenticates(&self) -> bool {
        false
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Passage for OpenGate {
    fn generation(&self) -> u64 {
        0
    }

    fn authenticates(&self) -> bool {
        false
    }

    fn credential_headers(&self) -> &[String] {
        &[]
    }

    fn authenticate<'a>(
        &'a self,
        _: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>> {
        Box::pin(async { Ok(None) })
    }

    fn authorize<'a>(&'a self, _: &'a Operation) -> BoxFuture<'a, Result<Constraints, Refusal>> {
        Box::pin(async { Ok(Constraints::default()) })
    }

    fn admit<'a>(&'a self, _: &'a Operation) -> BoxFuture<'a, Result<Admission, Refusal>> {
        Box::pin(async { Ok(Admission::default()) })
    }

    fn tag<'a>(&'a self, _: &'a Operation) -> BoxFuture<'a, Result<Tags, Refusal>> {
        Box::pin(async { Ok(Tags::default()) })
    }

    fn finish(&self, _: Ended) {}
}
