//! How likely a prompt's own tokens were.

use mlx_gate_core::{PromptLogprobs, TokenLogprob};

use super::*;

fn scored(events: &[Event]) -> &PromptLogprobs {
    match events {
        [Event::Started { .. }, Event::PromptLogprobs(logprobs), rest @ ..] => {
            assert!(!rest.iter().any(|event| matches!(event, Event::PromptLogprobs(_))), "only once");
            logprobs
        }
        other => panic!("no log probabilities of the prompt behind the start: {other:?}"),
    }
}

fn generated(events: &[Event]) -> Vec<TokenLogprob> {
    let tokens =
        |event: &Event| if let Event::Logprobs(tokens) = event { tokens.clone() } else { Vec::new() };
    events.iter().flat_map(tokens).collect()
}

/// Temperature 0, so that the likeliest token is chosen.
fn greedy(tokens: &[u32]) -> Request {
    let sampling = SamplingOverrides { temperature: Some(0.0), ..SamplingOverrides::default() };
    Request { sampling, ..request(Prompt::Tokens(tokens.to_vec())) }
}

fn near(one: &TokenLogprob, other: &TokenLogprob) -> bool {
    let top = |token: &TokenLogprob| token.top.iter().map(|(token, ..)| *token).collect::<Vec<_>>();
    one.token == other.token && (one.logprob - other.logprob).abs() < 1e-4 && top(one) == top(other)
}

#[tokio::test]
async fn what_a_model_said_is_as_likely_as_a_prompt() {
    // Chunks, and the whole prompt at once.
    for prefill_chunk in [3, 512] {
        let engine = engine(Config { prefill_chunk, ..Config::default() }, fake::rambles(5));
        let begin = fake::tokens("Once");
        let asked = Request { logprobs: Some(4), max_output_tokens: Some(10), ..greedy(&begin) };
        let generated = generated(&events(&engine, asked).await);
        assert_eq!(generated.len(), 10);
        let whole: Vec<u32> = begin.into_iter().chain(generated.iter().map(|token| token.token)).collect();
        let read = Request { prompt_logprobs: Some(4), max_output_tokens: Some(0), ..greedy(&whole) };
        let events = events(&engine, read).await;
        let logprobs = scored(&events);
        assert_eq!(logprobs.first, (u32::from(b'O'), b"O".to_vec()));
        assert_eq!(logprobs.rest.iter().map(|token| token.token).collect::<Vec<_>>(), whole[1..]);
        for (one, other) in logprobs.rest[3..].iter().zip(&generated) {
            assert!(near(one, other), "{one:?}, and when it was generated {other:?}");
        }
        let usage = Usage { input_tokens: 14, ..Usage::default() };
        assert_eq!(finished(&events), (FinishReason::Length, usage));
        assert_eq!(events.len(), 3, "nothing is said: {events:?}");
    }
}

#[tokio::test]
async fn every_choice_has_them_and_goes_on() {
    let engine = engine(Config::default(), fake::says("Hi"));
    for (prompt, others) in [("abc", 2), ("a", 0)] {
        let asked = Request { choices: 3, prompt_logprobs: Some(0), ..text(prompt) };
        let prepared = engine.prepare(asked).await.expect("nothing is wrong with it");
        for stream in engine.start(prepared, &Tags::default()).expect("there is a place") {
            let events: Vec<Event> = stream.collect().await;
            assert_eq!(scored(&events).rest.len(), others);
            assert_eq!(shown(&events), "Hi");
        }
    }
}
