//! Several answers to one prompt.

use std::sync::atomic::Ordering;

use super::*;

/// `count` answers at temperature 1, with seeds from 1 on.
fn seeded(count: u64) -> Vec<Sampling> {
    let one = |seed| Sampling { temperature: 1.0, seed: Some(seed), ..Sampling::default() };
    (1..=count).map(one).collect()
}

/// A decoder that rambles, and the tokens of each step.
fn rambling() -> (FakeDecoder, Journal) {
    let journal = Journal::default();
    let written = Arc::clone(&journal);
    (fake::rambles(7).watched(move |row| write(&written, row)), journal)
}

fn submit_all(scheduler: &mut Scheduler, prompt: &str, most: u32, samplings: Vec<Sampling>) -> Vec<Client> {
    let (job, clients) = job_of(0, prompt, most, samplings);
    scheduler.submit(job);
    clients
}

/// Prompt tokens and answer tokens that the decoder was given: a prompt comes in chunks, an answer in single tokens.
fn given(journal: &Journal) -> (usize, usize) {
    let all: Vec<usize> = steps(journal).into_iter().flatten().map(|(_, given)| given).collect();
    let prompt = all.iter().filter(|given| **given > 1).sum();
    (prompt, all.iter().filter(|given| **given == 1).count())
}

/// What requests for one answer get.
fn alone(prompt: &str, most: u32, samplings: &[Sampling]) -> Vec<String> {
    let answer = |sampling: &Sampling| {
        let mut scheduler = scheduler(fake::rambles(7));
        let mut clients = submit_all(&mut scheduler, prompt, most, vec![sampling.clone()]);
        run(&mut scheduler);
        clients.remove(0).text()
    };
    samplings.iter().map(answer).collect()
}

const PROMPT: &str = "a prompt of some length.";

#[test]
fn a_prompt_is_read_once_and_each_answer_is_what_it_would_be_alone() {
    let samplings = seeded(6);
    let expected = alone(PROMPT, 9, &samplings);
    assert!(
        expected.iter().all(|one| expected.iter().filter(|other| one == *other).count() == 1),
        "{expected:?}"
    );
    // With one row the answers are written one by one, with several side by side.
    for rows in [1, 2, 4, 6, 9] {
        let (decoder, journal) = rambling();
        let open = decoder.open_rows();
        let mut scheduler = Scheduler::new(Limits { rows, ..LIMITS }, vec![Box::new(decoder)]);
        let mut clients = submit_all(&mut scheduler, PROMPT, 9, samplings.clone());
        run(&mut scheduler);
        let texts: Vec<String> = clients.iter_mut().map(Client::text).collect();
        assert_eq!(texts, expected, "{rows} rows");
        // The first token of each comes with the prompt, and the last one is not given back.
        assert_eq!(given(&journal).0, PROMPT.len(), "{rows} rows");
        assert!(given(&journal).1 <= 6 * 8);
        let widest = steps(&journal).iter().map(Vec::len).max();
        assert_eq!(widest, Some(rows.min(6)));
        assert_eq!((open.load(Ordering::SeqCst), scheduler.kv_bytes), (0, 0));
    }
}

#[test]
fn likeliest_tokens_are_the_same_in_all_answers() {
    let (decoder, journal) = observed();
    let mut scheduler = scheduler(decoder);
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut clients = submit_all(&mut scheduler, "abc", 3, vec![greedy; 3]);
    run(&mut scheduler);
    assert_eq!(clients.iter_mut().map(Client::text).collect::<Vec<_>>(), ["xxx"; 3]);
    assert_eq!(steps(&journal), [vec![(0, 3)], vec![(0, 1), (1, 1), (2, 1)], vec![(0, 1), (1, 1), (2, 1)]]);
}

#[test]
fn answers_of_one_token_take_no_row_of_their_own() {
    let (decoder, journal) = rambling();
    let mut scheduler = scheduler(decoder);
    let mut clients = submit_all(&mut scheduler, PROMPT, 1, seeded(100));
    run(&mut scheduler);
    let usage = Usage { input_tokens: PROMPT.len() as u32, output_tokens: 1, ..Usage::default() };
    for client in &mut clients {
        assert_eq!(client.finished().1, usage);
    }
    assert_eq!(given(&journal), (PROMPT.len(), 0));
}

#[test]
fn memory_is_counted_for_each_row_and_bounds_them() {
    let (decoder, journal) = rambling();
    let one = PROMPT.len() as u64 + 9;
    let limits = Limits { kv_bytes: 2 * one, ..LIMITS };
    let mut scheduler = Scheduler::new(limits, vec![Box::new(decoder)]);
    let mut clients = submit_all(&mut scheduler, PROMPT, 9, seeded(5));
    let mut most = 0;
    while !scheduler.is_idle() {
        tick(&mut scheduler);
        let rows = scheduler.models[0].rows.len() as u64;
        assert_eq!(scheduler.kv_bytes, rows * one);
        most = most.max(rows);
    }
    assert_eq!(most, 2);
    assert_eq!(clients.iter_mut().map(Client::text).collect::<Vec<_>>(), alone(PROMPT, 9, &seeded(5)));
    assert_eq!(given(&journal).0, PROMPT.len());
}

#[test]
fn branches_that_wait_let_other_prompts_pass() {
    let one = PROMPT.len() as u64 + 9;
    let limits = Limits { kv_bytes: one + 5, ..LIMITS };
    let mut scheduler = Scheduler::new(limits, vec![Box::new(fake::rambles(7))]);
    let _family = submit_all(&mut scheduler, PROMPT, 9, seeded(5));
    for _ in 0..PROMPT.len().div_ceil(4) {
        tick(&mut scheduler);
    }
    let mut small = submit(&mut scheduler, "ab", 2);
    tick(&mut scheduler);
    assert!(!small.events().is_empty(), "there is room for it, and none for a branch");
    run(&mut scheduler);
}

#[test]
fn who_leaves_while_the_prompt_is_read_costs_nothing_more() {
    let (decoder, journal) = rambling();
    let mut scheduler = scheduler(decoder);
    let mut clients = submit_all(&mut scheduler, PROMPT, 9, seeded(4));
    tick(&mut scheduler);
    clients.drain(1..3);
    run(&mut scheduler);
    let expected = alone(PROMPT, 9, &seeded(4));
    let texts: Vec<String> = clients.iter_mut().map(Client::text).collect();
    assert_eq!(texts, [expected[0].clone(), expected[3].clone()]);
    assert!(given(&journal).1 <= 2 * 8, "nothing was written for those who left");

    let mut clients = submit_all(&mut scheduler, PROMPT, 9, seeded(4));
    tick(&mut scheduler);
    clients.clear();
    tick(&mut scheduler);
    assert!(scheduler.is_idle());
    assert_eq!(scheduler.kv_bytes, 0);
}

#[test]
fn who_leaves_later_frees_a_row_and_keeps_the_prompt_for_those_who_wait() {
    for rows in [1, 2] {
        let (decoder, journal) = rambling();
        let open = decoder.open_rows();
        let mut scheduler = Scheduler::new(Limits { rows, ..LIMITS }, vec![Box::new(decoder)]);
        let mut clients = submit_all(&mut scheduler, PROMPT, 9, seeded(5));
        for _ in 0..PROMPT.len().div_ceil(4) + 2 {
            tick(&mut scheduler);
        }
        // The ones that have rows, and one that waits.
        clients.drain(..3);
        tick(&mut scheduler);
        assert_eq!(open.load(Ordering::SeqCst), rows.min(2));
        run(&mut scheduler);
        let texts: Vec<String> = clients.iter_mut().map(Client::text).collect();
        assert_eq!(texts, alone(PROMPT, 9, &seeded(5))[3..], "{rows} rows");
        assert_eq!(given(&journal).0, PROMPT.len());
        assert_eq!((open.load(Ordering::SeqCst), scheduler.kv_bytes), (0, 0));
    }
}

/// A decoder whose rows say `x`, but fail when the answer is this long.
fn failing(at: usize, error: RowError) -> FakeDecoder {
    let failed = Mutex::new(false);
    FakeDecoder::new(move |row| {
        let mut failed = failed.lock().expect("no test panics while failing");
        if row.answer.len() == at && !std::mem::replace(&mut *failed, true) {
            return Reply::Fails(error.clone());
        }
        Reply::Token(u32::from(b'x'))
    })
}

#[test]
fn a_choice_that_fails_leaves_the_row_to_the_others() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for rows in [1, 2, 4] {
        let decoder = failing(2, RowError::Grammar("too much".to_owned()));
        let mut scheduler = Scheduler::new(Limits { rows, ..LIMITS }, vec![Box::new(decoder)]);
        let mut clients = submit_all(&mut scheduler, "abc", 4, vec![greedy.clone(); 3]);
        run(&mut scheduler);
        let expected = EngineError::InvalidRequest { field: "grammar", message: "too much".to_owned() };
        assert_eq!(clients.remove(0).failure(), expected);
        assert_eq!(clients.iter_mut().map(Client::text).collect::<Vec<_>>(), ["xxxx"; 2], "{rows} rows");
        assert_eq!(scheduler.kv_bytes, 0);
    }
}

#[test]
fn a_row_that_breaks_is_not_handed_on() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let lost = || EngineError::Internal("out of memory".to_owned());
    for rows in [1, 2] {
        let decoder = failing(2, RowError::Device("out of memory".to_owned()));
        let open = decoder.open_rows();
        let mut scheduler = Scheduler::new(Limits { rows, ..LIMITS }, vec![Box::new(decoder)]);
        let mut clients = submit_all(&mut scheduler, "abc", 4, vec![greedy.clone(); 3]);
        run(&mut scheduler);
        assert_eq!(clients[0].failure(), lost());
        for client in &mut clients[1..] {
            // Where there is another row, it holds the prompt too.
            if rows == 1 {
                assert_eq!(client.failure(), lost());
            } else {
                assert_eq!(client.text(), "xxxx");
            }
        }
        assert_eq!((open.load(Ordering::SeqCst), scheduler.kv_bytes), (0, 0));
    }
}

#[test]
fn a_panic_takes_the_answers_with_it_that_wait_for_its_rows() {
    let decoder = FakeDecoder::new(|row| match row.answer.len() {
        1 => Reply::Panics("a bug".to_owned()),
        _ => Reply::Token(u32::from(b'x')),
    });
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut scheduler = Scheduler::new(Limits { rows: 2, ..LIMITS }, vec![Box::new(decoder)]);
    let mut clients = submit_all(&mut scheduler, "abc", 4, vec![greedy; 3]);
    run(&mut scheduler);
    for client in &mut clients {
        assert_eq!(client.failure(), EngineError::Internal("the decoder panicked: a bug".to_owned()));
    }
    assert_eq!(scheduler.kv_bytes, 0);
}

#[test]
fn a_lost_device_fails_branches_too() {
    let decoder = FakeDecoder::new(|row| match row.answer.len() {
        1 => Reply::Loses("gone".to_owned()),
        _ => Reply::Token(u32::from(b'x')),
    });
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut scheduler = Scheduler::new(Limits { rows: 1, ..LIMITS }, vec![Box::new(decoder)]);
    let mut clients = submit_all(&mut scheduler, "abc", 4, vec![greedy; 3]);
    tick(&mut scheduler);
    assert!(scheduler.tick().is_err());
    scheduler.fail_all(&EngineError::ShuttingDown);
    for client in &mut clients {
        assert_eq!(client.failure(), EngineError::ShuttingDown);
    }
    assert!(scheduler.is_idle());
}
