use std::fmt::Display;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use llguidance::api::{GrammarInit, GrammarWithLexer, ParserLimits, TopLevelGrammar};
use llguidance::toktrie::InferenceCapabilities;
use llguidance::{Logger, Matcher, ParserFactory, TokenParser};
use mlx_gate_core::EngineError;
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::plan::{Alternative, Plan};
use super::trial::Trial;
use super::trie;
use crate::engine::Config;
use crate::text::ModelText;

/// Compiled grammars kept for each model, those used most. A client sends the same schema again and again.
const KEPT: usize = 64;

/// Grammars of one model compiled at a time. The others wait, and no longer than one may take.
const AT_A_TIME: usize = 2;

/// Stack of a compiling thread. Schemas nest as deep as JSON may, and the compiler follows them by recursion.
pub(super) const STACK_BYTES: usize = 32 << 20;

/// What a grammar may cost. Beyond, it is refused, or the row that follows it fails.
fn limits() -> ParserLimits {
    ParserLimits {
        // About 20 ms of building the lexer.
        initial_lexer_fuel: 1_000_000,
        // About 15 ms, and about 3 ms, of one look ahead.
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_items_in_row: 2_000,
        // About 100 MB of lexer states, for a row that visits them all.
        max_lexer_states: 50_000,
        // A few megabytes of schema.
        max_grammar_size: 500_000,
        precompute_large_lexemes: true,
        // Errors would carry the answer so far.
        verbose_errors: false,
    }
}

/// A model's compiler of grammars, and those it has compiled. Shared by all its requests.
pub(crate) struct Grammars {
    model: String,
    /// `None` where the model has no token that ends an answer.
    factory: Option<ParserFactory>,
    compiled: Cache<[u8; 32], Arc<Compiled>>,
    turns: Arc<Semaphore>,
    time_limit: Duration,
    /// Where grammars are tried that are not tame.
    trial: Option<Trial>,
}

/// A grammar compiled against a model's vocabulary; never advanced itself.
pub(crate) struct Compiled(Vec<Matcher>);

impl Compiled {
    /// Fresh copies, which share nothing: a row that fails, or needs all the lexer states there may be, harms no other.
    pub(super) fn matchers(&self) -> Vec<Matcher> {
        self.0.iter().map(Matcher::deep_clone).collect()
    }
}

impl Grammars {
    /// Reads the model's vocabulary of this many tokens into a tree.
    pub(crate) fn new(model: &str, text: &ModelText, vocabulary: u32, config: &Config) -> Self {
        let factory = trie::environment(text, vocabulary).and_then(|environment| {
            let factory = ParserFactory::new_simple(&environment)
                .inspect_err(|error| tracing::error!(model, %error, "this model cannot follow grammars"))
                .ok()?;
            Some(factory)
        });
        Self {
            model: model.to_owned(),
            factory,
            compiled: Cache::new(KEPT),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            time_limit: config.grammar_time_limit,
            trial: config.grammar_trial.clone(),
        }
    }

    /// Compiles a plan, or finds it among those compiled before.
    pub(crate) async fn compile(self: &Arc<Self>, plan: Plan) -> Result<Arc<Compiled>, EngineError> {
        let digest = digest(&plan);
        if let Some(compiled) = self.compiled.get(&digest) {
            return Ok(compiled);
        }
        let turn = timeout(self.time_limit, Arc::clone(&self.turns).acquire_owned()).await;
        // The semaphore is never closed, so this is the time limit.
        let Ok(Ok(turn)) = turn else { return Err(EngineError::Overloaded { waiting: AT_A_TIME }) };
        let field = plan.alternatives.first().map_or("grammar", |alternative| alternative.field);
        let compiled = self.on_a_thread(plan, turn)?;
        let compiled = timeout(self.time_limit, compiled).await.map_err(|_| {
            let seconds = self.time_limit.as_secs_f32();
            invalid(field, format!("compiling the grammar takes longer than {seconds} s; make it simpler"))
        })?;
        let compiled = compiled
            .map_err(|_| EngineError::Internal("the thread that compiles a grammar failed".to_owned()))??;
        self.compiled.insert(digest, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The turn is given back when the thread ends, which may be after its result is no longer waited for.
    fn on_a_thread(
        self: &Arc<Self>,
        plan: Plan,
        turn: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Result<Arc<Compiled>, EngineError>>, EngineError> {
        let (done, compiled) = oneshot::channel();
        let grammars = Arc::clone(self);
        thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let compiled = grammars.compile_here(plan);
                drop(turn);
                let _ = done.send(compiled.map(Arc::new));
            })
            .map_err(|error| EngineError::Internal(format!("no thread to compile a grammar on: {error}")))?;
        Ok(compiled)
    }

    fn compile_here(&self, plan: Plan) -> Result<Compiled, EngineError> {
        let matchers = plan.alternatives.into_iter().map(|alternative| {
            let Some(factory) = &self.factory else {
                let model = &self.model;
                return Err(invalid(
                    alternative.field,
                    format!(
                        "the model `{model}` cannot follow a grammar: it has no token that ends an answer"
                    ),
                ));
            };
            self.compile_one(factory, alternative)
        });
        matchers.collect::<Result<_, _>>().map(Compiled)
    }

    fn compile_one(&self, factory: &ParserFactory, alternative: Alternative) -> Result<Matcher, EngineError> {
        let Alternative { field, grammar, is_tame, schemas, otherwise } = alternative;
        let compiled = if is_tame || self.is_bearable(&grammar)? {
            parser(factory, grammar).map_err(|error| complaint(factory, field, schemas, &error))
        } else {
            let what =
                "compiling the grammar takes too much time or memory; have fewer things hold at once in it";
            Err(invalid(field, format!("{what} (`allOf`, several conditions for one text, `&` in Lark)")))
        };
        match (compiled, otherwise) {
            (Ok(parser), _) => Ok(Matcher::new(Ok(parser))),
            (Err(EngineError::InvalidRequest { .. }), Some(otherwise)) => {
                let parser = parser(factory, otherwise).map_err(|error| invalid(field, reason(&error)))?;
                Ok(Matcher::new(Ok(parser)))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Half of the time is for the trial, so that the other half is enough here.
    fn is_bearable(&self, grammar: &TopLevelGrammar) -> Result<bool, EngineError> {
        self.trial.as_ref().map_or(Ok(true), |trial| trial.is_bearable(grammar, self.time_limit / 2))
    }
}

/// What to say of a grammar that does not compile: by the function at fault, where it is one's schema.
fn complaint(
    factory: &ParserFactory,
    field: &'static str,
    schemas: Vec<(String, Value)>,
    error: &str,
) -> EngineError {
    // llguidance catches its own panics and hands them on as errors.
    if error.starts_with("panic:") {
        return EngineError::Internal(format!("compiling a grammar panicked: {}", reason(&error)));
    }
    for (function, schema) in schemas {
        if let Err(error) = parser(factory, TopLevelGrammar::from_json_schema(schema)) {
            return invalid(field, format!("the parameters of `{function}`: {}", reason(&error)));
        }
    }
    invalid(field, reason(&error))
}

/// A grammar for the tokens of a factory. Errors are llguidance's.
pub(super) fn parser(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<TokenParser, String> {
    let (init, quiet) = (GrammarInit::Serialized(grammar), Logger::new(0, 0));
    let parser = factory.create_parser_from_init_ext(init, quiet, InferenceCapabilities::default(), limits());
    parser.map_err(|error| format!("{error:#}"))
}

/// llguidance's words, without the marks it puts around the state it was told to leave out.
pub(super) fn reason(error: &impl Display) -> String {
    let text = format!("{error:#}");
    let text = text.split("\n<backtrace>").next().unwrap_or_default();
    text.trim_end_matches("<non-verbose/>").trim_end().to_owned()
}

pub(super) fn invalid(field: &'static str, message: String) -> EngineError {
    EngineError::InvalidRequest { field, message }
}

fn digest(plan: &Plan) -> [u8; 32] {
    let mut hash = Sha256::new();
    for alternative in &plan.alternatives {
        for grammar in [Some(&alternative.grammar), alternative.otherwise.as_ref()] {
            let grammars = grammar.map_or([].as_slice(), |grammar| &grammar.grammars);
            hash.update((grammars.len() as u64).to_le_bytes());
            for grammar in grammars {
                add(&mut hash, grammar);
            }
        }
    }
    hash.finalize().into()
}

fn add(hash: &mut Sha256, grammar: &GrammarWithLexer) {
    for part in [
        grammar.name.clone().unwrap_or_default(),
        grammar.json_schema.as_ref().map(ToString::to_string).unwrap_or_default(),
        grammar.lark_grammar.clone().unwrap_or_default(),
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}
