use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mlx_gate_core::decoder::Facts;
use mlx_gate_core::encoder::{self, Output};
use mlx_gate_core::{Capabilities, EndRules, EngineError, MOST_CHOICES, ModelCard, Prepared};

use crate::device::ModelFacts;
use crate::engine::Config;
use crate::error::Error;
use crate::grammar::Grammars;
use crate::text::ModelText;

/// What requests need to know of a model that is being served.
pub(crate) struct Served {
    pub(crate) card: ModelCard,
    pub(crate) text: ModelText,
    pub(crate) facts: Facts,
    /// What it makes of texts, where it reads them whole.
    pub(crate) encoder: Option<encoder::Facts>,
    /// Its number among the models of its kind on the device.
    pub(crate) index: usize,
    pub(crate) stop_tokens: Arc<[u32]>,
    pub(crate) grammars: Arc<Grammars>,
}

impl Served {
    pub(crate) fn new(
        id: String,
        architecture: String,
        text: ModelText,
        (index, facts): (usize, ModelFacts),
        config: &Config,
    ) -> Result<Self, Error> {
        let (facts, encoder) = match facts {
            ModelFacts::Decoder(facts) => (facts, None),
            ModelFacts::Encoder(facts) => (common(&facts), Some(facts)),
        };
        let kv_bytes = config.kv_bytes;
        // A request has to fit alone, or it would wait for ever.
        let affordable = kv_bytes / facts.kv_bytes_per_token.max(1);
        let context_length = facts.context_length.min(u32::try_from(affordable).unwrap_or(u32::MAX));
        if context_length < 2 {
            return Err(Error::NoMemory { model: id, bytes_per_token: facts.kv_bytes_per_token, kv_bytes });
        }
        if context_length < facts.context_length {
            tracing::warn!(
                model = id,
                context_length,
                full = facts.context_length,
                "the context is shortened to what the memory for keys and values allows"
            );
        }
        let card = ModelCard {
            id,
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            architecture,
            context_length,
            capabilities: encoder.as_ref().map_or_else(|| text.capabilities(), capabilities),
        };
        let stop_tokens = text.stop_tokens().into();
        let grammars = Grammars::new(&card.id, &text, facts.vocab_size, config);
        Ok(Self { card, text, facts, encoder, index, stop_tokens, grammars: Arc::new(grammars) })
    }

    /// Whether the model continues text.
    pub(crate) fn check_generates(&self) -> Result<(), EngineError> {
        let problem = match self.encoder.as_ref().map(|facts| &facts.output) {
            None => return Ok(()),
            Some(Output::Embedding { .. }) => {
                "makes embeddings and generates no text; name a model that does, or ask /v1/embeddings"
            }
            Some(Output::Score) => {
                "scores pairs of texts and generates none; name a model that does, or ask /v1/rerank or /v1/score"
            }
        };
        Err(EngineError::UnsuitedModel { model: self.card.id.clone(), problem })
    }

    /// Tokens that end an answer.
    pub(crate) fn ends(&self, rules: &EndRules) -> Arc<[u32]> {
        match rules {
            EndRules { ignores_model: true, tokens, .. } => tokens.as_slice().into(),
            EndRules { tokens, .. } if tokens.is_empty() => Arc::clone(&self.stop_tokens),
            EndRules { tokens, .. } => self.stop_tokens.iter().chain(tokens).copied().collect(),
        }
    }

    pub(crate) fn kv_bytes(&self, prompt: usize, max_output_tokens: u32) -> u64 {
        (prompt as u64 + u64::from(max_output_tokens)).saturating_mul(self.facts.kv_bytes_per_token)
    }

    /// Catches what [`prepare`](crate::prepare) would not have let through, because the scheduler relies on it.
    pub(crate) fn check(&self, prepared: &Prepared) -> Result<(), EngineError> {
        let total = prepared.prompt.len() as u64 + u64::from(prepared.max_output_tokens);
        let fits = total <= u64::from(self.card.context_length);
        let answers = (1..=MOST_CHOICES).contains(&prepared.choices);
        if prepared.prompt.is_empty() || !fits || !answers {
            return Err(EngineError::Internal(format!(
                "{} prompt tokens and {} more for each of {} answers were prepared for a context of {}",
                prepared.prompt.len(),
                prepared.max_output_tokens,
                prepared.choices,
                self.card.context_length
            )));
        }
        Ok(())
    }
}

/// What an encoder has in common with a decoder.
const fn common(facts: &encoder::Facts) -> Facts {
    Facts {
        vocab_size: facts.vocab_size,
        context_length: facts.context_length,
        kv_bytes_per_token: facts.kv_bytes_per_token,
        prefill_chunk: facts.batch_tokens,
    }
}

fn capabilities(facts: &encoder::Facts) -> Capabilities {
    let embeddings = matches!(facts.output, Output::Embedding { .. });
    Capabilities { embeddings, score: !embeddings, ..Capabilities::default() }
}
