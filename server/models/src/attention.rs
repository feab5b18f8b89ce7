//! Attention over a row's cache.

use mlx_rs::error::Result;
use mlx_rs::fast::{ScaledDotProductAttentionMask, scaled_dot_product_attention};
use mlx_rs::{Array, ops};

use crate::cache::LayerCache;
use crate::rope::Rope;

/// Which of the row's tokens the tokens of one pass may look at. Made once for each pass and kind of layer.
#[derive(Debug)]
pub(crate) struct Span {
    /// Tokens in the row before this pass.
    offset: i32,
    /// The first token that any of this pass's tokens can see.
    from: i32,
    mask: Mask,
}

#[derive(Debug)]
enum Mask {
    /// A single token sees all there is.
    Everything,
    Causal,
    /// `[tokens, visible tokens]`, true where a token may look.
    Explicit(Array),
}

impl Span {
    /// Every token sees itself and all before it.
    pub(crate) fn causal(offset: i32, tokens: i32) -> Self {
        let mask = if tokens == 1 { Mask::Everything } else { Mask::Causal };
        Self { offset, from: 0, mask }
    }

    /// Every token sees itself and the `window - 1` before it.
    pub(crate) fn sliding(offset: i32, tokens: i32, window: i32) -> Result<Self> {
        let from = (offset + 1).saturating_sub(window).max(0);
        let end = offset + tokens;
        if tokens == 1 || end - from <= window {
            return Ok(Self { from, ..Self::causal(offset, tokens) });
        }
        let query = Array::arange::<_, i32>(offset, end, None)?.reshape(&[tokens, 1])?;
        let key = Array::arange::<_, i32>(from, end, None)?.reshape(&[1, end - from])?;
        let past = ops::ge(&query, &key)?;
        let near = ops::lt(&query, &key.add(Array::from_int(window))?)?;
        Ok(Self { offset, from, mask: Mask::Explicit(past.logical_and(&near)?) })
    }
}

/// Head counts and width of an attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) queries: i32,
    pub(crate) keys: i32,
    pub(crate) dim: i32,
}

impl Heads {
    /// Features of all query heads together.
    pub(crate) fn query_width(self) -> i64 {
        i64::from(self.queries) * i64::from(self.dim)
    }

    /// Features of all key heads together.
    pub(crate) fn key_width(self) -> i64 {
        i64::from(self.keys) * i64::from(self.dim)
    }

    /// Splits `[rows, tokens, heads * dim]` into `[rows, tokens, heads, dim]`.
    pub(crate) fn split(self, x: &Array) -> Result<Array> {
        x.reshape(&[x.dim(0), x.dim(1), -1, self.dim])
    }

    /// Attention of new tokens over the row, theirs included. Takes queries, keys and values as `[rows, tokens, heads, dim]`
    /// before positions are encoded, and returns `[rows, tokens, heads * dim]`.
    pub(crate) fn attend(
        self,
        (queries, keys, values): (&Array, &Array, &Array),
        rope: &Rope,
        span: &Span,
        cache: &mut LayerCache,
    ) -> Result<Array> {
        let (rows, tokens) = (queries.dim(0), queries.dim(1));
        let by_head = |x: &Array| x.transpose_axes(&[0, 2, 1, 3]);
        let queries = rope.forward(&by_head(queries)?, span.offset)?;
        let keys = rope.forward(&by_head(keys)?, span.offset)?;
        let (keys, values) = cache.append(span.offset, span.from, &keys, &by_head(values)?)?;
        let scale = (self.dim as f32).powf(-0.5);
        let attended = match &span.mask {
            Mask::Everything => scaled_dot_product_attention(queries, keys, values, scale, None, None),
            Mask::Causal => {
                let causal = ScaledDotProductAttentionMask::Causal;
                scaled_dot_product_attention(queries, keys, values, scale, causal, None)
            }
            Mask::Explicit(mask) => scaled_dot_product_attention(queries, keys, values, scale, mask, None),
        }?;
        by_head(&attended)?.reshape(&[rows, tokens, self.queries * self.dim])
    }
}
