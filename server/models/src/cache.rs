//! Keys and values of one row, layer by layer.

use mlx_rs::Array;
use mlx_rs::error::{Exception, Result};
use mlx_rs::ops::indexing::{TryIndexOp, TryIndexUpdateOp, UpdateMode};
use mlx_rs::ops::{concatenate, zeros_dtype};

/// Tokens by which the arrays grow, as in mlx-lm's `KVCache`.
const STEP: i32 = 256;

/// What a row remembers.
///
/// A clone costs nothing until one of the two is appended to: MLX's arrays are immutable and counted, and it writes in place
/// only what nobody else holds. So the first one that goes on copies, and the last one is left with the original.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// Tokens in the row.
    pub(crate) length: i32,
    /// One for each layer.
    pub(crate) layers: Vec<LayerCache>,
}

impl Cache {
    /// An empty cache for `layers` layers.
    pub(crate) fn new(layers: usize) -> Self {
        Self { length: 0, layers: std::iter::repeat_with(LayerCache::default).take(layers).collect() }
    }

    /// Keeps the first `length` tokens. The arrays stay as they are: what is behind the end gets overwritten.
    pub(crate) fn trim(&mut self, length: i32) {
        self.length = self.length.min(length);
    }

    /// The arrays a step has changed.
    pub(crate) fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.layers.iter().filter_map(|layer| layer.state.as_ref()).flat_map(|(keys, values)| [keys, values])
    }
}

/// Keys and values of one layer: `[rows, heads, capacity, head_dim]` each.
///
/// A layer with a sliding window keeps everything too, and attends to the window's part of it: memory is spent so that a
/// row can be trimmed to any length.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerCache {
    state: Option<(Array, Array)>,
}

impl LayerCache {
    /// Puts the keys and values of new tokens, `[rows, heads, tokens, head_dim]`, behind the first `offset` ones. Returns
    /// those of tokens `from` to the end.
    pub(crate) fn append(
        &mut self,
        offset: i32,
        from: i32,
        keys: &Array,
        values: &Array,
    ) -> Result<(Array, Array)> {
        let end = offset + keys.dim(-2);
        let (old_keys, old_values) = match self.state.take() {
            Some((old_keys, old_values)) if old_keys.dim(-2) >= end => (old_keys, old_values),
            Some((old_keys, old_values)) => {
                (grown(&old_keys, keys, offset, end)?, grown(&old_values, values, offset, end)?)
            }
            None => (room(keys, end)?, room(values, end)?),
        };
        let keys = replaced(&old_keys, offset, end, keys)?;
        let values = replaced(&old_values, offset, end, values)?;
        // The old arrays must be gone before the new ones are computed: then MLX writes in place instead of copying.
        drop((old_keys, old_values));
        let visible = (keys.try_index((.., .., from..end))?, values.try_index((.., .., from..end))?);
        self.state = Some((keys, values));
        Ok(visible)
    }
}

fn room(like: &Array, tokens: i32) -> Result<Array> {
    let mut shape = like.shape().to_vec();
    shape[2] = (tokens + STEP - 1) / STEP * STEP;
    zeros_dtype(&shape, like.dtype())
}

fn grown(old: &Array, new: &Array, offset: i32, end: i32) -> Result<Array> {
    concatenate(&[old.try_index((.., .., 0..offset))?, room(new, end - offset)?], 2)
}

fn replaced(old: &Array, start: i32, end: i32, new: &Array) -> Result<Array> {
    old.try_index_update((.., .., start..end), new, UpdateMode::Replace)
        .map_err(|error| Exception::custom(error.to_string()))
}
