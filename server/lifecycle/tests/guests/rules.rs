//! How several plugins of one phase decide together.

use mlx_gate_core::{Lifecycle as _, Priority};

use crate::guest::head;
use crate::plugin::{
    Admission, Answers, Authentication, Authorization, Bounds, Does, Hangs, Plugin, Tags, Traps,
};
use crate::world::{World, bounds, operation, pass, refused};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TRAP: &str = "trapped: wasm trap: wasm `unreachable` instruction executed";

fn authorizers(chain: &[Does<Authorization>]) -> Vec<Plugin> {
    let named = NAMES.iter().zip(chain);
    named.map(|(name, does)| Plugin::new(name).authorize(does.clone())).collect()
}

fn limiters(chain: &[Does<Admission>]) -> Vec<Plugin> {
    let named = NAMES.iter().zip(chain);
    named.map(|(name, does)| Plugin::new(name).rate_limit(does.clone())).collect()
}

fn within(bounds: Bounds) -> Does<Authorization> {
    Answers(Authorization::Allow(bounds))
}

fn reserve(ticket: u64) -> Does<Admission> {
    Answers(Admission::Reserve { ticket, headers: &[] })
}

#[tokio::test]
async fn authorizers_allow_what_all_of_them_allow() {
    let none = Bounds::default();
    let tokens = |tokens| within(Bounds { tokens: Some(tokens), ..none });
    let model = |model| within(Bounds { model: Some(model), ..none });
    let models = |models| within(Bounds { models: Some(models), ..none });
    let adapters = |adapters| within(Bounds { adapters: Some(adapters), ..none });
    let no_opinion = || Answers(Authorization::NoOpinion);
    let deny = || Answers(Authorization::Deny);
    let cases = [
        (vec![], "anything".to_owned()),
        (vec![no_opinion()], "not allowed".to_owned()),
        (vec![no_opinion(), within(none)], "anything".to_owned()),
        (vec![within(none), no_opinion()], "anything".to_owned()),
        (vec![within(none), deny()], "authorize/b denies: 403 no".to_owned()),
        (vec![deny(), within(none)], "authorize/a denies: 403 no".to_owned()),
        (vec![tokens(100), tokens(50), tokens(70)], "50 tokens".to_owned()),
        (vec![tokens(100), within(none)], "100 tokens".to_owned()),
        (vec![tokens(u64::MAX)], format!("{} tokens", u32::MAX)),
        (vec![model("x"), within(none), model("x")], "as x".to_owned()),
        (
            vec![model("x"), model("y")],
            "authorize/b answered the model `y`, where an authorizer before it answered `x`".to_owned(),
        ),
        (vec![models(&["a*", "b"]), models(&["*1"])], "models a* b, models *1".to_owned()),
        (vec![adapters(&["x", "y"]), within(none), adapters(&["z", "y"])], "adapters y".to_owned()),
        (vec![adapters(&["x"]), adapters(&["y"])], "adapters ".to_owned()),
        (vec![Traps, within(none)], format!("authorize/a {TRAP}")),
        (vec![within(none), Traps], format!("authorize/b {TRAP}")),
        (
            vec![tokens(0)],
            "authorize/a answered an allowance of 0 tokens; deny what may not be answered".to_owned(),
        ),
    ];
    for (chain, expected) in cases {
        let world = World::new(&authorizers(&chain)).await;
        let outcome = world.gate.begin().authorize(&operation()).await;
        assert_eq!(outcome.map_or_else(refused, |given| bounds(&given)), expected, "{chain:?}");
    }
}

#[tokio::test]
async fn rate_limiters_all_have_to_let_a_request_pass() {
    let pass = || Answers(Admission::Pass);
    let deny = || Answers(Admission::Deny);
    for (chain, expected, said) in [
        (vec![], "admitted", &[][..]),
        (vec![pass(), pass()], "admitted", &["a: admit 1", "b: admit 1"]),
        (vec![pass(), deny(), pass()], "rate-limit/b denies: 429 no", &["a: admit 1", "b: admit 1"]),
        (
            vec![reserve(1), pass(), deny()],
            "rate-limit/c denies: 429 no",
            &["a: admit 1", "b: admit 1", "c: admit 1", "a: settled 1 0 0"],
        ),
        (
            vec![reserve(1), reserve(2), deny()],
            "rate-limit/c denies: 429 no",
            &["a: admit 1", "b: admit 1", "c: admit 1", "a: settled 1 0 0", "b: settled 2 0 0"],
        ),
        (
            vec![reserve(1), Traps],
            "rate-limit/b trapped: wasm trap: wasm `unreachable` instruction executed",
            &["a: admit 1", "b: admit 1", "a: settled 1 0 0"],
        ),
        (
            vec![reserve(1), Hangs],
            "rate-limit/b did not return within 100 ms",
            &["a: admit 1", "b: admit 1", "b: admit 1", "a: settled 1 0 0"],
        ),
        // What an unusable answer reserves is given back all the same.
        (
            vec![Answers(Admission::Reserve { ticket: 1, headers: &[("content-length", "0")] })],
            "rate-limit/a answered the header `content-length`, which is not a plugin's to set",
            &["a: admit 1", "a: settled 1 0 0"],
        ),
    ] {
        let world = World::new(&limiters(&chain)).await;
        let passage = world.gate.begin();
        let outcome = passage.admit(&operation()).await;
        assert_eq!(outcome.map_or_else(refused, |_| "admitted".to_owned()), expected, "{chain:?}");
        // Reservations that were given back when the request was refused are not given back again at its end.
        drop(passage);
        assert_eq!(world.said_in_the_end().await, said, "{chain:?}");
    }
}

#[tokio::test]
async fn headers_of_later_reservations_go_over_earlier_ones() {
    let chain = [
        Answers(Admission::Reserve { ticket: 1, headers: &[("x-ratelimit-limit", "5"), ("x-a", "1")] }),
        Answers(Admission::Reserve { ticket: 2, headers: &[("x-b", "2"), ("x-ratelimit-limit", "3")] }),
    ];
    let world = World::new(&limiters(&chain)).await;
    let admission = world.gate.begin().admit(&operation()).await.expect("admitted");
    let headers: Vec<_> =
        admission.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("x-ratelimit-limit", "3"), ("x-a", "1"), ("x-b", "2")]);
}

#[tokio::test]
async fn tags_of_later_plugins_go_over_those_of_earlier_ones() {
    let who = Answers(Authentication::Allow { tenant: Some("acme"), cache_for_ms: None });
    let one = Tags {
        priority: Some(2),
        weight: Some(2.0),
        adapter: Some("first"),
        cache_scope: Some("shared"),
        labels: &[("team", "red"), ("region", "eu")],
        upstream_headers: &[("x-route", "blue")],
        ..Tags::default()
    };
    let two = Tags {
        weight: Some(0.5),
        adapter: Some("second"),
        labels: &[("cost", "7"), ("team", "green")],
        upstream_headers: &[("x-more", "1")],
        ..Tags::default()
    };
    let plugins = [
        Plugin::new("a").authenticate(who),
        Plugin::new("b").tag(Answers(one)),
        Plugin::new("c").tag(Answers(two)),
    ];
    let world = World::new(&plugins).await;
    let passage = world.gate.begin();
    passage.authenticate(&head("/x")).await.expect("known");
    let tags = passage.tag(&operation()).await.expect("tagged");
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(
        tags,
        mlx_gate_core::Tags {
            // The caller's, as no plugin says another.
            tenant: Some("acme".to_owned()),
            priority: Priority::High,
            weight: 0.5,
            adapter: Some("second".to_owned()),
            cache_scope: Some("shared".to_owned()),
            labels: pairs(&[("team", "green"), ("region", "eu"), ("cost", "7")]),
            upstream_headers: pairs(&[("x-route", "blue"), ("x-more", "1")]),
        }
    );
    let tenant = Tags { tenant: Some("other"), ..Tags::default() };
    let plugins = [plugins[0].clone(), Plugin::new("b").tag(Answers(tenant))];
    let world = World::new(&plugins).await;
    let passage = world.gate.begin();
    passage.authenticate(&head("/x")).await.expect("known");
    assert_eq!(passage.tag(&operation()).await.expect("tagged").tenant.as_deref(), Some("other"));
    // Without taggers and callers there is nothing to say.
    let world = World::new(&[]).await;
    assert_eq!(world.gate.begin().tag(&operation()).await, Ok(mlx_gate_core::Tags::default()));
}

#[tokio::test]
async fn a_tagger_that_fails_refuses_the_request() {
    for (does, expected) in [
        (Traps, format!("tag/a {TRAP}")),
        (Hangs, "tag/a did not return within 100 ms".to_owned()),
        (
            Answers(Tags { weight: Some(-1.0), ..Tags::default() }),
            "tag/a answered the weight -1; weights are from 0.001 to 1000".to_owned(),
        ),
    ] {
        let world =
            World::new(&[Plugin::new("a").tag(does), Plugin::new("b").tag(Answers(Tags::default()))]).await;
        let outcome = world.gate.begin().tag(&operation()).await;
        assert_eq!(outcome.map_or_else(refused, |_| "tagged".to_owned()), expected);
    }
}

/// Whether a plugin is asked a second time shows in what it says.
#[tokio::test]
async fn a_call_that_ran_out_of_time_is_repeated_where_it_had_no_effect() {
    let plugins = [
        Plugin::new("a").authenticate(Hangs),
        Plugin::new("a").authorize(Hangs),
        Plugin::new("a").rate_limit(Hangs),
        Plugin::new("a").tag(Hangs),
        // Who deletes may have reserved.
        Plugin::new("a").rate_limit(Hangs).deleting("admit"),
    ];
    let expected: [&[&str]; 5] = [
        &["a: authenticate 1", "a: authenticate 1"],
        &["a: authorize 1", "a: authorize 1"],
        &["a: admit 1", "a: admit 1"],
        &["a: tag 1", "a: tag 1"],
        &["a: admit 1"],
    ];
    for (plugin, expected) in plugins.into_iter().zip(expected) {
        let world = World::new(&[plugin]).await;
        pass(&*world.gate.begin()).await.expect_err("it hangs");
        assert_eq!(world.said(), expected);
    }
}
