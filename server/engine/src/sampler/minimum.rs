use super::weights;

/// Keeps an answer from ending before it has enough tokens.
pub(super) struct Minimum {
    /// Tokens that have to come before the end.
    pub(super) left: u32,
    /// Tokens that end it, each once.
    ends: Vec<u32>,
}

impl Minimum {
    pub(super) fn new(left: u32, ends: impl IntoIterator<Item = u32>) -> Self {
        let mut ends: Vec<u32> = ends.into_iter().collect();
        ends.sort_unstable();
        ends.dedup();
        Self { left, ends }
    }

    /// Takes away the tokens that end the answer, as long as more have to come before them, and gives the largest logit of
    /// what is left. Where nothing else is possible, because a grammar is at its end, they stay.
    pub(super) fn keep_going(&self, logits: &mut [f32]) -> f32 {
        let largest = weights::largest(logits);
        if self.left == 0 {
            return largest;
        }
        let mut taken = Vec::with_capacity(self.ends.len());
        for &end in &self.ends {
            if let Some(logit) = logits.get_mut(end as usize) {
                taken.push((end as usize, std::mem::replace(logit, f32::NEG_INFINITY)));
            }
        }
        let others = weights::largest(logits);
        if others > f32::NEG_INFINITY {
            return others;
        }
        for (end, logit) in taken {
            logits[end] = logit;
        }
        largest
    }
}
