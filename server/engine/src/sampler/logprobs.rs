use mlx_gate_core::decoder::Scored;

use super::weights;

/// What one row's sampler finds out about the log probabilities of its tokens.
///
/// They are those of the logits as the model gives them, before bias, penalties, temperature and whatever else decides
/// which token is taken: vLLM's `raw_logprobs`.
pub(super) struct Logprobs {
    /// How many of the likeliest tokens to name.
    top: usize,
    /// These two are kept between tokens for their allocations only.
    logits: Vec<f32>,
    weights: Vec<f32>,
    chosen: Option<Scored>,
}

impl Logprobs {
    pub(super) const fn new(top: usize) -> Self {
        Self { top, logits: Vec::new(), weights: Vec::new(), chosen: None }
    }

    /// Looks at the logits before anything is done to them.
    pub(super) fn observe(&mut self, logits: &[f32]) {
        self.logits.clear();
        self.logits.extend_from_slice(logits);
    }

    /// Notes the token that was chosen from what was observed.
    pub(super) fn choose(&mut self, token: u32) {
        let likeliest = weights::largest(&self.logits).min(f32::MAX);
        self.weights.clone_from(&self.logits);
        weights::weigh(&mut self.weights, likeliest, 1.0, 0.0);
        // log softmax(x) = x - max - log(sum(e^(x - max)))
        let normalizer = f64::from(likeliest) + weights::total(&self.weights).ln();
        let logprob = |logit: f32| (f64::from(logit.min(f32::MAX)) - normalizer).min(0.0) as f32;
        let chosen = self.logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let top = self.likeliest().into_iter().map(|(token, logit)| (token, logprob(logit))).collect();
        self.chosen = Some(Scored { logprob: logprob(chosen), top });
    }

    pub(super) fn take(&mut self) -> Option<Scored> {
        self.chosen.take()
    }

    /// The tokens with the largest logits. One pass: after the first few hardly any token is above the least of them.
    fn likeliest(&self) -> Vec<(u32, f32)> {
        let mut top: Vec<(u32, f32)> = Vec::with_capacity(self.top + 1);
        if self.top == 0 {
            return top;
        }
        let mut least = f32::NEG_INFINITY;
        for (token, &logit) in (0u32..).zip(&self.logits) {
            // NaN is not above anything.
            if logit > least {
                let at = top.partition_point(|&(_, above)| above >= logit);
                top.insert(at, (token, logit));
                if top.len() > self.top {
                    top.pop();
                }
                if top.len() == self.top {
                    least = top[self.top - 1].1;
                }
            }
        }
        top
    }
}
