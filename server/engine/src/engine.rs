//! [`LocalEngine`]: the scheduler on its thread, and the door to it.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mlx_gate_core::{
    BoxFuture, CompiledGrammar, EncodeRequest, Encoding, Engine, EngineError, Event, EventStream, ModelCard,
    Prepared, PreparedEncode, Request, Tags, Tokenize, Tokenized,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{mpsc, oneshot};

use crate::answer::Answer;
use crate::device::{self, Command, Load, ModelFacts};
use crate::encode;
use crate::error::Error;
use crate::events::Events;
use crate::grammar::{Compiled, Guide, Trial, Workers};
use crate::prepare;
use crate::sampler::RowSampler;
use crate::scheduler::{Choice, EncodeJob, Job, Limits, Place, Waiting};
use crate::served::Served;
use crate::text::ModelText;

/// What the engine may use, and what a request may ask for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Rows that run at a time, for each model.
    pub max_rows: NonZeroUsize,
    /// Requests that may wait for a row. The next one is refused.
    pub max_waiting: NonZeroUsize,
    /// The most tokens one answer may have, and what a request gets that names no number.
    pub max_output_tokens: u32,
    /// Prompt tokens in one step, all rows of a model together; a model may want fewer. Larger chunks read prompts faster, smaller ones delay the
    /// answers of others less.
    pub prefill_chunk: u32,
    /// Bytes of keys and values of all rows of all models together. A row is admitted when all it may ever need fits, so
    /// memory never runs out half-way.
    pub kv_bytes: u64,
    /// The most time that compiling the grammar of an answer may take.
    pub grammar_time_limit: Duration,
    /// Where grammars are tried that could take all memory before they take too long. Without one they are compiled at once.
    pub grammar_trial: Option<Trial>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_rows: const { NonZeroUsize::new(8).unwrap() },
            max_waiting: const { NonZeroUsize::new(256).unwrap() },
            max_output_tokens: 4096,
            prefill_chunk: 512,
            kv_bytes: 4 << 30,
            grammar_time_limit: Duration::from_secs(5),
            grammar_trial: None,
        }
    }
}

/// A model to serve.
pub struct ModelSpec {
    /// The name it is served under.
    pub id: String,
    /// `model_type` of its configuration.
    pub architecture: String,
    /// Its text side.
    pub text: ModelText,
    /// Puts it on the device.
    pub load: Load,
}

/// The engine of this process: one thread owns the device and all models on it.
pub struct LocalEngine {
    cards: Vec<ModelCard>,
    models: Vec<Arc<Served>>,
    max_output_tokens: u32,
    waiting: Arc<Waiting>,
    workers: Workers,
    commands: Sender<Command>,
    /// Nothing new is taken: the engine is draining, or the device thread is gone.
    closed: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LocalEngine {
    /// Starts the device thread, loads the models on it one after another, and returns when all are there.
    #[expect(clippy::needless_pass_by_value, reason = "callers make a configuration for this call alone")]
    pub fn spawn(config: Config, models: Vec<ModelSpec>) -> Result<Self, Error> {
        let mut names = HashSet::new();
        if let Some(twice) = models.iter().find(|model| !names.insert(&model.id)) {
            return Err(Error::DuplicateModel(twice.id.clone()));
        }
        if models.is_empty() {
            return Err(Error::NoModel);
        }
        let limits = Limits {
            rows: config.max_rows.get(),
            kv_bytes: config.kv_bytes,
            prefill_chunk: config.prefill_chunk,
        };
        let closed = Arc::new(AtomicBool::new(false));
        let (loads, texts): (Vec<_>, Vec<_>) = models
            .into_iter()
            .map(|model| ((model.id.clone(), model.load), (model.id, model.architecture, model.text)))
            .unzip();
        let device = device::start(limits, loads, Arc::clone(&closed))?;
        let models = texts
            .into_iter()
            .zip(numbered(device.facts))
            .map(|((id, architecture, text), facts)| Served::new(id, architecture, text, facts, &config))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self {
            cards: models.iter().map(|model| model.card.clone()).collect(),
            models: models.into_iter().map(Arc::new).collect(),
            max_output_tokens: config.max_output_tokens.max(1),
            waiting: Waiting::new(config.max_waiting.get()),
            workers: Workers::default(),
            commands: device.commands,
            closed,
            thread: Mutex::new(Some(device.thread)),
        })
    }

    /// Takes nothing new, lets everything that was accepted finish, and stops the device thread. Dropping the future
    /// does not undo it.
    pub async fn drain(&self) {
        self.closed.store(true, Ordering::Release);
        let (done, drained) = oneshot::channel();
        // Where the thread is gone already, the command is dropped and the wait over at once.
        let _ = self.commands.send(Command::Drain(done));
        let _ = drained.await;
    }

    /// Ends every generation with [`EngineError::ShuttingDown`] and stops the device thread after the step it is in.
    pub fn shutdown(&self) {
        self.closed.store(true, Ordering::Release);
        let _ = self.commands.send(Command::Shutdown);
    }

    fn find(&self, name: Option<&str>) -> Result<&Arc<Served>, EngineError> {
        let index = match name {
            None => Some(0),
            Some(name) => self.cards.iter().position(|card| card.id == name),
        };
        index
            .and_then(|index| self.models.get(index))
            .ok_or_else(|| EngineError::UnknownModel(name.unwrap_or_default().to_owned()))
    }

    /// Gives what is about to be queued its place.
    fn enter(&self, tags: &Tags) -> Result<Place, EngineError> {
        // None is served yet, and an answer without the adapter would be another answer.
        if let Some(adapter) = &tags.adapter {
            return Err(EngineError::UnknownAdapter(adapter.clone()));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(EngineError::ShuttingDown);
        }
        self.waiting.enter().map_err(|waiting| EngineError::Overloaded { waiting })
    }

    /// One of the answers to a prepared prompt. A seed makes one answer, so each has its own: a request for one answer with
    /// that seed gets the same.
    fn choice(
        &self,
        served: &Served,
        prepared: &Prepared,
        number: u32,
        events: UnboundedSender<Event>,
    ) -> Result<Choice, EngineError> {
        let guide = prepared.grammar.clone().map(|grammar| self.guide(grammar)).transpose()?;
        let mut sampling = prepared.sampling.clone();
        sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(u64::from(number)));
        // Log probabilities, grammars and a least number of tokens take the logits, which stay on the device where it chooses.
        let end = &prepared.end;
        let on_device = sampling.is_plain_greedy()
            && prepared.logprobs.is_none()
            && guide.is_none()
            && end.min_tokens == 0;
        let sampler = (!on_device).then(|| {
            RowSampler::new(sampling, &prepared.prompt)
                .with_logprobs(prepared.logprobs)
                .guided(guide)
                .reaching(end.min_tokens, served.stop_tokens.iter().chain(&end.tokens).copied())
        });
        let answer = Answer::new(&served.text, served.ends(end), prepared);
        Ok(Choice::new(sampler, answer, prepared.max_output_tokens, events))
    }

    fn guide(&self, grammar: CompiledGrammar) -> Result<Guide, EngineError> {
        let foreign = || EngineError::Internal("a grammar was compiled by another engine".to_owned());
        let grammar: Arc<Compiled> = grammar.downcast().ok_or_else(foreign)?;
        Ok(Guide::new(grammar, self.workers.clone()))
    }
}

impl Engine for LocalEngine {
    fn models(&self) -> &[ModelCard] {
        &self.cards
    }

    fn prepare(&self, request: Request) -> BoxFuture<'_, Result<Prepared, EngineError>> {
        Box::pin(async move {
            let served = self.find(request.model.as_deref())?;
            let most = self.max_output_tokens;
            let quick = request.grammar.is_none() && prepare::is_quick(&request.prompt);
            let (mut prepared, plan) =
                beside(served, quick, move |served| prepare::prepare(served, most, request)).await?;
            if let Some(plan) = plan {
                prepared.grammar = Some(CompiledGrammar::new(served.grammars.compile(plan).await?));
            }
            Ok(prepared)
        })
    }

    /// The tags' priority decides whose turn it is; inside a class requests run in the order they come. Weights are not
    /// honoured yet, and cache scopes have nothing to separate as long as no prefix is cached.
    fn start(&self, prepared: Prepared, tags: &Tags) -> Result<Vec<EventStream>, EngineError> {
        let served = self.find(Some(&prepared.model))?;
        served.check_generates()?;
        served.check(&prepared)?;
        let place = self.enter(tags)?;
        let mut streams: Vec<EventStream> = Vec::with_capacity(prepared.choices as usize);
        let mut choices = Vec::with_capacity(prepared.choices as usize);
        for number in 0..prepared.choices {
            let (sender, events) = mpsc::unbounded_channel();
            choices.push(self.choice(served, &prepared, number, sender)?);
            streams.push(Box::pin(Events::new(events)));
        }
        let job = Job {
            model: served.index,
            choices,
            kv_bytes: served.kv_bytes(prepared.prompt.len(), prepared.max_output_tokens),
            prompt: prepared.prompt,
            prompt_logprobs: prepared.prompt_logprobs,
            priority: tags.priority,
            queued: Instant::now(),
            place,
        };
        self.commands.send(Command::Start(Box::new(job))).map_err(|_| EngineError::ShuttingDown)?;
        Ok(streams)
    }

    fn prepare_encode(&self, request: EncodeRequest) -> BoxFuture<'_, Result<PreparedEncode, EngineError>> {
        Box::pin(async move {
            let served = self.find(request.model.as_deref())?;
            let quick = encode::is_quick(&request.inputs);
            beside(served, quick, move |served| encode::prepare(served, request)).await
        })
    }

    fn encode(&self, prepared: PreparedEncode, tags: &Tags) -> Result<Encoding, EngineError> {
        let served = self.find(Some(&prepared.model))?;
        encode::check(served, &prepared)?;
        let place = self.enter(tags)?;
        let (answer, vectors) = oneshot::channel();
        let PreparedEncode { task, texts, .. } = prepared;
        let (encoder, priority, queued) = (served.index, tags.priority, Instant::now());
        let job = EncodeJob { encoder, texts, answer, priority, queued, place };
        self.commands.send(Command::Encode(Box::new(job))).map_err(|_| EngineError::ShuttingDown)?;
        Ok(Box::pin(async move {
            // A channel that closes without an answer belonged to a device thread that is gone.
            let encoded = vectors.await.unwrap_or(Err(EngineError::ShuttingDown))?;
            Ok(encode::finish(task, encoded))
        }))
    }

    fn tokenize(&self, tokenize: Tokenize) -> BoxFuture<'_, Result<Tokenized, EngineError>> {
        Box::pin(async move {
            let served = self.find(tokenize.model.as_deref())?;
            let quick = prepare::is_quick(&tokenize.prompt);
            beside(served, quick, move |served| prepare::tokenize(served, tokenize)).await
        })
    }

    fn detokenize(
        &self,
        model: Option<String>,
        tokens: Vec<u32>,
    ) -> BoxFuture<'_, Result<String, EngineError>> {
        Box::pin(async move {
            let served = self.find(model.as_deref())?;
            beside(served, false, move |served| prepare::detokenize(served, &tokens)).await
        })
    }
}

/// The facts of models with each one's number among those of its kind.
fn numbered(facts: Vec<ModelFacts>) -> impl Iterator<Item = (usize, ModelFacts)> {
    let (mut decoders, mut encoders) = (0.., 0..);
    facts.into_iter().filter_map(move |facts| {
        let index = match &facts {
            ModelFacts::Decoder(_) => decoders.next(),
            ModelFacts::Encoder(_) => encoders.next(),
        };
        Some((index?, facts))
    })
}

/// Does text work here where it is quick, and where it is not on a thread that may block.
async fn beside<T: Send + 'static>(
    served: &Arc<Served>,
    quick: bool,
    work: impl FnOnce(&Served) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    if quick {
        return work(served);
    }
    let served = Arc::clone(served);
    tokio::task::spawn_blocking(move || work(&served))
        .await
        .map_err(|error| EngineError::Internal(format!("work on a request's text failed: {error}")))?
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.shutdown();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It catches panics itself, so there is nothing to learn from the result.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
