mod choices;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use mlx_gate_core::decoder::{Facts, RowError, RowId};
use mlx_gate_core::{
    EndRules, EngineError, Event, FinishReason, Finished, OutputFormat, Prepared, Priority, Sampling, Usage,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Choice, Job, Limits, Scheduler, Waiting};
use crate::answer::Answer;
use crate::fake::{self, END, FakeDecoder, FakeRow, Reply};
use crate::sampler::RowSampler;
use crate::text::ModelText;

static TEXT: LazyLock<ModelText> = LazyLock::new(|| fake::text("fake"));

const LIMITS: Limits = Limits { rows: 4, kv_bytes: 1 << 20, prefill_chunk: 4 };

/// What a client holds.
pub(super) struct Client(UnboundedReceiver<Event>);

impl Client {
    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }

    pub(super) fn text(&mut self) -> String {
        self.events()
            .iter()
            .filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None })
            .collect()
    }

    fn finished(&mut self) -> (FinishReason, Usage) {
        match self.events().pop() {
            Some(Event::Finished(Finished { reason, usage, .. })) => (reason, usage),
            other => panic!("not finished, but {other:?}"),
        }
    }

    fn failure(&mut self) -> EngineError {
        match self.events().pop() {
            Some(Event::Failed(error)) => error,
            other => panic!("not failed, but {other:?}"),
        }
    }
}

fn job_with(model: usize, prompt: &str, max_output_tokens: u32, sampling: Sampling) -> (Job, Client) {
    let (job, mut clients) = job_of(model, prompt, max_output_tokens, vec![sampling]);
    (job, clients.remove(0))
}

/// A prompt that gets an answer for each of these.
fn job_of(
    model: usize,
    prompt: &str,
    max_output_tokens: u32,
    samplings: Vec<Sampling>,
) -> (Job, Vec<Client>) {
    let prepared = Prepared {
        id: String::new(),
        model: String::new(),
        prompt: fake::tokens(prompt),
        choices: samplings.len() as u32,
        max_output_tokens,
        sampling: Sampling::default(),
        stop: Vec::new(),
        end: EndRules::default(),
        special_tokens: false,
        token_ids: false,
        logprobs: None,
        prompt_logprobs: None,
        format: OutputFormat::default(),
        reasoning_budget: None,
        tools: [].into(),
        continues: false,
        grammar: None,
    };
    let choice = |sampling: Sampling| {
        let (events, client) = unbounded_channel();
        let sampler = (!sampling.is_plain_greedy()).then(|| RowSampler::new(sampling, &prepared.prompt));
        let answer = Answer::new(&TEXT, TEXT.stop_tokens().into(), &prepared);
        (Choice::new(sampler, answer, max_output_tokens, events), Client(client))
    };
    let (choices, clients) = samplings.into_iter().map(choice).unzip();
    let job = Job {
        model,
        choices,
        kv_bytes: prompt.len() as u64 + u64::from(max_output_tokens),
        prompt: prepared.prompt,
        prompt_logprobs: None,
        priority: Priority::default(),
        queued: Instant::now(),
        place: Waiting::new(1).enter().expect("a place"),
    };
    (job, clients)
}

pub(super) fn job(prompt: &str, max_output_tokens: u32) -> (Job, Client) {
    job_with(0, prompt, max_output_tokens, Sampling { temperature: 0.0, ..Sampling::default() })
}

fn scheduler(decoder: FakeDecoder) -> Scheduler {
    Scheduler::new(LIMITS, vec![Box::new(decoder)])
}

fn submit(scheduler: &mut Scheduler, prompt: &str, max_output_tokens: u32) -> Client {
    let (job, client) = job(prompt, max_output_tokens);
    scheduler.submit(job);
    client
}

fn tick(scheduler: &mut Scheduler) {
    scheduler.tick().expect("the device is there");
}

fn run(scheduler: &mut Scheduler) {
    while !scheduler.is_idle() {
        tick(scheduler);
    }
}

/// The tokens each row was given, for each step.
type Journal = Arc<Mutex<Vec<Vec<(RowId, usize)>>>>;

fn write(journal: &Journal, row: &FakeRow<'_>) {
    let mut steps = journal.lock().expect("no test panics while writing");
    steps.resize(row.step as usize + 1, Vec::new());
    steps[row.step as usize].push((row.id, row.given));
}

/// A decoder that never stops saying `x`, and what happens on it.
fn observed() -> (FakeDecoder, Journal) {
    let journal = Journal::default();
    let written = Arc::clone(&journal);
    let decoder = FakeDecoder::new(move |row| {
        write(&written, row);
        Reply::Token(u32::from(b'x'))
    });
    (decoder, journal)
}

fn steps(journal: &Journal) -> Vec<Vec<(u64, usize)>> {
    let steps = journal.lock().expect("no test panics while writing");
    steps.iter().map(|step| step.iter().map(|(row, given)| (row.0, *given)).collect()).collect()
}

#[test]
fn rows_decode_while_prompts_are_read_in_turn_and_in_chunks() {
    let (decoder, journal) = observed();
    let mut scheduler = scheduler(decoder);
    let _clients = [
        submit(&mut scheduler, "ab", 6),
        submit(&mut scheduler, "0123456789", 2),
        submit(&mut scheduler, "cde", 1),
    ];
    run(&mut scheduler);
    let expected = [
        vec![(0, 2), (1, 2)],
        vec![(0, 1), (1, 4)],
        vec![(0, 1), (1, 4)],
        vec![(0, 1), (1, 1), (2, 3)],
        vec![(0, 1)],
        vec![(0, 1)],
    ];
    assert_eq!(steps(&journal), expected);
}

#[test]
fn a_model_may_want_smaller_chunks() {
    let (decoder, journal) = observed();
    let facts = Facts { vocab_size: 0, context_length: 100, kv_bytes_per_token: 1, prefill_chunk: 2 };
    let mut scheduler = scheduler(decoder.with_facts(facts));
    let _client = submit(&mut scheduler, "abc", 1);
    run(&mut scheduler);
    assert_eq!(steps(&journal), [vec![(0, 2)], vec![(0, 1)]]);
}

#[test]
fn answers_end_and_are_counted() {
    let mut scheduler = scheduler(fake::says("Hello"));
    let mut ends = submit(&mut scheduler, "abc", 100);
    let mut cut = submit(&mut scheduler, "abc", 3);
    run(&mut scheduler);
    // The end-of-sequence token counts.
    let usage = Usage { input_tokens: 3, output_tokens: 6, ..Usage::default() };
    assert_eq!(ends.finished(), (FinishReason::Stop, usage));
    assert_eq!(cut.text(), "Hel");
}

#[test]
fn the_limit_counts_tokens_and_is_said() {
    let mut scheduler = scheduler(fake::says("Hello"));
    let mut cut = submit(&mut scheduler, "abc", 5);
    run(&mut scheduler);
    let usage = Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() };
    assert_eq!(cut.finished(), (FinishReason::Length, usage));
}

#[test]
fn a_client_that_leaves_during_prefill_frees_its_row() {
    let (decoder, journal) = observed();
    let open = decoder.open_rows();
    let mut scheduler = scheduler(decoder);
    let client = submit(&mut scheduler, &"p".repeat(1000), 10);
    tick(&mut scheduler);
    assert_eq!(open.load(std::sync::atomic::Ordering::SeqCst), 1);
    drop(client);
    tick(&mut scheduler);
    assert_eq!(open.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(scheduler.is_idle());
    assert_eq!(steps(&journal), [vec![(0, 4)]], "no step after the client left");
    assert_eq!(scheduler.kv_bytes, 0);
}

#[test]
fn a_client_that_leaves_while_waiting_never_gets_a_row() {
    let (decoder, journal) = observed();
    let mut scheduler = scheduler(decoder);
    drop(submit(&mut scheduler, "abc", 10));
    tick(&mut scheduler);
    assert!(scheduler.is_idle() && steps(&journal).is_empty());
}

#[test]
fn a_failing_row_fails_alone() {
    let decoder = FakeDecoder::new(|row| {
        if row.prompt.first() == Some(&u32::from(b'!')) && row.answer.len() == 2 {
            return Reply::Fails(RowError::BadLogits);
        }
        Reply::Token(if row.answer.len() < 4 { u32::from(b'a') } else { END })
    });
    let open = decoder.open_rows();
    let mut scheduler = scheduler(decoder);
    let (mut good, mut bad) = (submit(&mut scheduler, "good", 9), submit(&mut scheduler, "!bad", 9));
    run(&mut scheduler);
    assert_eq!(good.text(), "aaaa");
    let events = bad.events();
    let expected = EngineError::Internal(RowError::BadLogits.to_string());
    assert_eq!(events.last(), Some(&Event::Failed(expected)));
    assert_eq!(events.len(), 4, "started, two pieces, failed: {events:?}");
    assert_eq!(open.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(scheduler.kv_bytes, 0);
}

#[test]
fn a_row_may_fail_while_its_prompt_is_read() {
    let decoder = FakeDecoder::new(|_| Reply::Fails(RowError::Device("out of memory".to_owned())));
    let mut scheduler = scheduler(decoder);
    let mut client = submit(&mut scheduler, "a long prompt", 9);
    run(&mut scheduler);
    assert_eq!(client.failure(), EngineError::Internal("out of memory".to_owned()));
}

#[test]
fn a_panic_fails_the_rows_of_its_step_and_no_others() {
    let decoder = FakeDecoder::new(|row| match row.prompt.first() {
        Some(b) if *b == u32::from(b'!') => Reply::Panics("a bug".to_owned()),
        _ => Reply::Token(END),
    });
    let mut scheduler = Scheduler::new(Limits { rows: 1, ..LIMITS }, vec![Box::new(decoder)]);
    let mut bad = submit(&mut scheduler, "!", 9);
    let mut behind = submit(&mut scheduler, "good", 9);
    run(&mut scheduler);
    assert_eq!(bad.failure(), EngineError::Internal("the decoder panicked: a bug".to_owned()));
    assert_eq!(behind.finished().0, FinishReason::Stop);
}

#[test]
fn a_lost_device_fails_everything() {
    let decoder = FakeDecoder::new(|_| Reply::Loses("gone".to_owned()));
    let mut scheduler = Scheduler::new(Limits { rows: 1, ..LIMITS }, vec![Box::new(decoder)]);
    let (mut running, mut waiting) = (submit(&mut scheduler, "a", 9), submit(&mut scheduler, "b", 9));
    let lost = scheduler.tick().expect_err("the device is lost");
    assert_eq!(lost.0, "gone");
    scheduler.fail_all(&EngineError::ShuttingDown);
    assert_eq!(running.failure(), EngineError::ShuttingDown);
    assert_eq!(waiting.failure(), EngineError::ShuttingDown);
    assert!(scheduler.is_idle());
}

#[test]
fn rows_are_admitted_as_far_as_memory_allows_and_nobody_overtakes() {
    let (decoder, _) = observed();
    let limits = Limits { kv_bytes: 20, ..LIMITS };
    let mut scheduler = Scheduler::new(limits, vec![Box::new(decoder)]);
    let mut first = submit(&mut scheduler, "0123456789", 5);
    let mut large = submit(&mut scheduler, "0123456789", 10);
    let mut small = submit(&mut scheduler, "a", 1);
    tick(&mut scheduler);
    assert!(!first.events().is_empty());
    assert!(
        large.events().is_empty() && small.events().is_empty(),
        "the small one fits, but is behind the large one"
    );
    run(&mut scheduler);
    assert_eq!(large.finished().1.output_tokens, 10);
    assert_eq!(small.finished().1.output_tokens, 1);
}

#[test]
fn a_full_model_does_not_hold_up_another_one() {
    let limits = Limits { rows: 1, ..LIMITS };
    let mut scheduler = Scheduler::new(limits, vec![Box::new(fake::says("a")), Box::new(fake::says("b"))]);
    let mut clients = Vec::new();
    for model in [0, 0, 1] {
        let (job, client) = job_with(model, "p", 9, Sampling::default());
        scheduler.submit(job);
        clients.push(client);
    }
    tick(&mut scheduler);
    assert!(clients[1].events().is_empty(), "the first model has one row only");
    assert_eq!(clients[2].text(), "b");
    run(&mut scheduler);
    assert_eq!(clients[1].text(), "a");
}

#[test]
fn a_row_says_the_same_alone_and_among_others() {
    let sampling = |index: usize| Sampling {
        temperature: if index.is_multiple_of(2) { 0.0 } else { 1.0 },
        seed: Some(index as u64),
        repetition_penalty: if index.is_multiple_of(3) { 1.3 } else { 1.0 },
        logit_bias: if index.is_multiple_of(5) {
            vec![(u32::from(b'z'), 100.0), (u32::from(b'e'), -100.0)]
        } else {
            Vec::new()
        },
        ..Sampling::default()
    };
    let prompt = |index: usize| format!("{index}{}", "prompt ".repeat(index));
    let alone: Vec<String> = (0..40)
        .map(|index| {
            let mut scheduler = scheduler(fake::babbles());
            let (job, mut client) = job_with(0, &prompt(index), 5 + index as u32, sampling(index));
            scheduler.submit(job);
            run(&mut scheduler);
            client.text()
        })
        .collect();
    let mut scheduler = Scheduler::new(Limits { rows: 7, ..LIMITS }, vec![Box::new(fake::babbles())]);
    let mut clients = Vec::new();
    for index in 0..40 {
        let (job, client) = job_with(0, &prompt(index), 5 + index as u32, sampling(index));
        scheduler.submit(job);
        clients.push(client);
        tick(&mut scheduler);
    }
    run(&mut scheduler);
    let together: Vec<String> = clients.iter_mut().map(Client::text).collect();
    assert_eq!(together, alone);
    assert!(alone.iter().enumerate().all(|(index, text)| text.len() == 5 + index), "{alone:?}");
}
