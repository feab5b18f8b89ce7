//! Arithmetic over a whole vocabulary, written so that the compiler can use vector instructions: eight running values
//! instead of one, no calls and no branches inside.

use std::f32::consts::LOG2_E;

const LANES: usize = 8;

/// e^x is a normal f32 down to about here; anything below has no chance of being drawn.
const LOWEST_EXPONENT: f32 = -87.0;

/// The largest number. NaN and minus infinity are none, and give minus infinity where there is nothing else.
pub(super) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &value| if value > most { value } else { most })
}

/// The sum, in f64: the nucleus depends on small differences of it.
pub(super) fn total(weights: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = weights.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &weight) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(weight);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&weight| f64::from(weight)).sum::<f64>()
}

/// Turns logits into weights: the probability of each as a multiple of that of the likeliest, so from 0 to 1. Weights
/// below `min_p`, and those of NaN and minus infinity, become 0. Plus infinity counts as the largest finite number.
pub(super) fn weigh(logits: &mut [f32], likeliest: f32, temperature: f32, min_p: f32) {
    let lowest = min_p.ln().max(LOWEST_EXPONENT);
    let likeliest = likeliest.min(f32::MAX);
    for logit in logits {
        // `f32::min` would make a number of NaN.
        let finite = if *logit > f32::MAX { f32::MAX } else { *logit };
        let exponent = (finite - likeliest) / temperature;
        let weight = exp(exponent);
        *logit = if exponent >= lowest { weight } else { 0.0 };
    }
}

/// e^x for x from [`LOWEST_EXPONENT`] to 0, to the last bit or two; nonsense for other x. The method is that of `expf`
/// in Moshier's Cephes library: e^x = 2^n * e^r with |r| <= ln(2) / 2, and a polynomial for e^r.
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    const TO_INTEGER: f32 = 12_582_912.0;
    const ONE: u32 = 1.0_f32.to_bits();
    let shifted = x * LOG2_E + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    // ln(2) in two parts, the first of which has so few bits that its product with n is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(ONE));
    p * power
}

#[cfg(test)]
mod tests {
    use super::{LOWEST_EXPONENT, exp, largest, total, weigh};

    #[test]
    fn exp_is_exp() {
        for step in 0..=8_700_000 {
            let x = LOWEST_EXPONENT * (step as f32 / 8_700_000.0);
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "e^{x} is wrong by {error:e}");
        }
        assert_eq!(exp(0.0).to_bits(), 1.0_f32.to_bits());
    }

    #[test]
    fn largest_and_total_see_every_position() {
        for length in 0..40 {
            for at in 0..length {
                let mut values = vec![f32::NAN; length];
                assert_eq!(largest(&values).to_bits(), f32::NEG_INFINITY.to_bits());
                values[at] = -3.0;
                assert_eq!(largest(&values).to_bits(), (-3.0_f32).to_bits());
                let mut weights = vec![0.0; length];
                weights[at] = 0.5;
                assert!((total(&weights) - 0.5).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn weights_are_relative_to_the_likeliest() {
        let mut logits = [2.0, 1.0, f32::NAN, f32::NEG_INFINITY, -200.0];
        weigh(&mut logits, 2.0, 1.0, 0.0);
        assert_eq!(logits.map(|weight| (weight * 1000.0).round() as u32), [1000, 368, 0, 0, 0]);
        weigh(&mut logits, 1.0, 1.0, 0.9);
        assert_eq!(logits.map(|weight| (weight * 1000.0).round() as u32), [1000, 0, 0, 0, 0]);
    }
}
