//! When answers end, and what of their end is shown.

use mlx_gate_core::{EndRules, Event, FinishReason, Request, SamplingOverrides};

use super::{engine, events, finished, shown, text};
use crate::Config;
use crate::fake::{self, END};

/// What a model that says `ab.cd` and then nothing but its end is asked for.
fn asked(end: EndRules) -> Request {
    let sampling = SamplingOverrides { temperature: Some(0.0), ..SamplingOverrides::default() };
    Request { sampling, end, max_output_tokens: Some(8), token_ids: true, ..text("p") }
}

fn stop(strings: &[&str], request: Request) -> Request {
    Request { stop: strings.iter().map(|&string| string.to_owned()).collect(), ..request }
}

#[tokio::test]
async fn an_answer_ends_where_it_is_told_to() {
    const DOT: u32 = b'.' as u32;
    let rules = EndRules::default;
    let cases = [
        (asked(rules()), "ab.cd", 6, FinishReason::Stop),
        (asked(EndRules { ignores_model: true, ..rules() }), "ab.cd", 8, FinishReason::Length),
        // Where the end is taken away, all else is equally likely, and the first token is a byte that is 0.
        (asked(EndRules { min_tokens: 5, ..rules() }), "ab.cd", 6, FinishReason::Stop),
        (asked(EndRules { min_tokens: 7, ..rules() }), "ab.cd\0\0", 8, FinishReason::Stop),
        (asked(EndRules { min_tokens: 8, ..rules() }), "ab.cd\0\0\0", 8, FinishReason::Length),
        (
            asked(EndRules { min_tokens: 6, ignores_model: true, ..rules() }),
            "ab.cd\0",
            8,
            FinishReason::Length,
        ),
        (asked(EndRules { tokens: vec![DOT, DOT], ..rules() }), "ab", 3, FinishReason::Stop),
        (asked(EndRules { tokens: vec![DOT], shown: true, ..rules() }), "ab.", 3, FinishReason::Stop),
        (asked(EndRules { tokens: vec![DOT], min_tokens: 4, ..rules() }), "ab\0cd", 6, FinishReason::Stop),
        (asked(EndRules { tokens: vec![DOT], ignores_model: true, ..rules() }), "ab", 3, FinishReason::Stop),
        (stop(&["b."], asked(rules())), "a", 3, FinishReason::Stop),
        (stop(&["b.", "x"], asked(EndRules { shown: true, ..rules() })), "ab.", 3, FinishReason::Stop),
        // What ends behind the least length counts, also where it begins before.
        (stop(&["b."], asked(EndRules { min_tokens: 2, ..rules() })), "a", 3, FinishReason::Stop),
        (stop(&["b."], asked(EndRules { min_tokens: 3, ..rules() })), "ab.cd", 6, FinishReason::Stop),
        (
            Request { special_tokens: true, ..asked(EndRules { ignores_model: true, ..rules() }) },
            "ab.cd<|end|><|end|><|end|>",
            8,
            FinishReason::Length,
        ),
        (
            Request { special_tokens: true, ..asked(EndRules { shown: true, ..rules() }) },
            "ab.cd<|end|>",
            6,
            FinishReason::Stop,
        ),
        (Request { special_tokens: true, ..asked(rules()) }, "ab.cd", 6, FinishReason::Stop),
    ];
    for (request, expected, length, ending) in cases {
        let engine = engine(Config::default(), fake::says("ab.cd"));
        let said = events(&engine, request.clone()).await;
        assert_eq!(shown(&said), expected, "{request:?}");
        let (reason, usage) = finished(&said);
        assert_eq!((reason, usage.output_tokens), (ending, length), "{request:?}");
        let told = said.iter().flat_map(|event| match event {
            Event::Tokens(tokens) => tokens.clone(),
            _ => Vec::new(),
        });
        let told: Vec<u32> = told.collect();
        assert_eq!(told.len(), length as usize, "every token is told: {told:?}");
        let own_end = ending == FinishReason::Stop && length >= 6;
        assert_eq!(told.contains(&END), own_end || request.end.ignores_model && length > 6, "{told:?}");
    }
}
