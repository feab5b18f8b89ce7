//! Choosing a token from logits, on the host.
//!
//! The steps and their order are those of vLLM's v1 sampler, whose answers clients are used to:
//!
//! 1. logit bias, so that penalties act on what the client asked for;
//! 2. repetition penalty, then frequency and presence penalty (these may change which token is the likeliest, so they
//!    come before the greedy choice);
//! 3. temperature; 0 takes the likeliest token here, the lowest id where several are equally likely;
//! 4. min-p, relative to the likeliest token of the whole vocabulary;
//! 5. top-k;
//! 6. top-p over the probabilities of what is left, made to add up to 1 again;
//! 7. one draw.
//!
//! No step sorts the vocabulary: candidates are partitioned around the k-th, or in growing prefixes until the nucleus is
//! full, so a token costs O(vocabulary) for the usual peaked distributions.

use std::cmp::Ordering;
use std::collections::HashMap;

use mlx_gate_core::{Sampling, decoder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Size of the first prefix in which the nucleus is looked for. It grows by [`NUCLEUS_GROWTH`] until it is large enough.
const NUCLEUS_START: usize = 64;
const NUCLEUS_GROWTH: usize = 8;

/// Below this, e^x is 0 in f32.
const LOWEST_EXPONENT: f32 = -103.0;

/// One row's sampler: its parameters, its random numbers, and the tokens it has to penalize.
///
/// ChaCha12 is fixed by its specification, unlike `StdRng`: the same seed and prompt give the same answer after an
/// update of the `rand` crate too.
pub struct RowSampler {
    sampling: Sampling,
    random: ChaCha12Rng,
    /// Tokens of prompt and answer with the number of times each stands in the answer. Only kept where a penalty needs
    /// it.
    seen: HashMap<u32, u32>,
    /// Kept between tokens for its allocation only.
    candidates: Vec<Candidate>,
}

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    token: u32,
    /// Its probability as a multiple of that of the likeliest token, so from 0 to 1; until top-k, the logarithm of that.
    weight: f32,
}

impl RowSampler {
    /// A sampler for an answer to `prompt`. Without a seed, random numbers are seeded by the system.
    pub fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let random = match sampling.seed {
            Some(seed) => ChaCha12Rng::seed_from_u64(seed),
            None => ChaCha12Rng::from_rng(&mut rand::rng()),
        };
        let seen = if penalizes_prompt(&sampling) {
            prompt.iter().map(|&token| (token, 0)).collect()
        } else {
            HashMap::new()
        };
        Self { sampling, random, seen, candidates: Vec::new() }
    }

    fn adjust(&self, logits: &mut [f32]) {
        for &(token, bias) in &self.sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        let Sampling { repetition_penalty, presence_penalty, frequency_penalty, .. } = self.sampling;
        for (&token, &count) in &self.seen {
            let Some(logit) = logits.get_mut(token as usize) else { continue };
            *logit = if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
            if count > 0 {
                *logit -= frequency_penalty * count as f32 + presence_penalty;
            }
        }
    }

    fn remember(&mut self, token: u32) {
        if penalizes(&self.sampling) {
            *self.seen.entry(token).or_insert(0) += 1;
        }
    }

    fn draw(&mut self, logits: &[f32], likeliest: f32) -> Option<u32> {
        let Sampling { temperature, min_p, top_k, top_p, .. } = self.sampling;
        let lowest = min_p.ln().max(LOWEST_EXPONENT);
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend((0u32..).zip(logits).filter_map(|(token, &logit)| {
            let exponent = (usable(logit)? - likeliest) / temperature;
            (exponent >= lowest).then_some(Candidate { token, weight: exponent })
        }));
        if top_k > 0 {
            keep_likeliest(candidates, top_k as usize);
        }
        // The exponents order candidates as their powers do, so only what passed top-k has to be raised.
        for candidate in candidates.iter_mut() {
            candidate.weight = candidate.weight.exp();
        }
        if top_p < 1.0 {
            keep_nucleus(candidates, top_p);
        }
        pick(candidates, self.random.random())
    }
}

impl decoder::Sampler for RowSampler {
    fn sample(&mut self, logits: &mut [f32]) -> Option<u32> {
        self.adjust(logits);
        let (greedy, likeliest) = likeliest(logits)?;
        let token = if self.sampling.temperature > 0.0 { self.draw(logits, likeliest)? } else { greedy };
        self.remember(token);
        Some(token)
    }
}

#[expect(clippy::float_cmp, reason = "this is the exact value that switches the penalty off")]
fn penalizes_prompt(sampling: &Sampling) -> bool {
    sampling.repetition_penalty != 1.0
}

fn penalizes(sampling: &Sampling) -> bool {
    penalizes_prompt(sampling) || sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0
}

/// A logit that can be computed with: no NaN, no minus infinity, and plus infinity as the largest number, so that
/// differences of usable logits are never NaN.
fn usable(logit: f32) -> Option<f32> {
    (logit > f32::NEG_INFINITY).then(|| logit.min(f32::MAX))
}

/// The likeliest token, the first of equals, and its logit. `None` where no logit is usable.
fn likeliest(logits: &[f32]) -> Option<(u32, f32)> {
    let mut best = None;
    for (token, &logit) in (0u32..).zip(logits) {
        let Some(logit) = usable(logit) else { continue };
        if best.is_none_or(|(_, most)| logit > most) {
            best = Some((token, logit));
        }
    }
    best
}

/// Likeliest first, then by token, so that equal weights have an order too and a seed decides everything.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the sorting functions of slices call it like this")]
fn by_likelihood(left: &Candidate, right: &Candidate) -> Ordering {
    right.weight.total_cmp(&left.weight).then(left.token.cmp(&right.token))
}

fn keep_likeliest(candidates: &mut Vec<Candidate>, count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count - 1, by_likelihood);
        candidates.truncate(count);
        // A partition leaves its parts in no promised order, and the draw below goes by order.
        candidates.sort_unstable_by(by_likelihood);
    }
}

/// Keeps the fewest likeliest candidates whose weights reach `top_p` of the whole; at least one (Holtzman et al. 2020).
fn keep_nucleus(candidates: &mut Vec<Candidate>, top_p: f32) {
    let wanted = f64::from(top_p) * total(candidates);
    let mut size = NUCLEUS_START;
    loop {
        let partial = size < candidates.len();
        let prefix = if partial {
            candidates.select_nth_unstable_by(size - 1, by_likelihood);
            &mut candidates[..size]
        } else {
            &mut candidates[..]
        };
        prefix.sort_unstable_by(by_likelihood);
        let mut sum = 0.0;
        let reached = prefix.iter().position(|candidate| {
            sum += f64::from(candidate.weight);
            sum >= wanted
        });
        match reached {
            Some(last) => return candidates.truncate(last + 1),
            None if partial => size *= NUCLEUS_GROWTH,
            // Rounding kept the sum below: everything belongs to the nucleus.
            None => return,
        }
    }
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

/// The candidate at `point`, from 0 to 1, of the cumulated weights.
fn pick(candidates: &[Candidate], point: f64) -> Option<u32> {
    let mut left = point * total(candidates);
    for candidate in candidates {
        left -= f64::from(candidate.weight);
        if left < 0.0 {
            return Some(candidate.token);
        }
    }
    // Rounding only: the point was at the very end.
    candidates.last().map(|candidate| candidate.token)
}

#[cfg(test)]
mod tests;
