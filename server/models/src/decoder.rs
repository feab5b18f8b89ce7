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
    Open(Cache),
    /// The device failed in the middle of a step, so that nobody knows what the cache holds.
    Broken,
}

impl MlxDecoder {
    pub(crate) fn new(model: Box<dyn Model>, facts: Facts, layers: usize) -> Self {
        Self { model, facts, layers, rows: BTreeMap::new(), next_row: 0, steps: 0 }
    }

    fn step_row(&mut self, step: &mut RowStep<'_>) -> Result<Option<u32>, RowError> {
        let row = self.rows.get_mut(&step.row).ok_or(RowError::Unknown(step.row))?;
        let Row::Open(cache) = row else {
            return Err(RowError::Device("an earlier step of this row failed".into()));
        };
        check_tokens(step.tokens, &self.facts, cache.length)?;
        let result = advance(self.model.as_ref(), cache, step.tokens, &mut step.pick);
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
        self.rows.insert(id, Row::Open(Cache::new(self.layers)));
        Ok(id)
    }

    fn step(&mut self, rows: &mut [RowStep<'_>]) -> Result<Vec<Result<Option<u32>, RowError>>, Error> {
        let results = rows.iter_mut().map(|row| self.step_row(row)).collect();
        self.release_memory(rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0))?;
        Ok(results)
    }

    fn trim(&mut self, row: RowId, length: u32) -> Result<(), Error> {
        match self.rows.get_mut(&row) {
            Some(Row::Open(cache)) => {
                cache.trim(i32::try_from(length).unwrap_or(i32::MAX));
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

/// Appends tokens to a row and picks the one that follows.
fn advance(
    model: &dyn Model,
    cache: &mut Cache,
    tokens: &[u32],
    pick: &mut Pick<'_>,
) -> Result<Option<u32>, RowError> {
    let count = tokens.len() as i32;
    let hidden = model.forward(&Array::from_slice(tokens, &[1, count]), cache).map_err(device)?;
    cache.length += count;
    if matches!(pick, Pick::Nothing) {
        transforms::eval(cache.arrays()).map_err(device)?;
        return Ok(None);
    }
    let last = hidden.try_index((.., count - 1..count)).map_err(device)?;
    let logits = model.logits(&last).and_then(|logits| logits.reshape(&[-1])).map_err(device)?;
    match pick {
        Pick::Nothing => Ok(None),
        Pick::Greedy => likeliest(&logits).map(Some),
        Pick::Sample(sampler) => sampled(&logits, *sampler).map(Some),
    }
}

/// The index of the largest logit. Where logits are not numbers, what `argmax` finds is not one either.
fn likeliest(logits: &Array) -> Result<u32, RowError> {
    let token = argmax(logits, false).map_err(device)?;
    let best = logits.take(&token).and_then(|best| best.as_type::<f32>()).map_err(device)?;
    transforms::eval([&token, &best]).map_err(device)?;
    let best: f32 = best.try_item_exact().map_err(|error| RowError::Device(error.to_string()))?;
    if !best.is_finite() {
        return Err(RowError::BadLogits);
    }
    token.try_item_exact().map_err(|error| RowError::Device(error.to_string()))
}

fn sampled(logits: &Array, sampler: &mut dyn Sampler) -> Result<u32, RowError> {
    let logits = logits.as_type::<f32>().map_err(device)?;
    let mut numbers = logits.to_vec_exact::<f32>().map_err(|error| RowError::Device(error.to_string()))?;
    if numbers.iter().all(|logit| !logit.is_finite()) {
        return Err(RowError::BadLogits);
    }
    let size = numbers.len();
    sampler.sample(&mut numbers).filter(|token| (*token as usize) < size).ok_or(RowError::BadLogits)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands values over")]
fn device(exception: Exception) -> RowError {
    RowError::Device(exception.what().to_owned())
}
