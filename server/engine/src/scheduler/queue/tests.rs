use std::time::Instant;

use mlx_gate_core::Priority::{self, Batch, High, Normal};

use super::{Entry, Fit, Queue, RISES_AFTER};
use crate::scheduler::Job;
use crate::scheduler::tests::job;

/// Jobs of these classes that came at the same time, told apart by the length of their answers.
fn queue(came: Instant, jobs: &[(u32, Priority)]) -> Queue {
    let mut queue = Queue::default();
    for &(number, priority) in jobs {
        let (job, _client) = job("x", number);
        queue.push(Job { priority, queued: came, ..job });
    }
    queue
}

/// Which of the jobs it is: the prompt has one token.
fn number(entry: &Entry) -> u32 {
    entry.kv_bytes() as u32 - 1
}

/// The order in which jobs get their turns at a time when everything fits.
fn order(queue: &mut Queue, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| queue.take_next(now, |_| Fit::Now)).map(|entry| number(&entry)).collect()
}

#[test]
fn higher_classes_go_first_and_inside_one_the_first_that_came() {
    let now = Instant::now();
    let jobs = [(1, Batch), (2, Normal), (3, High), (4, Normal), (5, High), (6, Batch)];
    assert_eq!(order(&mut queue(now, &jobs), now), [3, 5, 2, 4, 1, 6]);
}

#[test]
fn who_waits_rises_one_class_at_a_time_and_keeps_the_place_in_line() {
    let came = Instant::now();
    let newcomers = [(4, High), (5, Normal), (6, Batch)];
    for (waited, expected) in
        [(0, [3, 4, 2, 5, 1, 6]), (1, [2, 3, 4, 1, 5, 6]), (2, [1, 2, 3, 4, 5, 6]), (100, [1, 2, 3, 4, 5, 6])]
    {
        let now = came + RISES_AFTER * waited;
        let mut queue = queue(came, &[(1, Batch), (2, Normal), (3, High)]);
        for (number, priority) in newcomers {
            let (job, _client) = job("x", number);
            queue.push(Job { priority, queued: now, ..job });
        }
        assert_eq!(order(&mut queue, now), expected, "after {waited} steps");
    }
}

#[test]
fn a_class_that_waits_for_memory_holds_the_lower_ones_back_and_no_higher_one() {
    let now = Instant::now();
    let large = |entry: &Entry| if number(entry) == 2 { Fit::Blocks } else { Fit::Now };
    let mut queue = queue(now, &[(1, Batch), (2, Normal), (3, Normal), (4, High)]);
    assert_eq!(queue.take_next(now, large).map(|entry| number(&entry)), Some(4));
    assert!(queue.take_next(now, large).is_none());
}

#[test]
fn a_model_without_a_row_lets_lower_classes_of_other_models_pass() {
    let now = Instant::now();
    let busy = |entry: &Entry| if number(entry) == 1 { Fit::Waits } else { Fit::Now };
    let mut queue = queue(now, &[(1, High), (2, Batch)]);
    assert_eq!(queue.take_next(now, busy).map(|entry| number(&entry)), Some(2));
}
