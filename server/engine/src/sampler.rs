//! Choosing a token from logits, on the host.
//!
//! The steps and their order are those of vLLM's v1 sampler, whose answers clients are used to:
//!
//! 0. tokens that the grammar does not allow are taken away, so that nothing below can bring them back;
//! 1. logit bias, so that penalties act on what the client asked for;
//! 2. repetition penalty, then frequency and presence penalty (these may change which token is the likeliest, so they
//!    come before the greedy choice);
//!    then tokens that would end the answer too early are taken away;
//! 3. temperature; 0 takes the likeliest token here, the lowest id where several are equally likely;
//! 4. min-p, relative to the likeliest token of the whole vocabulary;
//! 5. top-k;
//! 6. top-p over the probabilities of what is left, made to add up to 1 again;
//! 7. one draw.
//!
//! No step sorts the vocabulary: only tokens above a bound that the k likeliest reach are sorted, with k growing until the
//! nucleus is full, so a token costs O(vocabulary) for the usual peaked distributions.

use std::cmp::Ordering;
use std::collections::HashMap;

use mlx_gate_core::decoder::{RowError, Scored};
use mlx_gate_core::{Sampling, decoder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::grammar::Guide;

mod logprobs;
mod minimum;
mod weights;

use logprobs::Logprobs;
use minimum::Minimum;

/// Tokens of a block, see [`RowSampler::gather`].
const BLOCK: usize = 32;

/// Number of candidates among which the nucleus is looked for first. It grows by [`NUCLEUS_GROWTH`] until it is enough.
const NUCLEUS_START: usize = 64;
const NUCLEUS_GROWTH: usize = 8;

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
    /// Where log probabilities are asked for.
    logprobs: Option<Logprobs>,
    /// Says what its grammar allows.
    guide: Option<Guide>,
    /// Keeps the answer from ending early.
    minimum: Option<Minimum>,
    /// Comes next, whatever the logits.
    forced: Option<u32>,
    /// These two are kept between tokens for their allocations only.
    candidates: Vec<Candidate>,
    bounds: Vec<f32>,
}

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    token: u32,
    /// Its probability as a multiple of that of the likeliest token, so from 0 to 1.
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
        Self {
            sampling,
            random,
            seen,
            logprobs: None,
            guide: None,
            minimum: None,
            forced: None,
            candidates: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// With the log probability of each token it chooses, and of this many likeliest ones.
    #[must_use]
    pub fn with_logprobs(mut self, top: Option<u32>) -> Self {
        self.logprobs = top.map(|top| Logprobs::new(top as usize));
        self
    }

    /// The log probability of the token chosen last, where that is asked for. It is given once.
    pub fn take_logprobs(&mut self) -> Option<Scored> {
        self.logprobs.as_mut()?.take()
    }

    /// A sampler that chooses only what a grammar allows.
    pub(crate) fn guided(self, guide: Option<Guide>) -> Self {
        Self { guide, ..self }
    }

    /// With at least this many tokens before any of `ends`.
    #[must_use]
    pub fn reaching(mut self, tokens: u32, ends: impl IntoIterator<Item = u32>) -> Self {
        self.minimum = (tokens > 0).then(|| Minimum::new(tokens, ends));
        self
    }

    /// To be called when the row begins, so that what its grammar allows is known by the time its prompt is read.
    pub(crate) fn begin(&mut self) {
        if let Some(guide) = &mut self.guide {
            guide.begin();
        }
    }

    /// Has the next token be this one, where there is one. No random number is spent on it.
    pub(crate) fn force(&mut self, token: Option<u32>) {
        self.forced = token;
    }

    fn choose(&mut self, logits: &mut [f32]) -> Option<u32> {
        self.adjust(logits);
        let likeliest = match &mut self.minimum {
            Some(minimum) => minimum.keep_going(logits),
            None => weights::largest(logits),
        };
        if likeliest == f32::NEG_INFINITY {
            return None;
        }
        if self.sampling.temperature > 0.0 {
            return self.draw(logits, likeliest);
        }
        // Nothing is above the largest, and NaN is not at least that.
        logits.iter().position(|&logit| logit >= likeliest).map(|token| token as u32)
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

    fn draw(&mut self, logits: &mut [f32], likeliest: f32) -> Option<u32> {
        let Sampling { temperature, min_p, top_k, top_p, .. } = self.sampling;
        weights::weigh(logits, likeliest, temperature, min_p);
        let weights = &*logits;
        let point: f64 = self.random.random();
        if top_k == 0 && top_p >= 1.0 {
            return pick(weights, point);
        }
        if top_k > 0 {
            self.gather(weights, top_k as usize);
            self.candidates.truncate(top_k as usize);
            let wanted =
                f64::from(top_p) * self.candidates.iter().map(|candidate| candidate.weight()).sum::<f64>();
            self.keep_nucleus(wanted);
        } else {
            let wanted = f64::from(top_p) * weights::total(weights);
            let mut count = NUCLEUS_START;
            loop {
                let all = self.gather(weights, count);
                let reached = self.keep_nucleus(wanted);
                // Rounding may keep the sum below; everything belongs to the nucleus then.
                if reached || all {
                    break;
                }
                count *= NUCLEUS_GROWTH;
            }
        }
        pick_candidate(&self.candidates, point)
    }

    /// Fills the candidates with at least the `count` likeliest tokens, likeliest first, and says whether that is all
    /// tokens with a weight.
    ///
    /// The largest weight of each block of tokens is found first. The `count`-th largest of these is a lower bound of the
    /// `count`-th largest weight, and few tokens are above it.
    fn gather(&mut self, weights: &[f32], count: usize) -> bool {
        let Self { candidates, bounds, .. } = self;
        let blocks = weights.chunks(BLOCK);
        let all = count >= blocks.len();
        let bound = if all {
            f32::MIN_POSITIVE
        } else {
            bounds.clear();
            bounds.extend(blocks.clone().map(weights::largest));
            let (_, bound, _) = bounds.select_nth_unstable_by(count - 1, |left, right| right.total_cmp(left));
            bound.max(f32::MIN_POSITIVE)
        };
        candidates.clear();
        let tokens = (0u32..).zip(weights).filter(|(_, weight)| **weight >= bound);
        candidates.extend(tokens.map(|(token, &weight)| Candidate { token, weight }));
        candidates.sort_unstable_by(by_likelihood);
        all
    }

    /// Keeps the fewest candidates whose weights add up to `wanted` (Holtzman et al. 2020), at least one. False where
    /// all together are too few.
    fn keep_nucleus(&mut self, wanted: f64) -> bool {
        let mut sum = 0.0;
        let reached = self.candidates.iter().position(|candidate| {
            sum += candidate.weight();
            sum >= wanted
        });
        if let Some(last) = reached {
            self.candidates.truncate(last + 1);
        }
        reached.is_some()
    }
}

impl Candidate {
    fn weight(self) -> f64 {
        f64::from(self.weight)
    }
}

impl decoder::Sampler for RowSampler {
    fn sample(&mut self, logits: &mut [f32]) -> Result<u32, RowError> {
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.observe(logits);
        }
        if let Some(guide) = &mut self.guide {
            guide.restrict(logits)?;
        }
        let token = self.forced.take().or_else(|| self.choose(logits)).ok_or(RowError::BadLogits)?;
        // Before anything else is done, so that what may follow is found out meanwhile.
        if let Some(guide) = &mut self.guide {
            guide.advance(token);
        }
        self.remember(token);
        if let Some(minimum) = &mut self.minimum {
            minimum.left = minimum.left.saturating_sub(1);
        }
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.choose(token);
        }
        Ok(token)
    }
}

#[expect(clippy::float_cmp, reason = "this is the exact value that switches the penalty off")]
fn penalizes_prompt(sampling: &Sampling) -> bool {
    sampling.repetition_penalty != 1.0
}

fn penalizes(sampling: &Sampling) -> bool {
    penalizes_prompt(sampling) || sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0
}

/// Likeliest first, then by token, so that equal weights have an order too and a seed decides everything.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the sorting functions of slices call it like this")]
fn by_likelihood(left: &Candidate, right: &Candidate) -> Ordering {
    right.weight.total_cmp(&left.weight).then(left.token.cmp(&right.token))
}

/// The token at `point`, from 0 to 1, of the cumulated weights.
fn pick(weights: &[f32], point: f64) -> Option<u32> {
    const STRIDE: usize = 512;
    let mut left = point * weights::total(weights);
    for (stride, part) in weights.chunks(STRIDE).enumerate() {
        let sum = weights::total(part);
        if left >= sum {
            left -= sum;
            continue;
        }
        for (index, &weight) in part.iter().enumerate() {
            left -= f64::from(weight);
            if left < 0.0 {
                return Some((stride * STRIDE + index) as u32);
            }
        }
    }
    // Rounding only: the point was at the very end.
    weights.iter().rposition(|&weight| weight > 0.0).map(|token| token as u32)
}

/// As [`pick`], of candidates.
fn pick_candidate(candidates: &[Candidate], point: f64) -> Option<u32> {
    let mut left = point * candidates.iter().map(|candidate| candidate.weight()).sum::<f64>();
    let chosen = candidates.iter().find(|candidate| {
        left -= candidate.weight();
        left < 0.0
    });
    chosen.or(candidates.last()).map(|candidate| candidate.token)
}

#[cfg(test)]
mod tests;
