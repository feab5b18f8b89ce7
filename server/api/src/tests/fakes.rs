use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use futures_util::Stream;
use http_body::Body as _;
use http_body_util::BodyExt;
use mlx_gate_core::encoder::Text;
use mlx_gate_core::{
    BoxFuture, Capabilities, EncodeRequest, Encoded, Encoding, Engine, EngineError, Event, EventStream,
    FinishReason, Finished, ModelCard, OutputFormat, Prepared, PreparedEncode, Sampling, Tags, Tokenize,
    Tokenized, ToolCallDelta, Usage,
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

pub(crate) use super::fake_gate::FakeGate;
use super::openapi;
use crate::{App, Config};

/// The credential that the fake gate knows, and that must never be seen anywhere.
pub(crate) const KEY: &str = "marker-credential-5c1e";

/// What a fake engine's stream does next.
pub(crate) enum Say {
    Event(Event),
    Panic,
}

/// An engine that says what the test tells it to.
pub(crate) struct FakeEngine {
    models: Vec<ModelCard>,
    /// What the generations say, in the order in which they start.
    says: Mutex<VecDeque<mpsc::UnboundedReceiver<Say>>>,
    pub(crate) refuses_to_prepare: Mutex<Option<EngineError>>,
    pub(crate) refuses_to_start: Mutex<Option<EngineError>>,
    pub(crate) panics: Mutex<bool>,
    pub(crate) asked: Mutex<Vec<mlx_gate_core::Request>>,
    pub(crate) tokenized: Mutex<Vec<Tokenize>>,
    pub(crate) to_encode: Mutex<Vec<EncodeRequest>>,
    /// What texts become; where the test does not say, each its number.
    pub(crate) vectors: Mutex<Option<Vec<Vec<f32>>>>,
    /// Texts are never read to their end.
    pub(crate) reads_for_ever: Mutex<bool>,
    /// Number of tokens that any prompt has.
    pub(crate) prompt_length: Mutex<usize>,
    pub(crate) started: Mutex<Vec<Prepared>>,
    pub(crate) tags: Mutex<Vec<Tags>>,
    /// Streams that exist.
    pub(crate) alive: watch::Sender<usize>,
}

impl FakeEngine {
    /// An engine whose one generation goes on for as long as the test keeps the sender.
    pub(crate) fn held() -> (Arc<Self>, mpsc::UnboundedSender<Say>) {
        let (engine, mut senders) = Self::holding(1);
        (engine, senders.remove(0))
    }

    /// An engine whose generations, this many, go on for as long as the test keeps the senders.
    pub(crate) fn holding(generations: usize) -> (Arc<Self>, Vec<mpsc::UnboundedSender<Say>>) {
        let (senders, says) = (0..generations).map(|_| mpsc::unbounded_channel()).unzip();
        let card = |id: &str, capable| ModelCard {
            id: id.to_owned(),
            created: 1_700_000_000,
            architecture: "qwen3".to_owned(),
            context_length: 4096,
            capabilities: Capabilities {
                chat: true,
                tools: capable,
                reasoning: capable,
                structured_output: capable,
                completion: true,
                ..Capabilities::default()
            },
        };
        let engine = Self {
            models: vec![card("demo", true), card("org/plain", false)],
            says: Mutex::new(says),
            refuses_to_prepare: Mutex::default(),
            refuses_to_start: Mutex::default(),
            panics: Mutex::default(),
            asked: Mutex::default(),
            tokenized: Mutex::default(),
            to_encode: Mutex::default(),
            vectors: Mutex::default(),
            reads_for_ever: Mutex::default(),
            prompt_length: Mutex::new(3),
            started: Mutex::default(),
            tags: Mutex::default(),
            alive: watch::Sender::new(0),
        };
        (Arc::new(engine), senders)
    }

    /// An engine whose one generation is these events.
    pub(crate) fn says(events: Vec<Event>) -> Arc<Self> {
        Self::says_each(vec![events])
    }

    /// An engine whose generations are these.
    pub(crate) fn says_each(generations: Vec<Vec<Event>>) -> Arc<Self> {
        let (engine, senders) = Self::holding(generations.len());
        for (sender, events) in senders.iter().zip(generations) {
            for event in events {
                sender.send(Say::Event(event)).unwrap();
            }
        }
        engine
    }

    pub(crate) fn asked(&self) -> mlx_gate_core::Request {
        self.asked.lock().unwrap().last().expect("the engine was asked").clone()
    }

    /// Waits until this many streams exist.
    pub(crate) async fn streams(&self, number: usize) {
        self.alive.subscribe().wait_for(|alive| *alive == number).await.unwrap();
    }
}

impl Engine for FakeEngine {
    fn models(&self) -> &[ModelCard] {
        &self.models
    }

    fn prepare(&self, request: mlx_gate_core::Request) -> BoxFuture<'_, Result<Prepared, EngineError>> {
        assert!(!*self.panics.lock().unwrap(), "the test asked for a panic");
        let prepared = Prepared {
            id: request.id.clone(),
            model: request.model.clone().unwrap_or_else(|| "demo".to_owned()),
            prompt: (1..).take(*self.prompt_length.lock().unwrap()).collect(),
            choices: request.choices,
            max_output_tokens: request.max_output_tokens.unwrap_or(16),
            sampling: Sampling { seed: request.sampling.seed, ..Sampling::default() },
            stop: request.stop.clone(),
            end: request.end.clone(),
            special_tokens: request.special_tokens,
            token_ids: request.token_ids,
            logprobs: request.logprobs,
            prompt_logprobs: request.prompt_logprobs,
            format: OutputFormat::default(),
            reasoning_budget: None,
            tools: [].into(),
            continues: false,
            grammar: None,
        };
        self.asked.lock().unwrap().push(request);
        let refusal = self.refuses_to_prepare.lock().unwrap().clone();
        Box::pin(async move { refusal.map_or(Ok(prepared), Err) })
    }

    fn start(&self, prepared: Prepared, tags: &Tags) -> Result<Vec<EventStream>, EngineError> {
        if let Some(error) = self.refuses_to_start.lock().unwrap().clone() {
            return Err(error);
        }
        self.tags.lock().unwrap().push(tags.clone());
        let mut generations = self.says.lock().unwrap();
        let streams = (0..prepared.choices).map(|_| -> EventStream {
            let says = generations.pop_front().expect("no more generations than the test prepared");
            self.alive.send_modify(|alive| *alive += 1);
            Box::pin(Saying { says, _alive: Alive(self.alive.clone()) })
        });
        let streams = streams.collect();
        self.started.lock().unwrap().push(prepared);
        Ok(streams)
    }

    /// Three tokens for each text.
    fn prepare_encode(&self, request: EncodeRequest) -> BoxFuture<'_, Result<PreparedEncode, EngineError>> {
        let prepared = PreparedEncode {
            id: request.id.clone(),
            model: request.model.clone().unwrap_or_else(|| "demo".to_owned()),
            task: request.task,
            texts: vec![Text { tokens: vec![1, 2, 3], segments: Vec::new() }; request.inputs.len()],
        };
        self.to_encode.lock().unwrap().push(request);
        let refusal = self.refuses_to_prepare.lock().unwrap().clone();
        Box::pin(async move { refusal.map_or(Ok(prepared), Err) })
    }

    fn encode(&self, prepared: PreparedEncode, tags: &Tags) -> Result<Encoding, EngineError> {
        if let Some(error) = self.refuses_to_start.lock().unwrap().clone() {
            return Err(error);
        }
        self.tags.lock().unwrap().push(tags.clone());
        self.alive.send_modify(|alive| *alive += 1);
        let alive = Alive(self.alive.clone());
        let numbers = || (0..prepared.texts.len()).map(|number| vec![number as f32]).collect();
        let vectors = self.vectors.lock().unwrap().clone().unwrap_or_else(numbers);
        let reads_for_ever = *self.reads_for_ever.lock().unwrap();
        Ok(Box::pin(async move {
            let _alive = alive;
            if reads_for_ever {
                return std::future::pending().await;
            }
            Ok(Encoded { vectors, queued: Duration::from_millis(3) })
        }))
    }

    /// Three tokens, whatever the prompt.
    fn tokenize(&self, tokenize: Tokenize) -> BoxFuture<'_, Result<Tokenized, EngineError>> {
        self.tokenized.lock().unwrap().push(tokenize.clone());
        let model = tokenize.model.unwrap_or_else(|| "demo".to_owned());
        let spelled = tokenize.spelled.then(|| ["a", "b", "c"].map(str::to_owned).to_vec());
        Box::pin(async { Ok(Tokenized { model, tokens: vec![1, 2, 3], spelled }) })
    }

    fn detokenize(
        &self,
        _model: Option<String>,
        tokens: Vec<u32>,
    ) -> BoxFuture<'_, Result<String, EngineError>> {
        Box::pin(async move { Ok(format!("{tokens:?}")) })
    }
}

/// Counts what exists.
struct Alive(watch::Sender<usize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

struct Saying {
    says: mpsc::UnboundedReceiver<Say>,
    _alive: Alive,
}

impl Stream for Saying {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.says.poll_recv(context).map(|say| match say? {
            Say::Event(event) => Some(event),
            Say::Panic => panic!("the test asked for a panic"),
        })
    }
}

pub(crate) fn app(engine: &Arc<FakeEngine>) -> App {
    app_with(engine, FakeGate::default(), Config::default())
}

pub(crate) fn app_with(engine: &Arc<FakeEngine>, gate: FakeGate, config: Config) -> App {
    App::new(engine.clone(), Arc::new(gate), config)
}

/// A request of the caller the fake gate knows.
pub(crate) fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Body> {
    request("POST", path, body.to_string())
}

pub(crate) async fn send(app: &App, request: Request<Body>) -> Response {
    app.router().oneshot(request).await.unwrap()
}

/// A response read to its end.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn error(&self) -> Value {
        self.json()["error"].clone()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request and reads the answer, which has to be one that the document of the API knows.
pub(crate) async fn answer(app: &App, request: Request<Body>) -> Answered {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    // Some tests send bodies that break or never end.
    let (text, body) = match body.size_hint().exact() {
        Some(_) => {
            let bytes = body.collect().await.unwrap().to_bytes();
            (Some(bytes.clone()), Body::from(bytes))
        }
        None => (None, body),
    };
    let answered = read(send(app, Request::from_parts(parts, body)).await).await;
    openapi::check(&method, &path, text.as_deref(), &answered);
    answered
}

pub(crate) async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub(crate) fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

pub(crate) fn reasoning(text: &str) -> Event {
    Event::Reasoning(text.to_owned())
}

pub(crate) const fn started() -> Event {
    Event::Started { queued: Duration::from_millis(3) }
}

pub(crate) fn call(index: u32, opening: Option<(&str, &str)>, arguments: &str) -> Event {
    Event::ToolCall(ToolCallDelta {
        index,
        opening: opening.map(|(id, name)| (id.to_owned(), name.to_owned())),
        arguments: arguments.to_owned(),
    })
}

pub(crate) const fn finished(reason: FinishReason) -> Event {
    Event::Finished(Finished {
        stop_sequence: None,
        reason,
        usage: Usage { input_tokens: 3, cached_tokens: 1, output_tokens: 5, reasoning_tokens: 2 },
        prefill: Duration::from_millis(1),
        decode: Duration::from_millis(2),
    })
}

/// An answer with ids and times replaced, for comparison with a golden text.
pub(crate) fn stable(text: &str) -> String {
    let mut out = String::new();
    let text = without_fingerprint(text);
    let mut rest = text.as_str();
    while let Some(at) = rest.find("\"id\":\"").into_iter().chain(rest.find("\"created\":")).min() {
        let value = rest[at..].find(':').unwrap() + at + 1;
        let end = rest[value..].find([',', '}']).unwrap() + value;
        out.push_str(&rest[..value]);
        let id = rest[value..end].trim_matches('"');
        match id.split_once(['-', '_']) {
            Some((_, random)) if random.len() == 32 => {
                out.extend(["\"", id.trim_end_matches(random), "..\""]);
            }
            _ if id.bytes().all(|byte| byte.is_ascii_digit()) => out.push('0'),
            _ => out.push_str(&rest[value..end]),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// An answer with its `fp_` and ten digits replaced.
fn without_fingerprint(text: &str) -> String {
    let key = "\"system_fingerprint\":\"";
    let Some(at) = text.find(key) else { return text.to_owned() };
    let fingerprint = text[at + key.len()..].split('"').next().unwrap_or_default();
    assert!(fingerprint.strip_prefix("fp_").is_some_and(|digits| digits.len() == 10), "{text}");
    text.replace(fingerprint, "fp_..")
}
