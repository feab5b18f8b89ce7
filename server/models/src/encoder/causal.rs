use mlx_gate_core::Encoder;
use mlx_gate_core::encoder::{Error, Facts, Text};
use mlx_rs::error::Result as MlxResult;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::{Array, transforms};

use super::{Batch, Modules, device, host};
use crate::arch::Model;
use crate::cache::Cache;

/// A decoder whose hidden states are pooled. It reads a batch as it would read prompts, side by side; a piece of its work is a
/// chunk of each.
///
/// Short texts are filled up at their ends, and there it needs no mask: a token sees those before it, so no token of a text
/// sees what is behind its end.
pub(crate) struct CausalEncoder {
    model: Box<dyn Model>,
    /// Layers with keys and values.
    layers: usize,
    /// Most tokens in one piece, all texts together.
    chunk: usize,
    facts: Facts,
    modules: Modules,
    running: Option<Running>,
}

/// A batch that is being read.
struct Running {
    batch: Batch,
    /// `[texts, tokens]`.
    tokens: Array,
    cache: Cache,
    /// For each text hidden states `[tokens, features]` of all tokens read, or of the last one where the others do not count.
    hidden: Vec<Vec<f32>>,
}

impl CausalEncoder {
    pub(crate) fn new(
        model: Box<dyn Model>,
        layers: usize,
        chunk: usize,
        facts: Facts,
        modules: Modules,
    ) -> Self {
        Self { model, layers, chunk, facts, modules, running: None }
    }

    /// Reads the next chunk of each text; whether it was the last.
    fn read(&self, running: &mut Running) -> Result<bool, Error> {
        let Running { batch, tokens, cache, hidden } = running;
        let start = cache.length.unsigned_abs() as usize;
        let end = batch.width.min(start + (self.chunk / batch.texts.len()).max(1));
        // Where each text's tokens stand that count for its vector.
        let counting: Vec<_> = batch.texts.iter().map(|text| self.counting(text, start, end)).collect();
        let columns = tokens.try_index((.., start as i32..end as i32)).map_err(device)?;
        let found = self.forward(&columns, &counting, end - start, cache).map_err(device)?;
        let numbers = found.map(|found| host(&found)).transpose()?.unwrap_or_default();
        let mut numbers = numbers.as_slice();
        for (hidden, counting) in hidden.iter_mut().zip(counting) {
            let own = numbers.split_off(..counting.len() * self.modules.hidden_size());
            hidden.extend_from_slice(own.ok_or_else(|| Error("hidden states are missing".to_owned()))?);
        }
        Ok(end == batch.width)
    }

    /// Which of the columns from `start` to `end`, counted from `start`, count for a text's vector.
    fn counting(&self, text: &Text, start: usize, end: usize) -> std::ops::Range<usize> {
        let length = text.tokens.len();
        let first = if self.modules.needs_last_token_only() { length - 1 } else { 0 };
        let (first, last) = (first.max(start), length.min(end));
        if first < last { first - start..last - start } else { 0..0 }
    }

    /// The hidden states `[1, tokens, features]` of the tokens that count, text by text; `None` where none does.
    fn forward(
        &self,
        columns: &Array,
        counting: &[std::ops::Range<usize>],
        width: usize,
        cache: &mut Cache,
    ) -> MlxResult<Option<Array>> {
        let hidden = self.model.forward(columns, cache)?;
        cache.length += width as i32;
        let places = |(text, columns): (usize, &std::ops::Range<usize>)| {
            let first = text * width;
            columns.clone().map(move |column| (first + column) as i32)
        };
        let places: Vec<i32> = counting.iter().enumerate().flat_map(places).collect();
        if places.is_empty() {
            transforms::eval(cache.arrays())?;
            return Ok(None);
        }
        let all = hidden.reshape(&[1, -1, hidden.dim(-1)])?;
        let count = [places.len() as i32];
        let counts = all.take_axis(Array::from_slice(&places, &count), 1)?;
        self.model.normalize(&counts).map(Some)
    }
}

impl Encoder for CausalEncoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, batch: Vec<Text>) -> Result<(), Error> {
        let batch = Batch::new(batch);
        let tokens = batch.array(0, |text| text.tokens.clone());
        let hidden = vec![Vec::new(); batch.texts.len()];
        self.running = Some(Running { batch, tokens, cache: Cache::new(self.layers), hidden });
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let mut running = self.running.take().ok_or_else(|| Error("there is no batch to read".to_owned()))?;
        if !self.read(&mut running)? {
            self.running = Some(running);
            return Ok(None);
        }
        let width = self.modules.hidden_size();
        let vectors = running.hidden.iter().map(|hidden| self.modules.embed(hidden, width)).collect();
        drop(running);
        mlx_rs::memory::clear_cache().map_err(device)?;
        Ok(Some(vectors))
    }

    fn abandon(&mut self) {
        self.running = None;
    }
}
