use std::sync::Arc;

use axum::Router;
use mlx_gate_core::{
    BoxFuture, EncodeRequest, Encoding, Engine, EngineError, EventStream, Lifecycle, ModelCard, Prepared,
    PreparedEncode, Request, Tokenize, Tokenized,
};

use crate::counters::Counters;
use crate::drain::Drain;
use crate::permission::Permit;
use crate::{Config, routes};

/// The application: what is served, who decides about it, and how many requests are in flight. Clones share all of it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    engine: Arc<dyn Engine>,
    lifecycle: Arc<dyn Lifecycle>,
    config: Config,
    drain: Drain,
    counters: Counters,
}

impl App {
    /// Wires the HTTP side to an engine and a gate.
    pub fn new(engine: Arc<dyn Engine>, lifecycle: Arc<dyn Lifecycle>, config: Config) -> Self {
        Self(Arc::new(Parts {
            engine,
            lifecycle,
            config,
            drain: Drain::default(),
            counters: Counters::default(),
        }))
    }

    /// The service that answers requests: every route behind the gate, `/health` and `/ready` before it.
    pub fn router(&self) -> Router {
        routes::router(self)
    }

    /// From now on new requests are refused with 503 while those in flight go on. Cannot be undone.
    pub fn drain(&self) {
        self.0.drain.begin();
    }

    /// Waits until [`App::drain`] was called and no request is in flight.
    pub async fn drained(&self) {
        self.0.drain.finished().await;
    }

    /// Number of requests admitted whose answers have not ended.
    pub fn in_flight(&self) -> usize {
        self.0.drain.in_flight()
    }

    pub(crate) fn models(&self) -> &[ModelCard] {
        self.0.engine.models()
    }

    pub(crate) fn prepare(&self, request: Request) -> BoxFuture<'_, Result<Prepared, EngineError>> {
        self.0.engine.prepare(request)
    }

    pub(crate) fn tokenize(&self, tokenize: Tokenize) -> BoxFuture<'_, Result<Tokenized, EngineError>> {
        self.0.engine.tokenize(tokenize)
    }

    pub(crate) fn detokenize(
        &self,
        model: Option<String>,
        tokens: Vec<u32>,
    ) -> BoxFuture<'_, Result<String, EngineError>> {
        self.0.engine.detokenize(model, tokens)
    }

    pub(crate) fn prepare_encode(
        &self,
        request: EncodeRequest,
    ) -> BoxFuture<'_, Result<PreparedEncode, EngineError>> {
        self.0.engine.prepare_encode(request)
    }

    /// As [`start`](Self::start), for texts that are read whole.
    pub(crate) fn encode(&self, prepared: PreparedEncode, permit: &Permit) -> Result<Encoding, EngineError> {
        self.0.engine.encode(prepared, permit.tags())
    }

    /// A way to the device. It takes a permit, so nothing runs that the gate has not admitted and tagged.
    pub(crate) fn start(&self, prepared: Prepared, permit: &Permit) -> Result<Vec<EventStream>, EngineError> {
        self.0.engine.start(prepared, permit.tags())
    }

    pub(crate) fn lifecycle(&self) -> &dyn Lifecycle {
        &*self.0.lifecycle
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn admission(&self) -> &Drain {
        &self.0.drain
    }
}
