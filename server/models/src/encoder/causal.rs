use std::collections::VecDeque;

use mlx_gate_core::Encoder;
use mlx_gate_core::encoder::{Error, Facts, Text};
use mlx_rs::error::Result as MlxResult;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::{Array, transforms};

use super::{Modules, device, host};
use crate::arch::Model;
use crate::cache::Cache;

/// A decoder whose hidden states are pooled. It reads one text after the other, as it would read prompts; a piece of its
/// work is one chunk of a text.
pub(crate) struct CausalEncoder {
    model: Box<dyn Model>,
    /// Layers with keys and values.
    layers: usize,
    /// Most tokens in one piece.
    chunk: usize,
    facts: Facts,
    modules: Modules,
    waiting: VecDeque<Text>,
    reading: Option<Reading>,
    done: Vec<Vec<f32>>,
}

/// A text that is being read.
struct Reading {
    text: Text,
    cache: Cache,
    /// Hidden states `[tokens, features]` of all tokens read, or of the last chunk where the others do not count.
    hidden: Vec<f32>,
}

impl CausalEncoder {
    pub(crate) fn new(
        model: Box<dyn Model>,
        layers: usize,
        chunk: usize,
        facts: Facts,
        modules: Modules,
    ) -> Self {
        let (waiting, done) = (VecDeque::new(), Vec::new());
        Self { model, layers, chunk, facts, modules, waiting, reading: None, done }
    }

    /// Reads a chunk of the text; whether it was the last.
    fn read(&self, reading: &mut Reading) -> Result<bool, Error> {
        let start = reading.cache.length.unsigned_abs() as usize;
        let end = reading.text.tokens.len().min(start + self.chunk);
        let is_last = end == reading.text.tokens.len();
        let hidden =
            self.forward(&reading.text.tokens[start..end], is_last, &mut reading.cache).map_err(device)?;
        if let Some(hidden) = hidden {
            reading.hidden.append(&mut host(&hidden)?);
        }
        Ok(is_last)
    }

    /// The hidden states of tokens that count for the vector.
    fn forward(&self, tokens: &[u32], is_last: bool, cache: &mut Cache) -> MlxResult<Option<Array>> {
        let count = tokens.len() as i32;
        let hidden = self.model.forward(&Array::from_slice(tokens, &[1, count]), cache)?;
        cache.length += count;
        let counts = if !self.modules.needs_last_token_only() {
            Some(hidden)
        } else if is_last {
            Some(hidden.try_index((.., count - 1..count))?)
        } else {
            None
        };
        let Some(counts) = counts else {
            transforms::eval(cache.arrays())?;
            return Ok(None);
        };
        self.model.normalize(&counts).map(Some)
    }
}

impl Encoder for CausalEncoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, batch: Vec<Text>) -> Result<(), Error> {
        self.abandon();
        self.waiting = batch.into();
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let next = || {
            let cache = Cache::new(self.layers);
            Some(Reading { text: self.waiting.pop_front()?, cache, hidden: Vec::new() })
        };
        let Some(mut reading) = self.reading.take().or_else(next) else {
            return Err(Error("there is no batch to read".to_owned()));
        };
        if !self.read(&mut reading)? {
            self.reading = Some(reading);
            return Ok(None);
        }
        let width = self.modules.hidden_size();
        self.done.push(self.modules.embed(&reading.hidden, width));
        drop(reading);
        mlx_rs::memory::clear_cache().map_err(device)?;
        Ok(self.waiting.is_empty().then(|| std::mem::take(&mut self.done)))
    }

    fn abandon(&mut self) {
        self.waiting.clear();
        self.reading = None;
        self.done.clear();
    }
}
