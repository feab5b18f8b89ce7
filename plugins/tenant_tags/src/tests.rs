use mlx_gate_plugin::tagging::Tagging as _;
use mlx_gate_plugin::testing::{configure, configure_with_files, operation};
use mlx_gate_plugin::{Principal, Priority, Tags};
use serde_json::{Value, json};

use crate::TenantTags;

fn from_file(text: &str) -> Result<TenantTags, String> {
    configure_with_files(r#"{"file": "tags.toml"}"#, &[("tags.toml", text)])
}

fn anna() -> Principal {
    Principal {
        tenant: Some("acme".to_owned()),
        roles: vec!["dev".to_owned()],
        claims: vec![("team".to_owned(), "search".to_owned()), ("plan".to_owned(), "gold".to_owned())],
        ..Principal::new("anna")
    }
}

fn tag(plugin: &TenantTags, who: Option<Principal>) -> Tags {
    plugin.tag(who, operation("chat", "qwen3"))
}

fn tags_by(rules: &str, who: Option<Principal>) -> Tags {
    tag(&from_file(rules).expect("sound rules"), who)
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_example_of_the_readme_holds() {
    let readme = include_str!("../README.md");
    let example =
        readme.split("```").find_map(|block| block.strip_prefix("toml\n")).expect("there is an example");
    let tags = tags_by(example, Some(anna()));
    assert_eq!((tags.priority, tags.weight), (Some(Priority::High), Some(4.0)));
    assert_eq!(tags.labels, pairs(&[("team", "search")]));
    assert_eq!(tags.cache_scope.as_deref(), Some("tenant:acme"));
    let upstream = [("x-team", "acme/search"), ("x-tenant-id", "acme")];
    assert_eq!(tags.upstream_headers, pairs(&upstream));
    let nightly = Principal { roles: vec!["nightly".to_owned()], ..anna() };
    let tags = tags_by(example, Some(nightly));
    assert_eq!((tags.priority, tags.cache_scope.as_deref()), (Some(Priority::Batch), Some("nightly")));
    let tags = tags_by(example, None);
    assert_eq!((tags.tenant.as_deref(), tags.priority), (Some("public"), Some(Priority::Batch)));
}

#[test]
fn without_rules_the_principal_speaks_for_itself() {
    let plugin = configure::<TenantTags>("{}").expect("it needs no options");
    let tags = tag(&plugin, Some(anna()));
    let expected = Tags {
        tenant: Some("acme".to_owned()),
        cache_scope: Some("tenant:acme".to_owned()),
        ..Tags::default()
    };
    assert_eq!(tags, expected);
    let urgent = Principal { claims: pairs(&[("priority", "high")]), ..anna() };
    let tags = tag(&plugin, Some(urgent));
    assert_eq!(tags.priority, Some(Priority::High));
    let odd = Principal { claims: pairs(&[("priority", "Highest")]), ..anna() };
    assert_eq!(tag(&plugin, Some(odd)).priority, None);
    let nobody = tag(&plugin, None);
    assert_eq!(nobody, Tags { cache_scope: Some("anonymous".to_owned()), ..Tags::default() });
}

#[test]
fn callers_share_a_cache_only_where_they_are_meant_to() {
    let shared = configure::<TenantTags>("{}").expect("sound options");
    let own = configure::<TenantTags>(r#"{"cache-scope": "principal"}"#).expect("sound options");
    let scope = |plugin: &TenantTags, tenant: Option<&str>, subject: &str| {
        let who = Principal { tenant: tenant.map(str::to_owned), ..Principal::new(subject) };
        tag(plugin, Some(who)).cache_scope.expect("there is always one")
    };
    let acme = Some("acme");
    assert_eq!(scope(&shared, acme, "anna"), scope(&shared, acme, "bob"));
    assert_ne!(scope(&own, acme, "anna"), scope(&own, acme, "bob"));
    assert_eq!(scope(&own, acme, "anna"), scope(&own, acme, "anna"));
    // Whatever somebody is called, nobody comes into another's scope.
    let long = "x".repeat(256);
    let callers = [
        (None, "anna"),
        (None, "acme"),
        (None, "tenant:acme"),
        (None, "anonymous"),
        (None, ":anna"),
        (Some("anna"), "x"),
        (Some("a"), "b:c"),
        (Some("a:b"), "c"),
        (Some("anonymous"), "x"),
        (Some(&long[..]), "x"),
        (Some(&long[1..]), "x"),
        (None, &long[..]),
    ];
    for plugin in [&shared, &own] {
        let mut scopes: Vec<_> =
            callers.iter().map(|(tenant, subject)| scope(plugin, *tenant, subject)).collect();
        scopes.push(tag(plugin, None).cache_scope.expect("there is always one"));
        assert!(scopes.iter().all(|scope| scope.len() <= 256), "{scopes:?}");
        let count = scopes.len();
        scopes.sort();
        scopes.dedup();
        assert_eq!(scopes.len(), count, "{scopes:?}");
    }
}

#[test]
fn later_rules_go_over_earlier_ones() {
    let rules = r#"
        [[tag]]
        tenant = "{claim.team}"
        priority = "normal"
        weight = 2
        adapter = "one"
        labels = { a = "1", b = "{tenant}" }
        headers = { x-a = "1", x-c = "3" }

        [[tag]]
        roles = ["dev"]
        claims = { plan = "g*" }
        priority = "high"
        adapter = "{claim.absent}"
        labels = { a = "2", c = "{claim.absent|subject}" }
        headers = { x-a = "{priority} {model} {endpoint}", x-b = "{claim.absent}", x-c = "" }

        [[tag]]
        roles = ["ops"]
        priority = "batch"
        weight = 0.5
    "#;
    let expected = Tags {
        tenant: Some("search".to_owned()),
        priority: Some(Priority::High),
        weight: Some(2.0),
        adapter: Some("one".to_owned()),
        cache_scope: Some("tenant:search".to_owned()),
        labels: pairs(&[("b", "search"), ("a", "2"), ("c", "anna")]),
        upstream_headers: pairs(&[("x-a", "high qwen3 chat")]),
    };
    assert_eq!(tags_by(rules, Some(anna())), expected);
}

#[test]
fn rules_are_about_whom_they_say() {
    let high = |rule: &str, who: Option<Principal>| {
        tags_by(&format!("[[tag]]\npriority = 'high'\n{rule}"), who).priority.is_some()
    };
    for (rule, known, anonymous) in [
        ("", true, true),
        ("callers = 'anonymous'", false, true),
        ("callers = 'authenticated'", true, false),
        ("subjects = ['an*']", true, false),
        ("tenants = ['acme']", true, false),
        ("tenants = ['initech']", false, false),
        ("claims = { plan = 'gold', team = '*' }", true, false),
        ("claims = { plan = 'gold', absent = '*' }", false, false),
        ("claims = { plan = 'silver' }", false, false),
        ("models = ['qwen*']", true, true),
        ("models = ['llama*']", false, false),
        ("endpoints = ['chat']", true, true),
        ("endpoints = ['embedding']", false, false),
    ] {
        assert_eq!(high(rule, Some(anna())), known, "{rule}");
        assert_eq!(high(rule, None), anonymous, "{rule}");
    }
}

#[test]
fn header_values_are_printable_whatever_a_tenant_is_called() {
    let who = Principal { tenant: Some("Čapek & 100%".to_owned()), ..anna() };
    let tags = tags_by("[[tag]]\nheaders = { x-account = '{tenant}' }", Some(who));
    assert_eq!(tags.upstream_headers, pairs(&[("x-account", "%C4%8Capek & 100%25")]));
}

#[test]
fn what_a_claim_holds_fits_where_it_goes() {
    let claims = vec![("long".to_owned(), "é".repeat(1_000)), ("odd".to_owned(), "a\nb".to_owned())];
    let who = Principal { claims, ..anna() };
    let by = |claim: &str| {
        let rule =
            format!("[[tag]]\ncache-scope = '{{claim.{claim}}}'\nlabels = {{ l = '{{claim.{claim}}}' }}");
        let tags = tags_by(&rule, Some(who.clone()));
        (tags.cache_scope.expect("there is always one"), tags.labels[0].1.clone())
    };
    let (scope, label) = by("long");
    assert!(scope.starts_with("scope:") && scope.len() == 70, "{scope}");
    assert_eq!(label, "é".repeat(128));
    let (scope, label) = by("odd");
    assert!(scope.starts_with("scope:"), "{scope}");
    assert_eq!(label, "a b");
}

#[test]
fn rules_may_stand_in_the_options() {
    let options = json!({ "tag": [{ "roles": ["dev"], "weight": 3 }], "file": "tags.toml" }).to_string();
    let files = [("tags.toml", "[[tag]]\nweight = 2\npriority = 'high'")];
    let plugin = configure_with_files::<TenantTags>(&options, &files).expect("sound options");
    let tags = tag(&plugin, Some(anna()));
    assert_eq!((tags.weight, tags.priority), (Some(3.0), Some(Priority::High)));
}

#[test]
fn mistakes_name_file_rule_and_key() {
    for (rule, expected) in [
        ("priority = 'urgent'", "tag 2, `priority` is `batch`, `normal` or `high`"),
        (
            "endpoints = ['cha*', 'embeddings']",
            "tag 2, `endpoints`: `embeddings` fits none of chat, completion, embedding, rerank, score, message, response, \
             count-tokens, tokenize, models",
        ),
        ("weight = 0", "tag 2, `weight` is 0.01 to 100; 1 is usual"),
        ("weight = nan", "tag 2, `weight` is 0.01 to 100; 1 is usual"),
        ("roles = []", "tag 2, `roles` is empty, so the rule would be about nobody or nothing"),
        (
            "roles = ['a']\ncallers = 'anonymous'",
            "tag 2, `callers`: a caller without a name is in none of the lists; leave one of the two out",
        ),
        ("tenant = ''", "tag 2, `tenant` has 1 to 256 bytes and no control characters"),
        (
            "tenant = '{header.x}'",
            "tag 2, `tenant`: `{header.x}` is none of {subject}, {tenant}, {priority}, {model}, {endpoint} and {claim.NAME}",
        ),
        ("tenant = '{tenant'", "tag 2, `tenant`: `{tenant`: a placeholder is a name in braces, `{tenant}`"),
        ("tenant = 'a}'", "tag 2, `tenant`: `a}`: a placeholder is a name in braces, `{tenant}`"),
        (
            "labels = { 'a b' = 'c' }",
            "tag 2, `labels.a b`: a label's name has 1 to 64 lower case letters, digits and `_`, a letter first",
        ),
        (
            "headers = { X-Team = 'c' }",
            "tag 2, `headers.X-Team`: a header's name has 1 to 64 lower case letters, digits and `-`",
        ),
        (
            "headers = { authorization = 'c' }",
            "tag 2, `headers.authorization`: this header is the server's own to set",
        ),
    ] {
        let found = from_file(&format!("[[tag]]\nweight = 1\n[[tag]]\n{rule}")).err();
        assert_eq!(found, Some(format!("`tags.toml`, {expected}")), "{rule}");
    }
    let unknown = from_file("[[tag]]\nwieght = 1").err().expect("there is no such key");
    assert!(unknown.starts_with("`tags.toml`, line 2, tag 1, `wieght`: unknown field"), "{unknown}");
    let options = |more: Value| configure::<TenantTags>(&more.to_string()).err();
    let found = options(json!({ "tag": [{ "weight": -1 }] }));
    assert_eq!(found.as_deref(), Some("tag 1, `weight` is 0.01 to 100; 1 is usual"));
    assert!(options(json!({ "cache-scope": "everybody" })).is_some());
}
