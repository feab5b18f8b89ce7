use mlx_gate_plugin::authorize::{Authorize as _, Verdict};
use mlx_gate_plugin::testing::{configure, configure_with_files, operation};
use mlx_gate_plugin::{Constraints, Operation, Principal};
use serde_json::{Value, json};

use crate::Policy;

fn from_file(text: &str) -> Result<Policy, String> {
    configure_with_files(r#"{"file": "policy.toml"}"#, &[("policy.toml", text)])
}

fn policy(text: &str) -> Policy {
    from_file(text).expect("a sound policy")
}

/// `role`, `tenant/role`, or nobody.
fn caller(text: &str) -> Option<Principal> {
    let (tenant, role) = text.split_once('/').map_or((None, text), |(tenant, role)| (Some(tenant), role));
    (!text.is_empty()).then(|| Principal {
        tenant: tenant.map(str::to_owned),
        roles: vec![role.to_owned()],
        ..Principal::new("anna")
    })
}

fn ask(policy: &Policy, who: &str, what: Operation) -> Result<Constraints, String> {
    match policy.authorize(caller(who), what) {
        Verdict::Allow(constraints) => Ok(constraints),
        Verdict::Deny(denial) => {
            assert_eq!(denial.status, 403);
            assert!(!denial.message.is_empty() && denial.message.len() <= 2048);
            Err(denial.code)
        }
        Verdict::NoOpinion => panic!("a policy always has an opinion"),
    }
}

/// `allow`, or the code of the refusal.
fn verdict(policy: &Policy, who: &str, what: Operation) -> String {
    ask(policy, who, what).map_or_else(|code| code, |_| "allow".to_owned())
}

#[test]
fn the_example_of_the_readme_holds() {
    let readme = include_str!("../README.md");
    let example =
        readme.split("```").find_map(|block| block.strip_prefix("toml\n")).expect("there is an example");
    let policy = policy(example);
    let most = |who, model| ask(&policy, who, operation("chat", model)).map(|found| found.max_output_tokens);
    assert_eq!(most("dev", "qwen3-4b"), Ok(Some(1000)));
    assert_eq!(most("researcher", "qwen3-4b"), Ok(None));
    assert_eq!(most("dev", "qwen3-32b"), Err("model_not_allowed".to_owned()));
    assert_eq!(most("researcher", "qwen4-preview"), Err("denied_by_policy".to_owned()));
    let served = ask(&policy, "acme/dev", operation("chat", "gpt-4o-mini")).map(|found| found.model);
    assert_eq!(served, Ok(Some("qwen3-8b".to_owned())));
}

#[test]
fn a_caller_is_told_what_is_missing() {
    let policy = policy(
        r#"
        [[allow]]
        roles = ["dev"]
        endpoints = ["chat", "embedding"]
        models = ["qwen*"]
        adapters = ["acme-*"]
        streaming = false
        tools = false
        images = false
        max-input-tokens = 100

        [[allow]]
        roles = ["dev"]
        endpoints = ["chat"]
        models = ["qwen*"]
        adapters = ["acme-*"]
        streaming = false
        tools = false
        images = false
        max-input-tokens = 50

        [[deny]]
        models = ["*-secret"]
        reason = "that one is not ready"

        [[deny]]
        adapters = ["acme-old"]
        "#,
    );
    let chat = || operation("chat", "qwen3");
    let with = |change: fn(&mut Operation)| {
        let mut what = chat();
        change(&mut what);
        what
    };
    let message = |what| match policy.authorize(caller("dev"), what) {
        Verdict::Deny(denial) => denial.message,
        _ => panic!("it is refused"),
    };
    for (who, what, expected) in [
        ("dev", chat(), "allow"),
        ("", chat(), "caller_not_allowed"),
        ("guest", chat(), "caller_not_allowed"),
        ("Dev", chat(), "caller_not_allowed"),
        ("dev", operation("completion", "qwen3"), "endpoint_not_allowed"),
        ("dev", operation("chat", "llama"), "model_not_allowed"),
        ("dev", operation("chat", "Qwen3"), "model_not_allowed"),
        ("dev", with(|what| what.model = None), "model_not_allowed"),
        ("dev", with(|what| what.adapter = Some("acme-1".into())), "allow"),
        ("dev", with(|what| what.adapter = Some("initech".into())), "adapter_not_allowed"),
        ("dev", with(|what| what.adapter = Some("acme-old".into())), "denied_by_policy"),
        ("dev", with(|what| what.streaming = true), "streaming_not_allowed"),
        ("dev", with(|what| what.tools = 1), "tools_not_allowed"),
        ("dev", with(|what| what.images = 1), "images_not_allowed"),
        ("dev", with(|what| what.input_tokens = 100), "allow"),
        ("dev", with(|what| what.input_tokens = 101), "input_too_long"),
        ("dev", operation("chat", "qwen3-secret"), "denied_by_policy"),
        // A refusal speaks only where something would be allowed without it.
        ("guest", operation("chat", "qwen3-secret"), "caller_not_allowed"),
        ("dev", operation("chat", "llama-secret"), "model_not_allowed"),
    ] {
        let shown = format!("{who} {what:?}");
        assert_eq!(verdict(&policy, who, what), expected, "{shown}");
    }
    assert_eq!(message(operation("chat", "qwen3-secret")), "that one is not ready");
    let long = message(with(|what| what.input_tokens = 101));
    assert_eq!(long, "the prompt has about 101 tokens, and you may send 100");
    let huge = message(operation("chat", &"ä\n".repeat(5_000)));
    assert!(huge.starts_with("you may not use the model `ä ä") && huge.len() < 300, "{huge}");
    // Nothing of the policy is in what a stranger reads.
    let stranger = policy.authorize(None, chat());
    let Verdict::Deny(denial) = stranger else { panic!("strangers are refused") };
    for secret in ["dev", "qwen", "acme"] {
        assert!(!denial.message.contains(secret), "{}", denial.message);
    }
}

#[test]
fn permissions_add_up_in_any_order() {
    let small = "[[allow]]\nroles = ['dev']\nmodels = ['a']\nmax-output-tokens = 10\n";
    let large = "[[allow]]\ntenants = ['acme']\nmodels = ['a*']\nmax-output-tokens = 20\n";
    let endless = "[[allow]]\nroles = ['ops']\n";
    for text in [format!("{small}{large}{endless}"), format!("{endless}{large}{small}")] {
        let policy = policy(&text);
        let most = |who, model| {
            ask(&policy, who, operation("chat", model)).map(|constraints| constraints.max_output_tokens)
        };
        assert_eq!(most("dev", "a"), Ok(Some(10)));
        assert_eq!(most("acme/dev", "a"), Ok(Some(20)));
        assert_eq!(most("acme/dev", "ab"), Ok(Some(20)));
        assert_eq!(most("acme/ops", "a"), Ok(None));
        assert_eq!(most("initech/dev", "ab"), Err("model_not_allowed".to_owned()));
    }
}

#[test]
fn another_model_may_answer() {
    let policy = policy(
        r#"
        [[allow]]
        roles = ["gold"]
        models = ["best"]
        serve = "large"
        max-output-tokens = 5

        [[allow]]
        models = ["best", "gpt-*"]
        serve = "small"

        [[allow]]
        roles = ["barred"]
        models = ["other"]
        serve = "large"

        [[deny]]
        roles = ["barred"]
        models = ["large"]
        "#,
    );
    let serves = |who, model| {
        let constraints = ask(&policy, who, operation("chat", model))?;
        // Whoever carries on checks the model it will use against the list.
        let served = constraints.model.clone().unwrap_or_else(|| model.to_owned());
        assert_eq!(constraints.models, Some(vec![served]));
        Ok(constraints.model)
    };
    assert_eq!(serves("gold", "best"), Ok(Some("large".to_owned())));
    let gold = ask(&policy, "gold", operation("chat", "best")).expect("allowed");
    assert_eq!(
        gold.max_output_tokens,
        Some(5),
        "that the small model has no cap is no leave for the large one"
    );
    assert_eq!(serves("dev", "best"), Ok(Some("small".to_owned())));
    assert_eq!(serves("gold", "gpt-4o"), Ok(Some("small".to_owned())));
    assert_eq!(serves("dev", "large"), Err("model_not_allowed".to_owned()));
    assert_eq!(serves("barred", "other"), Err("denied_by_policy".to_owned()));
}

#[test]
fn the_list_of_models_is_the_callers_own() {
    let policy = policy(
        r#"
        [[allow]]
        roles = ["dev", "former"]
        endpoints = ["chat"]
        models = ["qwen*", "llama"]

        [[allow]]
        roles = ["dev", "gold"]
        models = ["best", "llama"]
        serve = "large"

        [[allow]]
        roles = ["ops"]

        [[allow]]
        callers = "anonymous"
        models = ["demo"]

        [[deny]]
        roles = ["dev", "gold"]
        models = ["*-secret"]

        [[deny]]
        endpoints = ["embedding"]
        models = ["llama"]

        [[deny]]
        roles = ["former"]
        "#,
    );
    for (who, expected) in [
        ("dev", Ok(vec!["!*-secret", "qwen*", "llama", "large"])),
        ("gold", Ok(vec!["!*-secret", "large"])),
        ("ops", Ok(vec!["*"])),
        ("", Ok(vec!["demo"])),
        ("guest", Err("caller_not_allowed")),
        ("former", Err("denied_by_policy")),
    ] {
        let listed = |model: Option<&str>| {
            let what = Operation { model: model.map(str::to_owned), ..operation("models", "") };
            let list = ask(&policy, who, what).map(|constraints| constraints.models.expect("a list"));
            let expected = expected.clone().map_err(str::to_owned);
            assert_eq!(list, expected.map(|list| list.into_iter().map(str::to_owned).collect()), "{who}");
        };
        listed(None);
        // One model is looked for in the same list: what is refused looks like what is not there.
        listed(Some("qwen-secret"));
    }
    let many = |table: &str, count: usize| {
        (0..count).fold(String::new(), |text, n| {
            format!("{text}[[{table}]]\ncallers='everyone'\nmodels = ['m{n}']\n")
        })
    };
    let cut = from_file(&(many("allow", 1100) + &many("deny", 3))).expect("a sound policy");
    let models = ask(&cut, "dev", operation("models", "")).expect("allowed").models.expect("a list");
    assert_eq!((models.len(), &models[2], &models[1023]), (1024, &"!m2".to_owned(), &"m1020".to_owned()));
}

#[test]
fn anonymous_callers_are_meant_only_by_name() {
    let ask = |callers: &str| {
        let allowed = policy(&format!("[[allow]]\n{callers}"));
        let refused =
            policy(&format!("[[allow]]\ncallers = 'everyone'\n[[deny]]\nmodels = ['demo']\n{callers}"));
        [("", &allowed), ("dev", &allowed), ("", &refused), ("dev", &refused)]
            .map(|(who, policy)| verdict(policy, who, operation("chat", "demo")) == "allow")
    };
    // A permission without a word on it is for known callers, a refusal for all.
    assert_eq!(ask(""), [false, true, false, false]);
    assert_eq!(ask("callers = 'authenticated'"), [false, true, true, false]);
    assert_eq!(ask("callers = 'anonymous'"), [true, false, false, true]);
    assert_eq!(ask("callers = 'everyone'"), [true, true, false, false]);
    assert_eq!(ask("roles = ['dev']"), [false, true, true, false]);
    assert_eq!(ask("subjects = ['*']"), [false, true, true, false]);
}

#[test]
fn a_policy_may_stand_in_the_options() {
    let options = |more: Value| configure::<Policy>(&more.to_string());
    let allow = json!([{ "roles": ["dev"], "max-output-tokens": 7 }]);
    let policy = options(json!({ "allow": allow, "test": [{ "roles": ["dev"], "expect": "allow" }] }));
    assert_eq!(verdict(&policy.expect("sound options"), "dev", operation("chat", "m")), "allow");
    let both = json!({ "file": "policy.toml", "allow": allow }).to_string();
    let both = configure_with_files::<Policy>(&both, &[("policy.toml", "[[deny]]\nmodels = ['m']")]);
    assert_eq!(verdict(&both.expect("sound options"), "dev", operation("chat", "m")), "denied_by_policy");
    let wrong = options(json!({ "allow": [{}, { "roles": [] }] }));
    let expected = "allow 2, `roles` is empty, so the rule would be about nobody or nothing";
    assert_eq!(wrong.err().as_deref(), Some(expected));
}

#[test]
fn mistakes_name_file_rule_and_key() {
    let good = "[[allow]]\nroles = ['dev']\n";
    for (text, expected) in [
        ("", "the policy has no `[[allow]]`, so nobody could do anything"),
        (
            &format!("{good}[[deny]]"),
            "deny 1 names neither callers nor what they may not do, so nobody could do anything",
        ),
        (
            "[[allow]]\nmodles = ['a']",
            "`policy.toml`, line 2, allow 1, `modles`: unknown field `modles`, expected one of `callers`, `subjects`, \
             `tenants`, `roles`, `scopes`, `models`, `endpoints`, `adapters`, `streaming`, `tools`, `images`, \
             `max-input-tokens`, `max-output-tokens`, `serve`",
        ),
        (
            &format!("{good}[[allow]]\nroles = 'dev'"),
            "`policy.toml`, line 4, allow 2, `roles`: invalid type: string, expected a sequence",
        ),
        (
            "[[allow]]\nmax-output-tokens = 0",
            "`policy.toml`, allow 1, `max-output-tokens`: 0 would allow nothing; leave the permission out",
        ),
        (
            &format!("{good}[[deny]]\nendpoints = ['chats']"),
            "`policy.toml`, deny 1, `endpoints`: `chats` is none of chat, completion, embedding, rerank, score, \
             message, response, count-tokens, tokenize, models",
        ),
        (
            "[[allow]]\nendpoints = []",
            "`policy.toml`, allow 1, `endpoints` is empty, so the rule would be about nobody or nothing",
        ),
        (
            "[[allow]]\nmodels = ['*', '!a']",
            "`policy.toml`, allow 1, `models`: there is no `!` here; write a `[[deny]]`",
        ),
        (
            "[[allow]]\nmodels = ['']",
            "`policy.toml`, allow 1, `models` has at most 128 entries of 1 to 256 bytes",
        ),
        ("[[allow]]\nserve = 'a*'", "`policy.toml`, allow 1, `serve` is the name of one model, without `*`"),
        (
            "[[allow]]\ncallers = 'everyone'\nroles = ['a']",
            "`policy.toml`, allow 1, `callers`: a caller without a name is in none of the lists; leave one of the two out",
        ),
        (
            &format!("{good}[[deny]]\nmodels = ['a']\nreason = ''"),
            "`policy.toml`, deny 1, `reason` has 1 to 1024 bytes",
        ),
        (
            &format!("{good}[[test]]\nroles = ['dev']\nendpoint = 'embeddings'\nexpect = 'allow'"),
            "`policy.toml`, test 1: `endpoint`: `embeddings` is none of chat, completion, embedding, rerank, score, message, \
             response, count-tokens, tokenize, models",
        ),
        (
            &format!("{good}[[test]]\nroles = ['dev']\nexpect = 'allow'\n[[test]]\nexpect = 'allow'"),
            "`policy.toml`, test 2: expected `allow`, but the policy says `caller_not_allowed`",
        ),
        (
            &format!("{good}[[test]]\nroles = ['dev']\nmodel = 'a'\nserve = 'b'\nexpect = 'allow'"),
            "`policy.toml`, test 1: expected the model `b` to answer, but it is `a`",
        ),
        (&format!("{good}[[test]]"), "`policy.toml`, line 3, test 1: missing field `expect`"),
    ] {
        assert_eq!(from_file(text).err().as_deref(), Some(expected), "{text}");
    }
}
