//! Which answers of authenticators are reused.

use std::sync::Arc;

use mlx_gate_core::{
    GateCounters, HeaderValue, Lifecycle as _, PluginAdmin as _, Principal, RequestHead, Secret,
};

use crate::guest::head;
use crate::plugin::{Answers, Authentication, Does, Plugin};
use crate::world::World;

const HOUR: Option<u64> = Some(3_600_000);

fn allow(cache_for_ms: Option<u64>) -> Does<Authentication> {
    Answers(Authentication::Allow { tenant: None, cache_for_ms })
}

async fn ask(world: &World, head: &RequestHead) -> Option<Arc<Principal>> {
    world.gate.begin().authenticate(head).await.ok().flatten()
}

fn with_key(key: &str) -> RequestHead {
    let mut head = head("/x");
    head.headers[0].1 = HeaderValue::Text(Secret::new(key));
    head
}

#[tokio::test]
async fn an_answer_is_reused_for_the_same_credentials() {
    let world = World::new(&[Plugin::new("a").authenticate(allow(HOUR))]).await;
    let first = ask(&world, &with_key("one")).await.expect("known");
    assert_eq!(world.said(), ["a: authenticate 1"]);

    let mut elsewhere = with_key("one");
    elsewhere.path = "/elsewhere".to_owned();
    elsewhere.headers[1].1 = HeaderValue::Text(Secret::new("another"));
    let again = ask(&world, &elsewhere).await.expect("known");
    assert!(Arc::ptr_eq(&first, &again));
    assert!(world.said().is_empty());
    assert_eq!(world.gate.counters(), GateCounters { remembered: 1, ..GateCounters::default() });

    ask(&world, &with_key("two")).await.expect("known");
    assert_eq!(world.said(), ["a: authenticate 1"]);

    // What was said of a request without credentials holds for that one alone.
    let mut bare = head("/x");
    bare.headers.remove(0);
    for _ in 0..2 {
        ask(&world, &bare).await.expect("known");
        assert_eq!(world.said(), ["a: authenticate 1"]);
    }
}

/// A header that the plugin sees may be what it decides by.
#[tokio::test]
async fn an_answer_is_reused_for_the_same_headers_the_plugin_asked_for() {
    let world = World::new(&[Plugin::reading("a", &["x-other"]).authenticate(allow(HOUR))]).await;
    let of = |organization: &str| {
        let mut head = with_key("one");
        head.headers[1].1 = HeaderValue::Text(Secret::new(organization));
        head
    };
    for (organization, asked) in [("alpha", true), ("alpha", false), ("beta", true), ("alpha", false)] {
        ask(&world, &of(organization)).await.expect("known");
        assert_eq!(world.said().is_empty(), !asked, "{organization}");
    }
    let mut without = with_key("one");
    without.headers.remove(1);
    ask(&world, &without).await.expect("known");
    assert_eq!(world.said(), ["a: authenticate 1"]);
}

#[tokio::test]
async fn what_is_not_to_be_reused_is_asked_again() {
    for (does, options) in [
        (allow(None), &[][..]),
        (allow(Some(0)), &[]),
        (allow(HOUR), &[("cache", "false")]),
        (Answers(Authentication::Deny), &[]),
        (Answers(Authentication::Abstain), &[]),
    ] {
        let world = World::with_options(&[Plugin::new("a").authenticate(does.clone())], options).await;
        for _ in 0..2 {
            ask(&world, &with_key("one")).await;
            assert_eq!(world.said(), ["a: authenticate 1"], "{does:?} {options:?}");
        }
    }
}

/// The first plugin has to be asked, because it might deny by now; the second one's answer is known.
#[tokio::test]
async fn plugins_before_the_one_that_vouched_are_asked_still() {
    let plugins = [
        Plugin::new("a").authenticate(Answers(Authentication::Abstain)),
        Plugin::new("b").authenticate(allow(HOUR)),
    ];
    let world = World::new(&plugins).await;
    ask(&world, &with_key("one")).await.expect("known");
    assert_eq!(world.said(), ["a: authenticate 1", "b: authenticate 1"]);
    ask(&world, &with_key("one")).await.expect("known");
    assert_eq!(world.said(), ["a: authenticate 1"]);
}
