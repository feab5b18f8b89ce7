use std::sync::Arc;
use std::time::Instant;

use mlx_gate_core::encoder::{Encoder, Error, Facts, Matryoshka, Output, Text};
use mlx_gate_core::{Encoded, EngineError, Priority};
use tokio::sync::oneshot::{self, Receiver};

use super::{EncodeJob, Encoders};
use crate::fake::{self, FakeEncoder};
use crate::scheduler::tests::job;
use crate::scheduler::{Limits, Scheduler, Waiting};

const LIMITS: Limits = Limits { rows: 4, kv_bytes: 1 << 20, prefill_chunk: 4 };

type Client = Receiver<Result<Encoded, EngineError>>;

fn scheduler(encoder: FakeEncoder) -> Scheduler {
    Scheduler::new(LIMITS, Vec::new()).with_encoders(Encoders::new(vec![Box::new(encoder)]))
}

/// Texts of these lengths.
fn texts(lengths: &[usize]) -> Vec<Text> {
    let text = |&length: &usize| Text { tokens: vec![7; length], segments: Vec::new() };
    lengths.iter().map(text).collect()
}

fn submit_as(scheduler: &mut Scheduler, priority: Priority, lengths: &[usize]) -> Client {
    let (answer, client) = oneshot::channel();
    let place = Waiting::new(1).enter().expect("there is a place");
    let queued = Instant::now();
    scheduler.submit_encode(EncodeJob { encoder: 0, texts: texts(lengths), answer, priority, queued, place });
    client
}

fn submit(scheduler: &mut Scheduler, lengths: &[usize]) -> Client {
    submit_as(scheduler, Priority::Normal, lengths)
}

fn run(scheduler: &mut Scheduler) {
    while !scheduler.is_idle() {
        scheduler.tick().expect("the device is there");
    }
}

#[track_caller]
fn expect(client: &mut Client, lengths: &[usize]) {
    let vectors: Vec<_> = texts(lengths).iter().map(fake::vector).collect();
    assert_eq!(client.try_recv().expect("there is an answer").expect("it is good").vectors, vectors);
}

#[track_caller]
fn failure(client: &mut Client) -> String {
    match client.try_recv() {
        Ok(Err(EngineError::Internal(message))) => message,
        other => panic!("no internal error, but {other:?}"),
    }
}

#[test]
fn batches_hold_texts_of_like_length_up_to_their_bound_and_answers_are_in_order() {
    let encoder = fake::embeds();
    let batches = encoder.batches();
    let mut scheduler = scheduler(encoder);
    let lengths = [1, 8, 3, 60, 7, 2, 4, 5];
    let mut client = submit(&mut scheduler, &lengths);
    run(&mut scheduler);
    // At most 16 tokens with the padding, but for a text that is longer alone; no text is half padding.
    assert_eq!(*batches.lock().unwrap(), [vec![60], vec![8, 7], vec![5, 4, 3], vec![2], vec![1]]);
    expect(&mut client, &lengths);
}

#[test]
fn requests_share_batches() {
    let encoder = fake::embeds();
    let batches = encoder.batches();
    let mut scheduler = scheduler(encoder);
    let mut clients = [4, 9, 3, 4].map(|length| submit(&mut scheduler, &[length]));
    run(&mut scheduler);
    assert_eq!(*batches.lock().unwrap(), [vec![4, 3, 4], vec![9]]);
    for (client, length) in clients.iter_mut().zip([4, 9, 3, 4]) {
        expect(client, &[length]);
    }
}

#[test]
fn higher_classes_go_first() {
    let encoder = fake::embeds();
    let batches = encoder.batches();
    let mut scheduler = scheduler(encoder);
    let _clients = [(Priority::Batch, 30), (Priority::Normal, 40), (Priority::High, 50)]
        .map(|(priority, length)| submit_as(&mut scheduler, priority, &[length]));
    run(&mut scheduler);
    assert_eq!(*batches.lock().unwrap(), [[50], [40], [30]]);
}

#[test]
fn what_nobody_waits_for_is_not_read() {
    let encoder = fake::embeds();
    let batches = encoder.batches();
    let mut scheduler = scheduler(encoder);
    drop(submit(&mut scheduler, &[60, 50]));
    let leaving = submit(&mut scheduler, &[40, 30]);
    let mut staying = submit(&mut scheduler, &[20]);
    scheduler.tick().expect("the device is there");
    drop(leaving);
    run(&mut scheduler);
    assert_eq!(*batches.lock().unwrap(), [[40], [20]]);
    expect(&mut staying, &[20]);
}

/// The client of one text leaves while it is read together with another's.
#[test]
fn a_batch_goes_on_for_those_who_stay() {
    let mut scheduler = scheduler(fake::embeds());
    let leaving = submit(&mut scheduler, &[5]);
    let mut staying = submit(&mut scheduler, &[5, 4]);
    scheduler.tick().expect("the device is there");
    drop(leaving);
    run(&mut scheduler);
    expect(&mut staying, &[5, 4]);
}

#[test]
fn a_failing_batch_fails_alone() {
    let output = Output::Embedding { dimensions: 3, matryoshka: Matryoshka::None };
    let long = |batch: &[Text]| batch[0].tokens.len();
    let mut scheduler = scheduler(FakeEncoder::new(output, move |batch| match long(batch) {
        60 => Err(Error("out of memory".to_owned())),
        50 => panic!("a bug"),
        40 => Ok(Vec::new()),
        30 => Ok(vec![vec![1.0, f32::NAN, 1.0]]),
        _ => Ok(batch.iter().map(fake::vector).collect()),
    }));
    let mut failing = [60, 50, 40, 30].map(|length| submit(&mut scheduler, &[length, 3]));
    let mut good = submit(&mut scheduler, &[20, 3]);
    run(&mut scheduler);
    let expected = ["out of memory", "panicked: a bug", "gave 0 vectors for 1", "not finite"];
    for (client, message) in failing.iter_mut().zip(expected) {
        let found = failure(client);
        assert!(found.contains(message), "{found}");
    }
    expect(&mut good, &[20, 3]);
}

#[test]
fn rows_are_stepped_between_the_pieces_of_a_batch() {
    let encoders = Encoders::new(vec![Box::new(fake::embeds())]);
    let decoder: Box<dyn mlx_gate_core::Decoder> = Box::new(fake::says("abcdef"));
    let mut scheduler = Scheduler::new(LIMITS, vec![decoder]).with_encoders(encoders);
    let (row, mut said) = job("x", 6);
    scheduler.submit(row);
    let mut client = submit(&mut scheduler, &[60, 50]);
    // Two batches of two pieces each.
    for token in ["a", "b", "c", "d"] {
        assert!(client.try_recv().is_err());
        scheduler.tick().expect("the device is there");
        assert_eq!(said.text(), token);
    }
    expect(&mut client, &[60, 50]);
}

#[test]
fn a_place_is_given_back_when_the_last_text_is_begun() {
    let waiting = Waiting::new(1);
    let mut scheduler = scheduler(fake::embeds());
    let (answer, _client) = oneshot::channel();
    let place = waiting.enter().expect("there is a place");
    let (priority, queued) = (Priority::Normal, Instant::now());
    scheduler.submit_encode(EncodeJob {
        encoder: 0,
        texts: texts(&[60, 50]),
        answer,
        priority,
        queued,
        place,
    });
    for is_free in [false, false, true] {
        scheduler.tick().expect("the device is there");
        assert_eq!(Arc::clone(&waiting).enter().is_ok(), is_free);
    }
}

#[test]
fn all_can_be_ended() {
    let mut scheduler = scheduler(fake::embeds());
    let mut clients = [60, 50].map(|length| submit(&mut scheduler, &[length]));
    scheduler.tick().expect("the device is there");
    scheduler.fail_all(&EngineError::ShuttingDown);
    assert!(scheduler.is_idle());
    for client in &mut clients {
        assert_eq!(client.try_recv(), Ok(Err(EngineError::ShuttingDown)));
    }
}

/// An encoder that keeps 2 bytes for each token, a decoder with 1 byte, and this many bytes for all.
fn sharing(kv_bytes: u64) -> (Scheduler, fake::Batches) {
    let encoder = fake::embeds();
    let facts = Facts { kv_bytes_per_token: 2, ..encoder.facts().clone() };
    let encoder = encoder.with_facts(facts);
    let batches = encoder.batches();
    let decoder: Box<dyn mlx_gate_core::Decoder> = Box::new(fake::says("abcdefgh"));
    let scheduler = Scheduler::new(Limits { kv_bytes, ..LIMITS }, vec![decoder]);
    (scheduler.with_encoders(Encoders::new(vec![Box::new(encoder)])), batches)
}

#[test]
fn what_texts_keep_is_taken_from_the_memory_of_rows() {
    // Room for a text of 20 tokens, or for two of 8 and a row of 9.
    let (mut scheduler, batches) = sharing(41);
    let _texts = [submit(&mut scheduler, &[20]), submit(&mut scheduler, &[8, 8, 8])];
    let (row, mut said) = job("x", 8);
    scheduler.submit(row);
    scheduler.tick().expect("the device is there");
    assert_eq!(said.text(), "a", "rows are admitted first where texts do not wait");
    assert!(batches.lock().unwrap().is_empty(), "the text of 20 has no room beside it");
    // Nobody takes what the text waits for, although a small row would fit.
    let (small, mut later) = job("x", 1);
    scheduler.submit(small);
    for token in ["b", "c", "d", "e", "f", "g", "h"] {
        scheduler.tick().expect("the device is there");
        assert_eq!((said.text().as_str(), later.text().as_str()), (token, ""));
    }
    run(&mut scheduler);
    assert_eq!(later.text(), "a");
    assert_eq!(*batches.lock().unwrap(), [vec![20], vec![8, 8], vec![8]]);
    assert_eq!(scheduler.encoders.kv_bytes(), 0);
}

#[test]
fn a_batch_is_as_large_as_there_is_room() {
    let (mut scheduler, batches) = sharing(16);
    let mut client = submit(&mut scheduler, &[4, 4, 4]);
    run(&mut scheduler);
    assert_eq!(*batches.lock().unwrap(), [vec![4, 4], vec![4]]);
    expect(&mut client, &[4, 4, 4]);
}

#[test]
fn texts_that_came_later_do_not_take_what_a_row_waits_for() {
    let (mut scheduler, batches) = sharing(40);
    let (first, mut said) = job("x", 8);
    scheduler.submit(first);
    scheduler.tick().expect("the device is there");
    let (large, _waits) = job("0123456789012345678901234567890", 8);
    scheduler.submit(large);
    let _texts = submit(&mut scheduler, &[4]);
    for _ in 0..7 {
        scheduler.tick().expect("the device is there");
    }
    assert_eq!(said.text(), "abcdefgh");
    assert!(batches.lock().unwrap().is_empty(), "there was room, but the row came first");
    run(&mut scheduler);
    assert_eq!(*batches.lock().unwrap(), [[4]]);
}
