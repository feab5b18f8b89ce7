//! What a decoder's rows promise, on the tiny models of `parity/fixtures`: independence of neighbours, of how a prompt is
//! cut, of what was trimmed away; errors that stay with their row.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlx_gate_core::Decoder;
use mlx_gate_core::decoder::{Pick, RowError, RowId, RowStep, Sampler, Score, Scored};
use mlx_gate_models::{LoadOptions, ModelRef, load};

const MODELS: [&str; 3] = ["llama_sliding_window", "qwen2_yarn", "qwen3_q4"];

fn decoder(model: &str) -> Box<dyn Decoder> {
    let folder = format!("{}/tests/parity/fixtures/{model}", env!("CARGO_MANIFEST_DIR"));
    let source = ModelRef::parse(&folder).unwrap().fetch().unwrap();
    load(&source, LoadOptions::default()).unwrap().into_decoder().unwrap()
}

/// A prompt of its own for every `seed`.
fn prompt(seed: u32, length: u32) -> Vec<u32> {
    (0..length).map(|place| (place * place + 31 * seed + 7 * place) % 96).collect()
}

fn step<'a>(
    decoder: &mut dyn Decoder,
    row: RowId,
    tokens: &'a [u32],
    pick: Pick<'a>,
) -> Result<Option<u32>, RowError> {
    decoder.step(&mut [RowStep { row, tokens, pick, score: None }]).unwrap().remove(0)
}

/// Appends tokens and gives back the logits that follow.
fn logits(decoder: &mut dyn Decoder, row: RowId, tokens: &[u32]) -> Vec<f32> {
    struct Copy(Vec<f32>);
    impl Sampler for Copy {
        fn sample(&mut self, logits: &mut [f32]) -> Result<u32, RowError> {
            self.0 = logits.to_vec();
            Ok(0)
        }
    }
    let mut copy = Copy(Vec::new());
    step(decoder, row, tokens, Pick::Sample(&mut copy)).unwrap();
    copy.0
}

fn greedy(decoder: &mut dyn Decoder, row: RowId, tokens: &[u32], count: usize) -> Vec<u32> {
    let mut chosen = vec![step(decoder, row, tokens, Pick::Greedy).unwrap().unwrap()];
    while chosen.len() < count {
        let last = [*chosen.last().unwrap()];
        chosen.push(step(decoder, row, &last, Pick::Greedy).unwrap().unwrap());
    }
    chosen
}

fn assert_close(ours: &[f32], theirs: &[f32]) {
    let largest = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-4, "logits differ by {largest}");
}

#[test]
fn a_prompt_may_come_in_chunks() {
    for model in MODELS {
        let mut decoder = decoder(model);
        let prompt = prompt(1, 40);
        let whole = decoder.open().unwrap();
        let expected = logits(decoder.as_mut(), whole, &prompt);
        for chunk in [1, 7, 16, 39] {
            let row = decoder.open().unwrap();
            let (head, tail) = prompt.split_at(39);
            for tokens in head.chunks(chunk) {
                assert_eq!(step(decoder.as_mut(), row, tokens, Pick::Nothing).unwrap(), None);
            }
            assert_close(&logits(decoder.as_mut(), row, tail), &expected);
        }
    }
}

#[test]
fn a_trimmed_row_goes_on_as_if_the_rest_had_never_been() {
    for model in MODELS {
        let mut decoder = decoder(model);
        let (kept, other) = (prompt(2, 25), prompt(3, 12));
        let fresh = decoder.open().unwrap();
        let expected = greedy(decoder.as_mut(), fresh, &kept, 20);
        let row = decoder.open().unwrap();
        step(decoder.as_mut(), row, &kept[..20], Pick::Nothing).unwrap();
        greedy(decoder.as_mut(), row, &other, 30);
        decoder.trim(row, 20).unwrap();
        assert_eq!(greedy(decoder.as_mut(), row, &kept[20..], 20), expected, "{model}");
        decoder.trim(row, 0).unwrap();
        assert_eq!(greedy(decoder.as_mut(), row, &kept, 20), expected, "{model}");
    }
}

#[test]
fn a_fork_goes_on_as_a_row_of_its_own_would_and_leaves_its_source_alone() {
    for model in MODELS {
        let mut decoder = decoder(model);
        let (kept, one, other) = (prompt(2, 25), prompt(3, 12), prompt(4, 5));
        let mut alone = |after: &[u32]| {
            let row = decoder.open().unwrap();
            greedy(decoder.as_mut(), row, &[&kept[..], after].concat(), 20)
        };
        let expected = [alone(&one), alone(&other), alone(&[])];
        let source = decoder.open().unwrap();
        step(decoder.as_mut(), source, &kept, Pick::Nothing).unwrap();
        let fork = decoder.fork(source, 25).unwrap();
        let mut said = greedy(decoder.as_mut(), fork, &one, 10);
        // The source goes on, and what it says is not in what is forked from it later.
        assert_eq!(greedy(decoder.as_mut(), source, &other, 20), expected[1], "{model}");
        let late = decoder.fork(source, 24).unwrap();
        assert_eq!(greedy(decoder.as_mut(), late, &kept[24..], 20), expected[2], "{model}");
        decoder.close(source);
        said.extend(greedy(decoder.as_mut(), fork, &said[9..], 10));
        assert_eq!(said, expected[0], "{model}");
    }
}

/// Log probabilities, and the likeliest tokens.
fn log_softmax(logits: &[f32]) -> (Vec<f64>, Vec<u32>) {
    let sum = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|one, other| logits[*other as usize].total_cmp(&logits[*one as usize]));
    (logits.iter().map(|&logit| f64::from(logit) - sum).collect(), order)
}

#[test]
fn a_prompt_is_scored_by_the_logits_before_each_of_its_tokens() {
    const TOP: usize = 5;
    for model in MODELS {
        let mut decoder = decoder(model);
        let prompt = prompt(9, 75);
        let row = decoder.open().unwrap();
        let expected: Vec<_> =
            prompt[..74].iter().map(|token| log_softmax(&logits(decoder.as_mut(), row, &[*token]))).collect();
        for (chunk, top) in [(75, TOP), (40, TOP), (7, TOP), (1, TOP), (75, 0)] {
            let row = decoder.open().unwrap();
            let mut found: Vec<Scored> = Vec::new();
            for start in (0..prompt.len()).step_by(chunk) {
                let end = prompt.len().min(start + chunk);
                let score = Score { next: prompt.get(end).copied(), top: top as u32, found: &mut found };
                let pick = if end == prompt.len() { Pick::Greedy } else { Pick::Nothing };
                let step = RowStep { row, tokens: &prompt[start..end], pick, score: Some(score) };
                decoder.step(&mut [step]).unwrap().remove(0).unwrap();
            }
            assert_eq!(found.len(), 74, "{model}, chunks of {chunk}");
            for ((place, scored), (logprobs, order)) in found.iter().enumerate().zip(&expected) {
                let near = |ours: f32, token: u32| (f64::from(ours) - logprobs[token as usize]).abs() < 1e-4;
                assert!(near(scored.logprob, prompt[place + 1]), "{model}, place {place}: {scored:?}");
                assert_eq!(scored.top.len(), top);
                for (rank, &(token, logprob)) in scored.top.iter().enumerate() {
                    // Where two are equally likely but for rounding, they may change places.
                    assert!(
                        near(logprob, token) && near(logprob, order[rank]),
                        "{model}, {place}: {scored:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_may_go_on_with_another_token_than_the_one_chosen() {
    for model in MODELS {
        let mut decoder = decoder(model);
        let prompt = prompt(8, 11);
        let row = decoder.open().unwrap();
        let chosen = greedy(decoder.as_mut(), row, &prompt, 6);
        let other = (chosen[5] + 1) % 96;
        let fresh = decoder.open().unwrap();
        let whole = [&prompt[..], &chosen[..5], &[other]].concat();
        let expected = greedy(decoder.as_mut(), fresh, &whole, 12);
        assert_eq!(greedy(decoder.as_mut(), row, &[other], 12), expected, "{model}");
    }
}

#[test]
fn rows_do_not_notice_each_other() {
    for model in MODELS {
        let mut decoder = decoder(model);
        let prompts = [prompt(4, 9), prompt(5, 1), prompt(6, 30)];
        let alone: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| {
                let row = decoder.open().unwrap();
                let tokens = greedy(decoder.as_mut(), row, prompt, 24);
                decoder.close(row);
                tokens
            })
            .collect();
        let rows = prompts.each_ref().map(|_| decoder.open().unwrap());
        let mut next = prompts.to_vec();
        let mut together = vec![Vec::new(); prompts.len()];
        for _ in 0..24 {
            let mut steps: Vec<RowStep<'_>> = rows
                .iter()
                .zip(&next)
                .map(|(row, tokens)| RowStep { row: *row, tokens, pick: Pick::Greedy, score: None })
                .collect();
            let chosen = decoder.step(&mut steps).unwrap();
            for (index, token) in chosen.into_iter().enumerate() {
                let token = token.unwrap().unwrap();
                together[index].push(token);
                next[index] = vec![token];
            }
        }
        assert_eq!(together, alone, "{model}");
    }
}

#[test]
fn a_row_grows_past_the_step_of_its_cache() {
    let mut decoder = decoder("qwen3_tied");
    let context = decoder.facts().context_length;
    let row = decoder.open().unwrap();
    let tokens = prompt(7, context - 1);
    step(decoder.as_mut(), row, &tokens[..200], Pick::Nothing).unwrap();
    step(decoder.as_mut(), row, &tokens[200..], Pick::Nothing).unwrap();
    let last = logits(decoder.as_mut(), row, &[5]);
    let again = decoder.open().unwrap();
    assert_close(&logits(decoder.as_mut(), again, &[tokens, vec![5]].concat()), &last);
    assert_eq!(step(decoder.as_mut(), row, &[1], Pick::Greedy), Err(RowError::ContextFull(context)));
}

#[test]
fn bad_tokens_are_refused_and_neighbours_go_on() {
    let mut decoder = decoder("llama_grouped");
    let (good, bad, empty) = (decoder.open().unwrap(), decoder.open().unwrap(), decoder.open().unwrap());
    let mut steps = [
        RowStep { row: bad, tokens: &[3, 96], pick: Pick::Greedy, score: None },
        RowStep { row: good, tokens: &[3, 4], pick: Pick::Greedy, score: None },
        RowStep { row: empty, tokens: &[], pick: Pick::Greedy, score: None },
        RowStep { row: RowId(999), tokens: &[1], pick: Pick::Greedy, score: None },
    ];
    let results = decoder.step(&mut steps).unwrap();
    assert_eq!(results[0], Err(RowError::BadTokens("token 96 is outside the vocabulary of 96".into())));
    assert!(matches!(results[1], Ok(Some(_))));
    assert_eq!(results[2], Err(RowError::BadTokens("no tokens were given".into())));
    assert_eq!(results[3], Err(RowError::Unknown(RowId(999))));
}

#[test]
fn a_sampler_without_a_choice_fails_its_row_only() {
    struct Undecided;
    impl Sampler for Undecided {
        fn sample(&mut self, _: &mut [f32]) -> Result<u32, RowError> {
            Err(RowError::BadLogits)
        }
    }
    let mut decoder = decoder("llama_grouped");
    let (undecided, decided) = (decoder.open().unwrap(), decoder.open().unwrap());
    let mut steps = [
        RowStep { row: undecided, tokens: &[3], pick: Pick::Sample(&mut Undecided), score: None },
        RowStep { row: decided, tokens: &[3], pick: Pick::Greedy, score: None },
    ];
    let results = decoder.step(&mut steps).unwrap();
    assert_eq!(results[0], Err(RowError::BadLogits));
    assert!(matches!(results[1], Ok(Some(_))));
}

#[test]
fn closed_rows_are_gone_and_their_ids_are_not_used_again() {
    let mut decoder = decoder("llama_grouped");
    let first = decoder.open().unwrap();
    decoder.close(first);
    decoder.close(first);
    assert_ne!(decoder.open().unwrap(), first);
    assert_eq!(step(decoder.as_mut(), first, &[1], Pick::Greedy), Err(RowError::Unknown(first)));
    assert!(decoder.trim(first, 0).is_err());
    assert!(decoder.fork(first, 0).is_err());
}
