use mlx_gate_core::{OutputFormat, ReasoningSyntax, ToolSyntax};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::*;
use crate::output::OutputParser;
use crate::stop::tests::cut;

const FORMAT: OutputFormat = OutputFormat {
    tools: Some(ToolSyntax::Hermes),
    reasoning: Some(ReasoningSyntax::Think),
    reasoning_open: false,
    text_is_bound: false,
};

const FRAGMENTS: &[&str] = &[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b\\n\\nab\"}}</tool_call>",
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {",
    "<t",
    "\n",
    "\n\n",
    " ",
    "a",
    "b",
    "ab",
    "aba",
    "é",
];

const STOPS: &[&str] = &["\n", "\n\n", "ab", "bab", "a b", "<", "<tool", "think>", "é", "b\n", "{"];

/// What is shown, a run of pieces of the same kind as one, and the tokens that are told of.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    runs: Vec<(char, String)>,
    tokens: Vec<u32>,
    stop: Option<String>,
}

impl Shown {
    fn add(&mut self, event: &Event) {
        let (kind, text) = match event {
            Event::Text(text) => ('t', text),
            Event::Reasoning(text) => ('r', text),
            Event::ToolCall(delta) => ('c', &delta.arguments),
            Event::Logprobs(tokens) => {
                self.tokens.extend(tokens.iter().map(|token| token.token));
                return;
            }
            other => panic!("not a piece of an answer: {other:?}"),
        };
        match self.runs.last_mut() {
            Some((last, run)) if *last == kind => run.push_str(text),
            _ => self.runs.push((kind, text.clone())),
        }
    }
}

/// By the rule, over all pieces at once: in each run of text the stop string counts that is complete first, of several the
/// longest, and a token is told of if it begins in front of it.
fn expected(tokens: &[&str], stop: &[String]) -> Shown {
    let pieces = parsed(&[&tokens.concat()]);
    let mut shown = Shown::default();
    // Each byte of the run of text that goes on, with its place.
    let mut run: Vec<(u8, usize)> = Vec::new();
    let mut end = usize::MAX;
    'pieces: for Piece { event, source } in &pieces {
        let Event::Text(text) = event else {
            run.clear();
            shown.add(event);
            continue;
        };
        let before = run.len();
        for (byte, place) in text.bytes().zip(source.clone()) {
            run.push((byte, place));
            let text: Vec<u8> = run.iter().map(|(byte, _)| *byte).collect();
            let found =
                stop.iter().filter(|stop| text.ends_with(stop.as_bytes())).max_by_key(|stop| stop.len());
            let Some(found) = found else { continue };
            let at = run.len() - found.len();
            // Around a mark that left nothing, an empty reasoning for instance, it is not known to the byte.
            end = if run[at].1 + found.len() == place + 1 { run[at].1 } else { 0 };
            if let Some((_, last)) = shown.runs.last_mut().filter(|_| at < before) {
                last.truncate(last.len() - (before - at));
            } else {
                shown.add(&Event::Text(String::from_utf8_lossy(&text[before..at]).into_owned()));
            }
            shown.stop = Some(found.clone());
            break 'pieces;
        }
        shown.add(event);
    }
    let mut begin = 0;
    for (token, text) in (0..).zip(tokens) {
        if begin < end {
            shown.tokens.push(token);
        }
        begin += text.len();
    }
    shown.runs.retain(|(kind, text)| *kind != 't' || !text.is_empty());
    shown
}

fn parsed(texts: &[&str]) -> Vec<Piece> {
    let mut parser = OutputParser::new(FORMAT, [].into());
    let mut pieces = Vec::new();
    for text in texts {
        parser.push(text, &mut pieces);
    }
    parser.finish(&mut pieces);
    pieces
}

fn streamed(tokens: &[&str], stop: &[String]) -> Shown {
    let mut parser = OutputParser::new(FORMAT, [].into());
    let mut outlet = Outlet::new(StopStrings::new(stop));
    let (mut pieces, mut events, mut at) = (Vec::new(), Vec::new(), 0);
    for (token, text) in (0..).zip(tokens) {
        let logprob = TokenLogprob { token, bytes: Vec::new(), logprob: 0.0, top: Vec::new(), shown: true };
        outlet.take_logprob(at..at + text.len(), logprob);
        at += text.len();
        parser.push(text, &mut pieces);
        if outlet.push(&mut pieces, 0, &mut events) {
            break;
        }
    }
    parser.finish(&mut pieces);
    outlet.push(&mut pieces, 0, &mut events);
    outlet.finish(&mut events);
    let mut shown = Shown::default();
    for event in &events {
        shown.add(event);
    }
    Shown { stop: outlet.stop_sequence().map(str::to_owned), ..shown }
}

#[test]
fn stop_strings_are_looked_for_in_text_alone_however_tokens_cut_it() {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let (mut found, mut calls) = (0, 0);
    for _ in 0..40_000 {
        let text: String =
            (0..random.random_range(1..14)).filter_map(|_| FRAGMENTS.choose(&mut random)).copied().collect();
        let stop: Vec<String> = (0..random.random_range(0..3))
            .filter_map(|_| STOPS.choose(&mut random))
            .map(|&stop| stop.to_owned())
            .collect();
        let tokens = cut(&text, 0.4, &mut random);
        let (expected, streamed) = (expected(&tokens, &stop), streamed(&tokens, &stop));
        found += usize::from(expected.stop.is_some());
        calls += usize::from(expected.runs.iter().any(|(kind, _)| *kind == 'c'));
        if expected.tokens.is_empty() {
            assert_eq!(Shown { tokens: Vec::new(), ..streamed }, expected, "{tokens:?} {stop:?}");
        } else {
            assert_eq!(streamed, expected, "{tokens:?} {stop:?}");
        }
    }
    assert!(found > 4_000 && calls > 4_000, "the texts prove too little: {found} stops, {calls} with calls");
}
