//! How likely the tokens of a prompt were.

use mlx_gate_core::decoder::{RowError, Score, Scored};
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::{argpartition_axis, concatenate};
use mlx_rs::{Array, transforms};

use super::device;
use crate::arch::Model;

/// Places whose logits exist at a time. Those of a whole prompt would be larger than its keys and values by far, and of each
/// place only a few numbers are wanted.
const BLOCK: usize = 32;

/// Scores the tokens after the first one, and the next one where it is known, from the hidden states
/// `[1, tokens, features]` of the tokens.
pub(super) fn score(
    model: &dyn Model,
    hidden: &Array,
    tokens: &[u32],
    vocab_size: u32,
    score: &mut Score<'_>,
) -> Result<(), RowError> {
    let mut following: Vec<u32> = tokens[1..].to_vec();
    following.extend(score.next);
    if let Some(token) = following.iter().find(|token| **token >= vocab_size) {
        return Err(RowError::BadTokens(format!("token {token} is outside the vocabulary of {vocab_size}")));
    }
    let top = score.top.min(vocab_size) as usize;
    for (index, following) in following.chunks(BLOCK).enumerate() {
        let start = (index * BLOCK) as i32;
        let places = Places::find(model, hidden, start, following, top as i32).map_err(device)?;
        let numbers = places.logprobs.to_vec_exact::<f32>().map_err(host)?;
        let tokens = places.tokens.to_vec_exact::<u32>().map_err(host)?;
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(RowError::BadLogits);
        }
        let rows = numbers.chunks(1 + top).zip(tokens.chunks(1 + top));
        score.found.extend(rows.map(|(logprobs, tokens)| scored(logprobs, tokens)));
    }
    Ok(())
}

/// What is said of one place: first of the token that stands there, then of the likeliest ones in any order.
fn scored(logprobs: &[f32], tokens: &[u32]) -> Scored {
    let mut top: Vec<(u32, f32)> = tokens[1..].iter().copied().zip(logprobs[1..].iter().copied()).collect();
    top.retain(|(_, logprob)| *logprob > f32::NEG_INFINITY);
    top.sort_unstable_by(|(one, left), (other, right)| right.total_cmp(left).then(one.cmp(other)));
    Scored { logprob: logprobs[0], top }
}

/// Tokens and their log probabilities, `[places, 1 + top]` each.
struct Places {
    tokens: Array,
    logprobs: Array,
}

impl Places {
    fn find(
        model: &dyn Model,
        hidden: &Array,
        start: i32,
        following: &[u32],
        top: i32,
    ) -> Result<Self, Exception> {
        let count = following.len() as i32;
        let logits = model.logits(&hidden.try_index((.., start..start + count))?)?;
        let logits = logits.as_type::<f32>()?.reshape(&[count, -1])?;
        let mut tokens = Array::from_slice(following, &[count, 1]);
        if top > 0 {
            let (size, kth) = (logits.dim(1), logits.dim(1) - top);
            let likeliest = argpartition_axis(&logits, kth, 1)?.try_index((.., kth..size))?;
            tokens = concatenate(&[tokens, likeliest.as_type::<u32>()?], 1)?;
        }
        // log softmax(x) = x - log(sum(e^x))
        let logprobs = logits.take_along_axis(&tokens, 1)?.subtract(logits.logsumexp_axis(1, true)?)?;
        transforms::eval([&tokens, &logprobs])?;
        Ok(Self { tokens, logprobs })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands values over")]
fn host(error: impl ToString) -> RowError {
    RowError::Device(error.to_string())
}
