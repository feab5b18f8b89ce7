use mlx_gate_core::Sampling;
use mlx_gate_core::decoder::Sampler as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::RowSampler;

const INF: f32 = f32::INFINITY;

fn sampling() -> Sampling {
    Sampling { seed: Some(7), ..Sampling::default() }
}

fn greedy() -> Sampling {
    Sampling { temperature: 0.0, ..Sampling::default() }
}

/// What one fresh sampler chooses.
fn choose(sampling: Sampling, prompt: &[u32], logits: &[f32]) -> Option<u32> {
    RowSampler::new(sampling, prompt).sample(&mut logits.to_vec()).ok()
}

/// How often each token is drawn in `draws` draws.
fn frequencies(sampling: Sampling, logits: &[f32], draws: u32) -> Vec<u32> {
    let mut sampler = RowSampler::new(sampling, &[]);
    let mut counts = vec![0; logits.len()];
    for _ in 0..draws {
        let token = sampler.sample(&mut logits.to_vec()).expect("usable logits");
        counts[token as usize] += 1;
    }
    counts
}

/// Logits whose softmax is these probabilities.
fn logits_of(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|probability| probability.ln()).collect()
}

/// Pearson's statistic of drawn against expected numbers; a token that must not appear fails at once.
fn chi_square(counts: &[u32], expected: &[f32]) -> f32 {
    let draws = counts.iter().sum::<u32>() as f32;
    let mut statistic = 0.0;
    for (token, (&count, probability)) in counts.iter().zip(expected).enumerate() {
        if *probability == 0.0 {
            assert_eq!(count, 0, "token {token} cannot be drawn");
        } else {
            statistic += (count as f32 - draws * probability).powi(2) / (draws * probability);
        }
    }
    statistic
}

fn random_logits(random: &mut ChaCha12Rng, size: usize) -> Vec<f32> {
    (0..size).map(|_| random.random_range(-8.0..8.0)).collect()
}

#[test]
fn draws_follow_the_distribution_each_parameter_leaves() {
    let probabilities = [0.05, 0.4, 0.1, 0.3, 0.15];
    // With temperature 0.5 probabilities are squared and made to add up to 1: the squares add up to 0.285.
    let squared = probabilities.map(|probability| probability * probability / 0.285);
    let cases = [
        ("as it is", sampling(), probabilities),
        ("temperature", Sampling { temperature: 0.5, ..sampling() }, squared),
        ("top-k", Sampling { top_k: 2, ..sampling() }, [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0, 0.0]),
        ("top-p", Sampling { top_p: 0.8, ..sampling() }, [0.0, 8.0 / 17.0, 0.0, 6.0 / 17.0, 3.0 / 17.0]),
        ("min-p", Sampling { min_p: 0.3, ..sampling() }, [0.0, 8.0 / 17.0, 0.0, 6.0 / 17.0, 3.0 / 17.0]),
        // 0.4 and 0.3 are 4/7 and 3/7 after top-k, so half is reached by the first alone.
        ("top-k, then top-p", Sampling { top_k: 2, top_p: 0.5, ..sampling() }, [0.0, 1.0, 0.0, 0.0, 0.0]),
    ];
    for (name, sampling, expected) in cases {
        let statistic = chi_square(&frequencies(sampling, &logits_of(&probabilities), 20_000), &expected);
        // 18.5 is exceeded once in a thousand with 4 degrees of freedom; the seed is fixed, so this never flickers.
        assert!(statistic < 18.5, "{name}: {statistic}");
    }
}

#[test]
fn filters_that_leave_one_token_are_greedy() {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    for _ in 0..500 {
        let size = random.random_range(1..700);
        let logits = random_logits(&mut random, size);
        let expected = choose(greedy(), &[], &logits);
        for sampling in [
            Sampling { top_k: 1, ..sampling() },
            Sampling { top_p: 1e-6, ..sampling() },
            Sampling { min_p: 1.0, ..sampling() },
            Sampling { temperature: 1e-7, ..sampling() },
        ] {
            assert_eq!(choose(sampling.clone(), &[], &logits), expected, "{sampling:?}");
        }
    }
}

#[test]
fn the_nucleus_is_what_a_full_sort_gives() {
    let mut random = ChaCha12Rng::seed_from_u64(4);
    for round in 0..60 {
        // Flat distributions make the nucleus outgrow its first prefixes.
        let spread = [0.01, 1.0, 8.0][round % 3];
        let logits: Vec<f32> = (0..3_000).map(|_| random.random_range(-spread..spread)).collect();
        let top_p = random.random_range(0.05..0.999_f32);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&left, &right| logits[right].total_cmp(&logits[left]));
        let whole: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let mut sum = 0.0;
        let size = 1 + order
            .iter()
            .take_while(|&&token| {
                sum += f64::from(logits[token]).exp() / whole;
                sum < f64::from(top_p)
            })
            .count();
        // One more for rounding between f32 and f64 at the edge.
        let nucleus = &order[..(size + 1).min(order.len())];
        let counts = frequencies(Sampling { top_p, ..sampling() }, &logits, 200);
        for (token, &count) in counts.iter().enumerate() {
            assert!(count == 0 || nucleus.contains(&token), "token {token} is outside of top-p {top_p}");
        }
    }
}

#[test]
fn a_seed_decides_everything() {
    let mut random = ChaCha12Rng::seed_from_u64(5);
    let steps: Vec<Vec<f32>> = (0..50).map(|_| random_logits(&mut random, 300)).collect();
    let answer = |seed| {
        let parameters = Sampling {
            seed,
            top_k: 50,
            top_p: 0.95,
            repetition_penalty: 1.1,
            presence_penalty: 0.5,
            ..sampling()
        };
        let mut sampler = RowSampler::new(parameters, &[1, 2, 3]);
        steps.iter().map(|logits| sampler.sample(&mut logits.clone())).collect::<Vec<_>>()
    };
    assert_eq!(answer(Some(1)), answer(Some(1)));
    assert_ne!(answer(Some(1)), answer(Some(2)));
    assert_ne!(answer(None), answer(None), "without a seed answers differ");
}

#[test]
fn unusable_logits_are_never_chosen() {
    for temperature in [0.0, 1.0] {
        let parameters = Sampling { temperature, ..sampling() };
        let choose = |logits: &[f32]| choose(parameters.clone(), &[], logits);
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[f32::NAN, -INF, f32::NAN]), None);
        assert_eq!(choose(&[f32::NAN, -INF, -1e30, f32::NAN]), Some(2));
        assert_eq!(choose(&[0.0, INF, f32::NAN]), Some(1));
        assert_eq!(choose(&[f32::MIN, f32::MIN, f32::MAX]), Some(2));
    }
}

#[test]
fn equally_likely_tokens_are_taken_in_order_when_greedy() {
    assert_eq!(choose(greedy(), &[], &[1.0, 3.0, 3.0]), Some(1));
}

#[test]
fn repetition_penalty_counts_prompt_and_answer() {
    let parameters = Sampling { repetition_penalty: 2.0, ..greedy() };
    assert_eq!(choose(parameters.clone(), &[0], &[3.0, 2.0]), Some(1), "3 / 2 is below 2");
    assert_eq!(choose(parameters.clone(), &[0], &[-1.0, -1.5]), Some(1), "-1 * 2 is below -1.5");
    let mut sampler = RowSampler::new(parameters, &[]);
    let answer: Vec<_> = (0..3).map(|_| sampler.sample(&mut [4.0, 3.0])).collect();
    assert_eq!(answer, [Ok(0), Ok(1), Ok(0)], "4, then 3 against 4 / 2, then 4 / 2 against 3 / 2");
}

#[test]
fn presence_and_frequency_penalties_count_the_answer_only() {
    let presence = Sampling { presence_penalty: 1.0, ..greedy() };
    assert_eq!(choose(presence.clone(), &[0], &[1.5, 1.0]), Some(0), "the prompt does not count");
    let three = |parameters| {
        let mut sampler = RowSampler::new(parameters, &[0]);
        [(); 4].map(|()| sampler.sample(&mut [1.5, 1.0]).expect("usable logits"))
    };
    assert_eq!(three(presence), [0, 1, 0, 0], "once present, more makes no difference");
    let frequency = Sampling { frequency_penalty: 1.0, ..greedy() };
    assert_eq!(three(frequency), [0, 1, 0, 1], "each time costs again");
}

#[test]
fn bias_moves_the_choice_and_ignores_what_is_outside() {
    let parameters = Sampling { logit_bias: vec![(1, 100.0), (99, 100.0)], ..greedy() };
    assert_eq!(choose(parameters, &[], &[50.0, 0.0]), Some(1));
    let parameters = Sampling { logit_bias: vec![(0, -100.0)], ..sampling() };
    let counts = frequencies(parameters, &[2.0, 1.0, 1.0], 1_000);
    assert_eq!(counts[0], 0);
}

/// Softmax as the textbook has it: e^x / sum(e^x), in f64.
fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let numbers = || logits.iter().map(|&logit| f64::from(logit).exp()).filter(|power| !power.is_nan());
    let sum: f64 = numbers().sum();
    logits.iter().map(|&logit| (f64::from(logit).exp() / sum).ln() as f32).collect()
}

#[test]
fn log_probabilities_are_those_of_the_logits_as_they_came() {
    let logits = [1.0, -2.5, 4.0, 4.0, f32::NAN, -INF, 0.0];
    let expected = log_softmax(&logits);
    // By hand: e^1 + e^-2.5 + 2 e^4 + e^0 = 112.997, whose logarithm is 4.72735.
    assert!((expected[2] - (4.0 - 4.727_35)).abs() < 1e-4, "{expected:?}");
    let altered = Sampling {
        temperature: 0.3,
        top_k: 1,
        logit_bias: vec![(6, 100.0)],
        repetition_penalty: 1.5,
        presence_penalty: 1.0,
        ..sampling()
    };
    for (parameters, token) in [(greedy(), 2), (altered, 6)] {
        let mut sampler = RowSampler::new(parameters, &[2]).with_logprobs(Some(3));
        for _ in 0..2 {
            assert_eq!(sampler.sample(&mut logits.to_vec()), Ok(token));
            let chosen = sampler.take_logprobs().expect("asked for");
            assert!((chosen.logprob - expected[token as usize]).abs() < 1e-6, "{chosen:?}");
            assert_eq!(chosen.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2, 3, 0]);
            for (token, logprob) in chosen.top {
                assert!((logprob - expected[token as usize]).abs() < 1e-6, "{token}: {logprob}");
            }
            assert_eq!(sampler.take_logprobs(), None, "each is given once");
        }
    }
}

#[test]
fn the_likeliest_tokens_are_what_a_full_sort_gives() {
    let mut random = ChaCha12Rng::seed_from_u64(9);
    for top in [0, 1, 5, 20] {
        let logits = random_logits(&mut random, 1_000);
        let mut sampler = RowSampler::new(sampling(), &[]).with_logprobs(Some(top));
        sampler.sample(&mut logits.clone()).expect("usable logits");
        let mut sorted: Vec<u32> = (0..1_000).collect();
        sorted.sort_by(|left, right| logits[*right as usize].total_cmp(&logits[*left as usize]));
        let given = sampler.take_logprobs().expect("asked for").top;
        assert_eq!(given.iter().map(|(token, _)| *token).collect::<Vec<_>>(), sorted[..top as usize]);
    }
    let mut few = RowSampler::new(greedy(), &[]).with_logprobs(Some(5));
    few.sample(&mut [-INF, 1.0, f32::NAN]).expect("one is usable");
    assert_eq!(few.take_logprobs().expect("asked for").top, [(1, 0.0)], "no more have a probability");
}
