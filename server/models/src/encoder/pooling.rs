//! From the hidden states of a text's tokens to one vector: sentence-transformers' `Pooling`.
//!
//! It is a few additions a token, so it is done on the host, in f32, where padding never comes into it.

/// One way to pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The first token's.
    Cls,
    /// The largest of each feature.
    Max,
    Mean,
    /// The sum, divided by the square root of the number of tokens.
    MeanSqrtLength,
    /// The mean in which the n-th token counts n times (Muennighoff 2022).
    WeightedMean,
    /// The last token's.
    LastToken,
}

impl Mode {
    /// Every mode: its name as `pooling_mode`, and its key from when each had one of its own. Several modes follow one
    /// another in this order.
    pub(super) const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Cls, "cls", "pooling_mode_cls_token"),
        (Self::Max, "max", "pooling_mode_max_tokens"),
        (Self::Mean, "mean", "pooling_mode_mean_tokens"),
        (Self::MeanSqrtLength, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"),
        (Self::WeightedMean, "weightedmean", "pooling_mode_weightedmean_tokens"),
        (Self::LastToken, "lasttoken", "pooling_mode_lasttoken"),
    ];

    /// The vector of hidden states `[tokens, width]`.
    pub(super) fn pool(self, hidden: &[f32], width: usize) -> Vec<f32> {
        let mut tokens = hidden.chunks_exact(width);
        let count = tokens.len() as f32;
        match self {
            Self::Cls => tokens.next().map(<[f32]>::to_vec).unwrap_or_default(),
            Self::LastToken => tokens.next_back().map(<[f32]>::to_vec).unwrap_or_default(),
            Self::Max => {
                let lowest = vec![f32::NEG_INFINITY; width];
                tokens.fold(lowest, |most, token| most.iter().zip(token).map(|(a, b)| a.max(*b)).collect())
            }
            Self::Mean => weighted(tokens, width, |_| 1.0, count),
            Self::MeanSqrtLength => weighted(tokens, width, |_| 1.0, count.sqrt()),
            Self::WeightedMean => {
                weighted(tokens, width, |place| place as f32 + 1.0, count * (count + 1.0) / 2.0)
            }
        }
    }
}

fn weighted<'a>(
    tokens: impl Iterator<Item = &'a [f32]>,
    width: usize,
    weight: impl Fn(usize) -> f32,
    divisor: f32,
) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for (place, token) in tokens.enumerate() {
        let weight = weight(place);
        for (sum, feature) in sum.iter_mut().zip(token) {
            *sum += weight * feature;
        }
    }
    sum.into_iter().map(|sum| sum / divisor).collect()
}

#[cfg(test)]
mod tests {
    use super::Mode;

    #[test]
    fn each_mode_pools_in_its_way() {
        let hidden = [1.0, -2.0, 3.0, 4.0, 5.0, -6.0];
        for (mode, expected) in [
            (Mode::Cls, [1.0, -2.0]),
            (Mode::Max, [5.0, 4.0]),
            (Mode::Mean, [3.0, -4.0 / 3.0]),
            (Mode::MeanSqrtLength, [9.0 / 3.0_f32.sqrt(), -4.0 / 3.0_f32.sqrt()]),
            (Mode::WeightedMean, [22.0 / 6.0, -12.0 / 6.0]),
            (Mode::LastToken, [5.0, -6.0]),
        ] {
            assert_eq!(mode.pool(&hidden, 2), expected, "{mode:?}");
        }
    }
}
