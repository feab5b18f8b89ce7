//! Several answers to one prompt are those of as many requests.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use mlx_gate_core::{Grammar, MOST_CHOICES};

use super::*;

/// Everything that was said, without times.
async fn said(stream: EventStream) -> Vec<Event> {
    let mut events: Vec<Event> = stream.collect().await;
    events.retain(|event| !matches!(event, Event::Started { .. }));
    if let Some(Event::Finished(finished)) = events.last_mut() {
        (finished.prefill, finished.decode) = (Duration::ZERO, Duration::ZERO);
    }
    events
}

fn seeded(seed: u64) -> Request {
    let sampling =
        SamplingOverrides { temperature: Some(1.0), seed: Some(seed), ..SamplingOverrides::default() };
    Request { sampling, max_output_tokens: Some(12), ..text("Once upon a time") }
}

fn cases() -> Vec<(&'static str, Request)> {
    let penalized = SamplingOverrides {
        temperature: Some(1.0),
        repetition_penalty: Some(1.5),
        presence_penalty: Some(1.0),
        ..SamplingOverrides::default()
    };
    vec![
        ("free", seeded(0)),
        ("with log probabilities", Request { logprobs: Some(3), ..seeded(0) }),
        (
            "by a grammar",
            Request { grammar: Some(Grammar::Regex("(ab|[c-z]+){2,5}!".to_owned())), ..seeded(0) },
        ),
        ("with stop strings", Request { stop: vec!["a".to_owned(), "e".to_owned()], ..seeded(0) }),
        ("penalized", Request { sampling: penalized, ..seeded(0) }),
        ("of one token", Request { max_output_tokens: Some(1), ..seeded(0) }),
    ]
}

/// So many rows, and time to compile a grammar on a busy machine too.
fn patient(rows: usize) -> Config {
    Config { grammar_time_limit: Duration::from_mins(10), ..at_most(rows, 1) }
}

#[tokio::test]
async fn each_choice_is_what_a_request_with_its_seed_gets() {
    const CHOICES: u32 = 5;
    for (name, request) in cases() {
        let with_seed = |seed| {
            let sampling = SamplingOverrides { seed: Some(seed), ..request.sampling.clone() };
            Request { sampling, ..request.clone() }
        };
        let single = engine(patient(1), fake::rambles(3));
        let mut expected = Vec::new();
        for number in 0..u64::from(CHOICES) {
            let stream = start(&single, with_seed((u64::MAX - 1).wrapping_add(number))).await;
            expected.push(said(stream.expect("there is a place")).await);
        }
        for rows in [1, 3, 8] {
            let read = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read);
            let decoder = fake::rambles(3).watched(move |row| {
                if row.answer.is_empty() {
                    counted.fetch_add(row.given, Ordering::SeqCst);
                }
            });
            let engine = engine(patient(rows), decoder);
            let request = Request { choices: CHOICES, ..with_seed(u64::MAX - 1) };
            let prepared = engine.prepare(request).await.expect("nothing is wrong with it");
            let streams = engine.start(prepared, &Tags::default()).expect("it takes one place");
            let answers = futures_util::future::join_all(streams.into_iter().map(said)).await;
            assert_eq!(answers, expected, "{name}, {rows} rows");
            assert_eq!(
                read.load(Ordering::SeqCst),
                "Once upon a time".len(),
                "{name}: the prompt is read once"
            );
        }
        assert!(expected.iter().any(|one| *one != expected[0]), "{name}: {expected:?}");
    }
}

#[tokio::test]
async fn without_a_seed_every_choice_is_free() {
    let engine = engine(Config::default(), fake::rambles(3));
    let free = SamplingOverrides { temperature: Some(1.0), ..SamplingOverrides::default() };
    let prepared = engine.prepare(Request { choices: 4, sampling: free, ..seeded(0) }).await;
    let streams = engine.start(prepared.expect("it is fine"), &Tags::default()).expect("there is a place");
    let answers = futures_util::future::join_all(streams.into_iter().map(said)).await;
    // Two texts of twelve random tokens each are the same about once in 10^28 times.
    for (index, one) in answers.iter().enumerate() {
        assert!(!answers[..index].contains(one), "{answers:?}");
    }
}

#[tokio::test]
async fn the_number_of_choices_is_bounded() {
    let engine = engine(Config::default(), fake::says("a"));
    for choices in [0, MOST_CHOICES + 1] {
        let refused = engine.prepare(Request { choices, ..text("p") }).await;
        let Err(EngineError::InvalidRequest { field: "choices", message }) = refused else {
            panic!("{choices} are not refused")
        };
        assert_eq!(message, format!("expected 1 to 128 answers, but got {choices}"));
    }
}

#[tokio::test]
async fn dropping_streams_frees_rows_and_leaves_the_others() {
    let decoder = FakeDecoder::new(|_| Reply::Token(u32::from(b'x')));
    let open = decoder.open_rows();
    let engine = engine(at_most(3, 4), decoder);
    let long = Request { choices: 6, max_output_tokens: Some(4_000), ..text("a") };
    for kept in [0, 2] {
        let prepared = engine.prepare(long.clone()).await.expect("nothing is wrong with it");
        let mut streams = engine.start(prepared, &Tags::default()).expect("there is a place");
        for stream in &mut streams {
            started(stream).await;
        }
        streams.truncate(kept);
        for stream in streams {
            assert_eq!(shown(&stream.collect::<Vec<_>>().await).len(), 4_000);
        }
    }
    drop(engine);
    assert_eq!(open.load(Ordering::SeqCst), 0);
}
