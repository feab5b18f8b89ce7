//! What happens to reservations and events when requests end, however they do.

use std::future::poll_fn;
use std::task::Poll;

use mlx_gate_core::{GateCounters, Lifecycle as _, PluginAdmin as _};

use crate::guest::head;
use crate::plugin::{
    Admission, Answers, AnswersOnce, Authentication, Authorization, Bounds, Dawdles, Hangs, Plugin, Tags,
    Traps,
};
use crate::world::{World, ended, operation, pass};

fn limiter(name: &str, ticket: u64) -> Plugin {
    Plugin::new(name).rate_limit(Answers(Admission::Reserve { ticket, headers: &[] }))
}

#[tokio::test]
async fn every_reservation_is_settled_once() {
    let plugins = [limiter("a", 1), limiter("b", 2)];
    let world = World::new(&plugins).await;
    let admitted = || async {
        let passage = world.gate.begin();
        passage.admit(&operation()).await.expect("admitted");
        assert_eq!(world.said(), ["a: admit 1", "b: admit 1"]);
        passage
    };

    let passage = admitted().await;
    passage.finish(ended("req-1", true, 9));
    passage.finish(ended("req-1", true, 8));
    drop(passage);
    assert_eq!(world.said_in_the_end().await, ["a: settled 1 1 9", "b: settled 2 1 9"], "it ran");

    let passage = admitted().await;
    passage.finish(ended("req-2", false, 0));
    drop(passage);
    assert_eq!(world.said_in_the_end().await, ["a: settled 1 0 0", "b: settled 2 0 0"], "no room for it");

    drop(admitted().await);
    assert_eq!(world.said_in_the_end().await, ["a: settled 1 0 0", "b: settled 2 0 0"], "its handler died");
    assert_eq!(world.gate.counters(), GateCounters { settled: 6, ..GateCounters::default() });
}

#[tokio::test]
async fn a_settle_that_fails_is_counted_and_leaves_the_others_alone() {
    let world = World::new(&[limiter("a", 1).first("settle", "(unreachable)"), limiter("b", 2)]).await;
    let passage = world.gate.begin();
    passage.admit(&operation()).await.expect("admitted");
    passage.finish(ended("req-1", true, 3));
    assert_eq!(world.said_in_the_end().await, ["a: admit 1", "b: admit 1", "b: settled 2 1 3"]);
    assert_eq!(
        world.gate.counters(),
        GateCounters { settled: 1, settle_failures: 1, ..GateCounters::default() }
    );
}

/// Where the instance that reserved is no good any more, a new one settles, unless something was settled already.
#[tokio::test]
async fn a_settle_that_failed_before_it_did_anything_is_made_once_more() {
    let trap = "(if (i32.load (i32.const 0)) (then (unreachable)))";
    let plugin = limiter("a", 1).first("settle", trap);
    for (plugin, said, settled, calls) in [
        (plugin.clone(), &["a: admit 1", "a: settled 1 1 3"][..], (1, 0), (2, 1)),
        (plugin.deleting("settle"), &["a: admit 1"], (0, 1), (1, 1)),
    ] {
        let world = World::new(&[plugin]).await;
        let passage = world.gate.begin();
        passage.admit(&operation()).await.expect("admitted");
        passage.finish(ended("req-1", true, 3));
        assert_eq!(world.said_in_the_end().await, said);
        let (settled, settle_failures) = settled;
        let counters = GateCounters { settled, settle_failures, ..GateCounters::default() };
        assert_eq!(world.gate.counters(), counters);
        let plugins = world.gate.list();
        let counted =
            plugins[0].calls.iter().find(|calls| calls.function == "settle").expect("it was called");
        assert_eq!((counted.calls, counted.failures), calls);
    }
}

/// The client leaves while the second plugin is still at work: it gets to its end, and both are settled.
#[tokio::test]
async fn who_leaves_during_admission_leaves_nothing_reserved() {
    let slow = Plugin::new("b").rate_limit(Dawdles(Admission::Reserve { ticket: 2, headers: &[] }));
    for is_finished in [true, false] {
        let plugins = [limiter("a", 1), slow.clone(), limiter("c", 3)];
        let world = World::with_options(&plugins, &[("call-ms", "5000")]).await;
        let passage = world.gate.begin();
        let asked = operation();
        let mut admission = passage.admit(&asked);
        let mut said = Vec::new();
        // Any plugin may be made to wait by the clock: the one that computes for longer than a tick of it always is.
        poll_fn(|context| {
            assert!(admission.as_mut().poll(context).is_pending(), "the second plugin is not waited for");
            said.extend(world.said());
            if said.iter().any(|line| line == "b: admit 1") { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(admission);
        if is_finished {
            passage.finish(ended("req-1", false, 0));
        }
        drop(passage);
        said.extend(world.said_in_the_end().await);
        // The settle of the first and the admission of the second run at the same time.
        said.sort_unstable();
        // The second is asked again on a stack of its own, because it takes so long.
        let expected = ["a: admit 1", "a: settled 1 0 0", "b: admit 1", "b: admit 1", "b: settled 2 0 0"];
        assert_eq!(said, expected);
    }
}

fn all_phases(name: &str) -> Plugin {
    Plugin::new(name)
        .authenticate(Answers(Authentication::Allow { tenant: Some("acme"), cache_for_ms: None }))
        .authorize(Answers(Authorization::Allow(Bounds::default())))
        .rate_limit(Answers(Admission::Reserve { ticket: 5, headers: &[] }))
        .tag(Answers(Tags::default()))
        .log(&Answers(()))
}

#[tokio::test]
async fn one_instance_serves_the_phases_of_one_request() {
    let world = World::new(&[all_phases("a")]).await;
    for _ in 0..3 {
        let passage = world.gate.begin();
        pass(&*passage).await.expect("it passes");
        passage.finish(ended("req-1", true, 2));
        let mut said = world.said_in_the_end().await;
        assert_eq!(said[..4], ["a: authenticate 1", "a: authorize 2", "a: admit 3", "a: tag 4"]);
        said.sort_unstable();
        let after = ["a: acme", "a: admit 3", "a: alice", "a: authenticate 1", "a: authorize 2", "a: chat"];
        assert_eq!(said[..6], after);
        let after = ["a: events 001", "a: req-1", "a: settled 5 1 2", "a: stop", "a: tag 4"];
        assert_eq!(said[6..], after);
    }
}

/// There are 500 slots. Requests that wait for their bodies must leave half of them to others.
#[tokio::test]
async fn instances_are_kept_while_more_than_half_of_the_slots_are_free() {
    let once = Plugin::new("a")
        .authenticate(Answers(Authentication::Allow { tenant: None, cache_for_ms: None }))
        .authorize(AnswersOnce(Authorization::Allow(Bounds::default())));
    let world = World::new(&[once]).await;
    let passages: Vec<_> = (0..300).map(|_| world.gate.begin()).collect();
    for passage in &passages {
        passage.authenticate(&head("/x")).await.expect("known");
    }
    let mut kept = 0;
    for passage in &passages {
        kept += usize::from(passage.authorize(&operation()).await.is_err());
    }
    assert_eq!(kept, 249);
}

#[tokio::test]
async fn reused_instances_serve_one_request_after_another() {
    let phases = all_phases("a");
    let world = World::with_options(std::slice::from_ref(&phases), &[("isolation", "reuse")]).await;
    for calls in [1, 5] {
        let passage = world.gate.begin();
        pass(&*passage).await.expect("it passes");
        let expected =
            [("authenticate", calls), ("authorize", calls + 1), ("admit", calls + 2), ("tag", calls + 3)];
        assert_eq!(world.said(), expected.map(|(name, count)| format!("a: {name} {count}")));
        passage.finish(ended("req-1", true, 2));
        world.said_in_the_end().await;
    }
    // One that trapped is gone, with its count.
    let traps = Plugin::new("a").authorize(Answers(Authorization::Allow(Bounds::default()))).tag(Traps);
    let world = World::with_options(&[traps], &[("isolation", "reuse")]).await;
    for _ in 0..2 {
        pass(&*world.gate.begin()).await.expect_err("it traps");
        assert_eq!(world.said(), ["a: authorize 1", "a: tag 2"]);
    }
}

/// `table.set` is beyond what a snapshot holds. The configured state is at 8.
#[tokio::test]
async fn a_plugin_that_cannot_be_captured_is_reused() {
    let plugin = Plugin::new("a").authorize(Answers(Authorization::Allow(Bounds::default()))).configure(
        "(table.set (i32.const 0) (ref.null func)) (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 3)))",
        "(table 1 funcref)",
    );
    for (options, expected) in [
        (&[][..], ["a: authorize 4", "a: authorize 5", "a: authorize 6"]),
        (&[("isolation", "reuse")], ["a: authorize 4", "a: authorize 5", "a: authorize 6"]),
        (&[("isolation", "fresh")], ["a: authorize 4"; 3]),
    ] {
        let world = World::with_options(std::slice::from_ref(&plugin), options).await;
        for _ in 0..3 {
            pass(&*world.gate.begin()).await.expect("it passes");
        }
        assert_eq!(world.said(), expected, "{options:?}");
    }
}

#[tokio::test]
async fn events_are_logged_in_batches() {
    let world = World::new(&[Plugin::new("a").log(&Answers(())), Plugin::new("b").log(&Answers(()))]).await;
    for number in 0..300 {
        let passage = world.gate.begin();
        passage.authenticate(&head("/x")).await.expect("anonymous");
        passage.finish(ended(&format!("req-{number}"), true, 1));
    }
    let batches: Vec<_> = world.said_in_the_end().await;
    let of = |name: &str| -> Vec<String> {
        let begins = [format!("{name}: events"), format!("{name}: req-")];
        batches.iter().filter(|said| begins.iter().any(|begin| said.starts_with(begin))).cloned().collect()
    };
    for name in ["a", "b"] {
        let expected = ["events 128", "req-0", "events 128", "req-128", "events 044", "req-256"];
        assert_eq!(of(name), expected.map(|said| format!("{name}: {said}")));
    }
    assert_eq!(world.gate.counters(), GateCounters { logged: 300, ..GateCounters::default() });
}

#[tokio::test]
async fn events_are_handed_over_after_a_while_without_a_drain() {
    let world = World::new(&[Plugin::new("a").log(&Answers(()))]).await;
    world.gate.begin().finish(ended("req-1", true, 1));
    while world.gate.counters().logged == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.said()[..2], ["a: events 001", "a: req-1"]);
}

#[tokio::test]
async fn events_beyond_the_queue_are_dropped_and_counted() {
    let world = World::new(&[Plugin::new("a").log(&Answers(()))]).await;
    // Nothing is taken from the queue meanwhile: all runs on this thread, which does not wait.
    for number in 0..9000 {
        world.gate.begin().finish(ended(&format!("req-{number}"), true, 1));
    }
    assert_eq!(world.gate.counters().log_dropped, 9000 - 8192);
    world.gate.drain().await;
    assert_eq!(
        world.gate.counters(),
        GateCounters { logged: 8192, log_dropped: 808, ..GateCounters::default() }
    );
}

#[tokio::test]
async fn a_logger_that_fails_does_not_keep_events_from_the_others() {
    for failing in [Plugin::new("a").log(&Traps), Plugin::new("a").log(&Hangs)] {
        let world = World::new(&[failing, Plugin::new("b").log(&Answers(()))]).await;
        world.gate.begin().finish(ended("req-1", true, 1));
        world.gate.begin().finish(ended("req-2", true, 1));
        let said = world.said_in_the_end().await;
        assert!(said.contains(&"b: events 002".to_owned()), "{said:?}");
        assert_eq!(
            world.gate.counters(),
            GateCounters { logged: 2, log_failures: 2, ..GateCounters::default() }
        );
    }
}

/// What a call took that has no answer belongs to nobody, and would be missing until it expires.
#[tokio::test]
async fn what_a_failed_admission_took_is_put_back() {
    let limiter = |does| World::new_one(Plugin::new("a").rate_limit(does).taking());
    let world = limiter(Traps).await;
    for _ in 0..5 {
        let passage = world.gate.begin();
        assert!(passage.admit(&operation()).await.is_err());
        assert_eq!(world.said_in_the_end().await[0], "a: counted 1, left 2");
    }
    let world = limiter(Answers(Admission::Pass)).await;
    for left in ["a: counted 1, left 2", "a: counted 2, left 1"] {
        let passage = world.gate.begin();
        passage.admit(&operation()).await.expect("it passes");
        assert_eq!(world.said_in_the_end().await[0], left, "what is answered stays taken");
    }
}

/// A plugin may keep what it saw in one phase and say it in another.
#[tokio::test]
async fn no_later_phase_says_a_credential() {
    let allow = Answers(Authentication::Allow { tenant: None, cache_for_ms: None });
    for options in [&[][..], &[("isolation", "reuse")]] {
        let plugin = Plugin::new("a").authenticate(allow.clone()).keeping_the_credential();
        let plugin = plugin.rate_limit(Answers(Admission::Pass)).saying_the_credential("admit");
        let world = World::with_options(&[plugin], options).await;
        let passage = world.gate.begin();
        passage.authenticate(&head("/x")).await.expect("known");
        passage.admit(&operation()).await.expect("it passes");
        assert!(world.said().contains(&"a: [redacted]".to_owned()), "{options:?}");
    }
}
