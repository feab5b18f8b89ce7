mod score;

use std::collections::BTreeMap;

use mlx_gate_core::Decoder;
use mlx_gate_core::decoder::{Error, Facts, Pick, RowError, RowId, RowStep, Sampler};
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::{TryIndexOp, argmax};
use mlx_rs::{Array, transforms};

use crate::arch::Model;
use crate::cache::Cache;

/// Decoding steps between two releases of the memory MLX keeps for reuse. mlx-lm has the same number.
const STEPS_BETWEEN_RELEASES: u32 = 256;

/// A model of [`crate::arch`] and the rows it works on, one after another.
pub(crate) struct MlxDecoder {
    model: Box<dyn Model>,
    facts: Facts,
    layers: usize,
    rows: BTreeMap<RowId, Row>,
    next_row: u64,
    steps: u32,
}

enum Row {
    Open(OpenRow),
    /// The device failed in the middle of a step, so that nobody knows what the cache holds.
    Broken,
}

impl MlxDecoder {
    pub(crate) fn new(model: Box<dyn Model>, facts: Facts, layers: usize) -> Self {
        Self { model, facts, layers, rows: BTreeMap::new(), next_row: 0, steps: 0 }
    }

    fn step_row(&mut self, step: &mut RowStep<'_>) -> Result<Option<u32>, RowError> {
        let row = self.rows.get_mut(&step.row).ok_or(RowError::Unknown(step.row))?;
        let Row::Open(open) = row else {
            return Err(RowError::Device("an earlier step of this row failed".into()));
        };
        check_tokens(step.tokens, &self.facts, open.cache.length)?;
        let result = open.advance(self.model.as_ref(), &self.facts, step);
        if matches!(result, Err(RowError::Device(_))) {
            *row = Row::Broken;
        }
        result
    }

    /// Gives memory back that MLX holds for reuse: after prompts, whose arrays are of sizes that do not come again soon,
    /// and once in a while.
    fn release_memory(&mut self, longest: usize) -> Result<(), Error> {
        self.steps += 1;
        if longest > 1 || self.steps.is_multiple_of(STEPS_BETWEEN_RELEASES) {
            mlx_rs::memory::clear_cache().map_err(|exception| Error(exception.what().to_owned()))?;
        }
        Ok(())
    }
}

impl Decoder for MlxDecoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn open(&mut self) -> Result<RowId, Error> {
        let id = RowId(self.next_row);
        self.next_row += 1;
        self.rows.insert(id, Row::Open(OpenRow { cache: Cache::new(self.layers), ahead: None }));
        Ok(id)
    }

    fn step(&mut self, rows: &mut [RowStep<'_>]) -> Result<Vec<Result<Option<u32>, RowError>>, Error> {
        let results = rows.iter_mut().map(|row| self.step_row(row)).collect();
        self.release_memory(rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0))?;
        Ok(results)
    }

    fn fork(&mut self, row: RowId, length: u32) -> Result<RowId, Error> {
        let copy = match self.rows.get(&row) {
            Some(Row::Open(open)) => {
                let mut cache = open.cache.clone();
                cache.trim(i32::try_from(length).unwrap_or(i32::MAX));
                Row::Open(OpenRow { cache, ahead: None })
            }
            Some(Row::Broken) => Row::Broken,
            None => return Err(Error(format!("row {row:?} is not open"))),
        };
        let id = self.open()?;
        self.rows.insert(id, copy);
        Ok(id)
    }

    fn trim(&mut self, row: RowId, length: u32) -> Result<(), Error> {
        match self.rows.get_mut(&row) {
            Some(Row::Open(open)) => {
                open.ahead = None;
                open.cache.trim(i32::try_from(length).unwrap_or(i32::MAX));
                Ok(())
            }
            Some(Row::Broken) => Ok(()),
            None => Err(Error(format!("row {row:?} is not open"))),
        }
    }

    fn close(&mut self, row: RowId) {
        self.rows.remove(&row);
    }
}

fn check_tokens(tokens: &[u32], facts: &Facts, length: i32) -> Result<(), RowError> {
    if tokens.is_empty() {
        return Err(RowError::BadTokens("no tokens were given".into()));
    }
    if let Some(token) = tokens.iter().find(|token| **token >= facts.vocab_size) {
        let size = facts.vocab_size;
        return Err(RowError::BadTokens(format!("token {token} is outside the vocabulary of {size}")));
    }
    if length.unsigned_abs() as usize + tokens.len() > facts.context_length as usize {
        return Err(RowError::ContextFull(facts.context_length));
    }
    Ok(())
}

/// A row, and the step it is expected to be asked for next.
///
/// Who decodes greedily most often feeds back the token just chosen. So the device starts on that step while the host
/// still hands the token around, as mlx-lm's `generate_step` does. The cache notices nothing of a guess that was wrong:
/// its keys and values lie behind the row's end, where the next step overwrites them.
struct OpenRow {
    cache: Cache,
    ahead: Option<Ahead>,
}

/// A step begun in advance: what is chosen if the row goes on with the token `after`.
struct Ahead {
    after: u32,
    choice: Choice,
}

/// The likeliest token and its logit, on the device; they may still be in the making.
struct Choice {
    token: Array,
    best: Array,
}

impl OpenRow {
    /// Appends tokens and picks the one that follows.
    fn advance(
        &mut self,
        model: &dyn Model,
        facts: &Facts,
        step: &mut RowStep<'_>,
    ) -> Result<Option<u32>, RowError> {
        let RowStep { tokens, pick, score, .. } = step;
        let (tokens, context_length) = (*tokens, facts.context_length);
        let count = tokens.len() as i32;
        let ahead = self.ahead.take();
        if let (Pick::Greedy, None, Some(ahead)) = (&pick, &score, ahead)
            && tokens == [ahead.after]
        {
            self.cache.length += count;
            return self.decode(model, &ahead.choice, context_length).map(Some);
        }
        let hidden =
            model.forward(&Array::from_slice(tokens, &[1, count]), &mut self.cache).map_err(device)?;
        self.cache.length += count;
        if let Some(score) = score {
            score::score(model, &hidden, tokens, facts.vocab_size, score)?;
        }
        match pick {
            Pick::Nothing => {
                transforms::eval(self.cache.arrays()).map_err(device)?;
                Ok(None)
            }
            // The first token after a prompt is waited for at once: many a request wants no more than that.
            Pick::Greedy if count > 1 => Choice::begin(model, &hidden).map_err(device)?.read().map(Some),
            Pick::Greedy => {
                let choice = Choice::begin(model, &hidden).map_err(device)?;
                self.decode(model, &choice, context_length).map(Some)
            }
            Pick::Sample(sampler) => {
                let logits = last_logits(model, &hidden).map_err(device)?;
                sampled(&logits, *sampler).map(Some)
            }
        }
    }

    /// Starts on the step after a choice, then waits for the choice.
    fn decode(&mut self, model: &dyn Model, choice: &Choice, context_length: u32) -> Result<u32, RowError> {
        if self.cache.length.unsigned_abs() >= context_length {
            return choice.read();
        }
        let input = choice.token.reshape(&[1, 1]).map_err(device)?;
        let hidden = model.forward(&input, &mut self.cache).map_err(device)?;
        let next = Choice::begin(model, &hidden).map_err(device)?;
        let after = choice.read()?;
        self.ahead = Some(Ahead { after, choice: next });
        Ok(after)
    }
}

impl Choice {
    /// Has the device start on the choice that follows from hidden states.
    fn begin(model: &dyn Model, hidden: &Array) -> Result<Self, Exception> {
        let logits = last_logits(model, hidden)?;
        let token = argmax(&logits, false)?;
        let best = logits.take(&token)?.as_type::<f32>()?;
        transforms::async_eval([&token, &best])?;
        Ok(Self { token, best })
    }

    /// Waits for the token. Where logits are not numbers, what `argmax` finds is not one either.
    fn read(&self) -> Result<u32, RowError> {
        transforms::eval([&self.token, &self.best]).map_err(device)?;
        let best: f32 = self.best.try_item_exact().map_err(|error| RowError::Device(error.to_string()))?;
        if !best.is_finite() {
            return Err(RowError::BadLogits);
        }
        self.token.try_item_exact().map_err(|error| RowError::Device(error.to_string()))
    }
}

/// The logits `[vocabulary]` that follow the last of the hidden states `[1, tokens, features]`.
fn last_logits(model: &dyn Model, hidden: &Array) -> Result<Array, Exception> {
    let count = hidden.dim(1);
    model.logits(&hidden.try_index((.., count - 1..count))?)?.reshape(&[-1])
}

fn sampled(logits: &Array, sampler: &mut dyn Sampler) -> Result<u32, RowError> {
    let logits = logits.as_type::<f32>().map_err(device)?;
    let mut numbers = logits.to_vec_exact::<f32>().map_err(|error| RowError::Device(error.to_string()))?;
    if numbers.iter().any(|logit| logit.is_nan() || *logit == f32::INFINITY) {
        return Err(RowError::BadLogits);
    }
    let size = numbers.len();
    let token = sampler.sample(&mut numbers)?;
    if token as usize >= size { Err(RowError::BadLogits) } else { Ok(token) }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands values over")]
fn device(exception: Exception) -> RowError {
    RowError::Device(exception.what().to_owned())
}
