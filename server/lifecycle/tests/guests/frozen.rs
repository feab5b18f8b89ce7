//! A component built against the first published version of the interface runs for ever after. `tests/guests/frozen/README.md`
//! says how it was made; it is never built again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mlx_gate_core::{
    Api, Dialect, Ended, FinishReason, Lifecycle as _, Operation, Outcome, Passage, Priority, Refusal, Usage,
};
use mlx_gate_lifecycle::{Config, Gate, PluginSpec};

use crate::guest::{header, limits};

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/frozen/0.1.0.wasm");

struct Frozen {
    gate: Gate,
    folder: tempfile::TempDir,
}

impl Frozen {
    async fn load() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (greeting, log) = (folder.path().join("greeting"), folder.path().join("log"));
        std::fs::write(&greeting, "good morning\n").unwrap();
        let spec: PluginSpec = format!(
            "{COMPONENT},password=open,greeting={},url=http://127.0.0.1:9/,log={},grant.kv=true",
            greeting.display(),
            log.display()
        )
        .parse()
        .unwrap();
        let gate =
            Gate::load(&Config { plugins: vec![spec], limits: limits(), ..Config::default() }, &[]).await;
        Self { gate: gate.unwrap_or_else(|error| panic!("{error}")), folder }
    }

    /// A request that gets past `authenticate`, with this deed.
    async fn begin(&self, deed: &str) -> Arc<dyn Passage> {
        let passage = self.gate.begin();
        let mut head = crate::guest::head("/v1/chat/completions");
        head.headers = vec![header("x-password", "open"), header("x-deed", deed)];
        let principal = passage.authenticate(&head).await.unwrap().unwrap();
        assert_eq!((principal.subject.as_str(), principal.tenant.as_deref()), ("friend", Some("arctic")));
        assert_eq!((principal.roles.len(), principal.scopes.len()), (1, 1));
        assert_eq!(principal.expires_at_ms, Some(4_000_000_000_000));
        let claim = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let claims = [claim("deed", deed), claim("greeting", "good morning"), claim("first-byte", "35")];
        assert_eq!(principal.claims, claims);
        passage
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn chat() -> Operation {
    Operation { model: Some("tiny".to_owned()), input_tokens: 3, ..Operation::new(Api::Chat) }
}

fn ended() -> Ended {
    Ended {
        id: "req-1".to_owned(),
        method: "POST".to_owned(),
        route: Some("/v1/chat/completions"),
        dialect: Dialect::OpenAi,
        peer: None,
        ran: true,
        usage: Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() },
        status: 200,
        outcome: Outcome::Finished(FinishReason::Stop),
        code: None,
        refused_by: None,
        started_at: SystemTime::UNIX_EPOCH,
        queued: Duration::ZERO,
        first_token: None,
        total: Duration::ZERO,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_decides_in_every_phase() {
    let frozen = Frozen::load().await;
    let passage = frozen.begin("none").await;
    let constraints = passage.authorize(&chat()).await.unwrap();
    assert_eq!(constraints.max_output_tokens, Some(77));
    let admission = passage.admit(&chat()).await.unwrap();
    assert_eq!(admission.headers, [("x-ratelimit-remaining".to_owned(), "1".to_owned())]);
    let tags = passage.tag(&chat()).await.unwrap();
    assert_eq!((tags.priority, tags.weight.to_bits()), (Priority::High, 2.0_f32.to_bits()));
    assert_eq!(tags.labels, [("team".to_owned(), "polar".to_owned())]);
    passage.finish(ended());
    drop(passage);
    frozen.gate.drain().await;
    let log = frozen.log();
    assert!(log.contains("settled ticket=1 ran=true output-tokens=5 last=admitted\n"), "{log}");
    assert!(log.contains("logged POST 200 stop friend\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ran_is_given_back() {
    let frozen = Frozen::load().await;
    for _ in 0..3 {
        let passage = frozen.begin("none").await;
        passage.authorize(&chat()).await.unwrap();
        passage.admit(&chat()).await.unwrap();
        drop(passage);
        frozen.gate.drain().await;
    }
    assert!(
        frozen.log().contains("settled ticket=1 ran=false output-tokens=0 last=admitted\n"),
        "{}",
        frozen.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses() {
    let frozen = Frozen::load().await;
    let mut head = crate::guest::head("/v1/chat/completions");
    match frozen.gate.begin().authenticate(&head).await {
        Err(Refusal::Unauthenticated { challenges }) => assert_eq!(challenges, ["Frozen realm=\"test\""]),
        other => panic!("{other:?}"),
    }
    head.headers = vec![header("x-password", "guess")];
    match frozen.gate.begin().authenticate(&head).await {
        Err(Refusal::Denied { denial, .. }) => {
            assert_eq!((denial.status, denial.code.as_str()), (401, "wrong_password"));
            assert_eq!(denial.challenge.as_deref(), Some("Frozen error=\"invalid\""));
        }
        other => panic!("{other:?}"),
    }
    for (deed, code, message) in [
        ("deny", "not_here", "not in the arctic"),
        ("http", "http", "failed"),
        ("jwks", "jwks", "unavailable"),
    ] {
        match frozen.begin(deed).await.authorize(&chat()).await {
            Err(Refusal::Denied { denial, .. }) => {
                assert_eq!(
                    (denial.status, denial.code.as_str(), denial.message.as_str()),
                    (403, code, message)
                );
            }
            other => panic!("{deed}: {other:?}"),
        }
    }
    let no_opinion = frozen.begin("no-opinion").await;
    assert!(matches!(no_opinion.authorize(&chat()).await, Err(Refusal::NotAllowed)));
}
