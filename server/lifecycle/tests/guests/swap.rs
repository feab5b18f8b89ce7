//! Plugins changed while requests run, as the admin API and SIGHUP change them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mlx_gate_core::{Lifecycle as _, Phase, PluginAdmin as _, PluginChange, PluginChangeError, PluginState};
use mlx_gate_lifecycle::{Config, Gate, PluginSpec, Source};
use serde_json::{Map, json};

use crate::guest::{Guest, ask, head, limits, load_file};

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_mins(1);

const DENY: &str = "(return (i32.const 1536))";
const ALLOWS: &str = "guest by guest";
const DENIES: &str = "denied by guest: 401 no";

/// Of nobody's: only its form counts.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBhzCCAS2gAwIBAgIUEszm4/NjF+qNbprAU88kOiX+klgwCgYIKoZIzj0EAwIw\n\
GDEWMBQGA1UEAwwNbWx4LWdhdGUgdGVzdDAgFw0yNjExMjIwMDI3MThaGA8yMTI2\n\
MTAyOTAwMjcxOFowGDEWMBQGA1UEAwwNbWx4LWdhdGUgdGVzdDBZMBMGByqGSM49\n\
AgEGCCqGSM49AwEHA0IABDzhO1j3GhkoDTFKZyIKmWE+sq4S7smujMx+UzqvMyzk\n\
EojqW4Ebq40QAs9TuSjqGg4vR1YIiCgC1VKb10zffxSjUzBRMB0GA1UdDgQWBBSp\n\
hpwqTdSX3eW3JxLdn0fEEsqOLDAfBgNVHSMEGDAWgBSphpwqTdSX3eW3JxLdn0fE\n\
EsqOLDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIFqbMSGMklYq\n\
UxTw5e70xcV0Oie99jtJ/oQoquFDxShjAiEAzgERchzukhm1hPG/hq0sNyToKSFt\n\
Tah8FctblfzdYdY=\n\
-----END CERTIFICATE-----\n";

/// A gate with one plugin in a file that the server does not follow by itself.
struct Scene {
    _folder: tempfile::TempDir,
    file: PathBuf,
    gate: Gate,
}

impl Scene {
    async fn new(component: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("guest.wasm");
        fs::write(&file, component).unwrap();
        let mut spec = PluginSpec::new(Source::File(file.clone()), Vec::new());
        spec.host.watch = false;
        let gate = Gate::load(&Config { plugins: vec![spec], limits: limits(), ..Config::default() }, &[])
            .await
            .unwrap();
        Self { _folder: folder, file, gate }
    }

    fn write(&self, component: impl AsRef<[u8]>) {
        fs::write(&self.file, component).unwrap();
    }

    async fn change(&self, change: PluginChange) -> Result<PluginState, PluginChangeError> {
        self.gate.change("guest", change).await
    }

    /// Why a change is refused.
    async fn refusal(&self, change: PluginChange) -> String {
        match self.change(change).await {
            Err(PluginChangeError::Rejected(reason)) => reason,
            other => panic!("this should have been rejected: {other:?}"),
        }
    }

    async fn ask(&self) -> String {
        ask(&self.gate, &head("/x")).await
    }
}

fn allowing() -> Vec<u8> {
    Guest::default().component()
}

fn denying() -> Vec<u8> {
    Guest::with("check", DENY).component()
}

/// Tags, and does not authenticate.
fn tagging() -> Vec<u8> {
    Guest::default().in_place_of_check("tagging@0.1.0#tag").world("tagger").component()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_the_file_holds_now() {
    let scene = Scene::new(allowing()).await;
    let before = scene.gate.list();
    assert_eq!(before.len(), 1);
    assert_eq!((before[0].id.as_str(), before[0].generation, before[0].changes), ("guest", 1, 0));
    assert_eq!(before[0].files, [scene.file.display().to_string()]);
    assert!(!before[0].can_roll_back);

    let same = scene.change(PluginChange::Reload).await.unwrap();
    assert_eq!(same, before[0], "nothing has changed, so nothing happens");

    scene.write(denying());
    assert_eq!(scene.ask().await, ALLOWS);
    let after = scene.change(PluginChange::Reload).await.unwrap();
    assert_eq!((after.generation, after.changes, after.can_roll_back), (2, 1, true));
    assert_ne!(after.digest, before[0].digest);
    assert_eq!(scene.gate.list(), [after]);
    assert_eq!(scene.ask().await, DENIES);
    assert_eq!(scene.gate.generation(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_the_last_good_one() {
    let scene = Scene::new(allowing()).await;
    let whole = denying();
    let cases: [(Vec<u8>, &str); 6] = [
        (b"garbage".to_vec(), "this is not WebAssembly"),
        (whole[..whole.len() / 2].to_vec(), "this is not a valid component"),
        (
            Guest::with("configure", "(return (i32.const 1200))").component(),
            "it refuses its configuration: bad day",
        ),
        (Guest::with("configure", "(loop (br 0))").component(), "`configure` did not return"),
        (Guest::with("self-test", "(return (i32.const 1200))").component(), "its self-test fails: bad day"),
        (Guest::with("describe", "(unreachable)").component(), "`describe` trapped"),
    ];
    for (number, (component, expected)) in (1..).zip(cases) {
        scene.write(component);
        let reason = scene.refusal(PluginChange::Reload).await;
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(scene.ask().await, ALLOWS);
        let state = scene.gate.list().remove(0);
        assert_eq!((state.generation, state.changes, state.failures), (1, 0, number));
        assert_eq!(state.last_failure.unwrap().1, reason);
    }
    scene.write(whole);
    let state = scene.change(PluginChange::Reload).await.unwrap();
    assert_eq!(state.last_failure, None);
    assert_eq!(scene.ask().await, DENIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_can_be_taken_back() {
    let scene = Scene::new(allowing()).await;
    let nothing = scene.change(PluginChange::RollBack).await;
    assert_eq!(nothing, Err(PluginChangeError::NothingBefore("guest".to_owned())));

    scene.write(denying());
    scene.change(PluginChange::Reload).await.unwrap();
    // Not from the file, which is gone.
    fs::remove_file(&scene.file).unwrap();
    let back = scene.change(PluginChange::RollBack).await.unwrap();
    assert_eq!(scene.ask().await, ALLOWS);
    assert_eq!(back.generation, 3);
    scene.change(PluginChange::RollBack).await.unwrap();
    assert_eq!(scene.ask().await, DENIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_and_other_options() {
    let scene = Scene::new(allowing()).await;
    let other = scene.file.with_file_name("other.wasm");
    fs::write(&other, denying()).unwrap();
    let source = PluginChange::Source(other.display().to_string());
    let state = scene.change(source).await.unwrap();
    assert_eq!(state.source, other.display().to_string());
    assert_eq!(scene.ask().await, DENIES);
    assert!(
        scene.refusal(PluginChange::Source("nobody_has_this".to_owned())).await.contains("no bundled plugin")
    );

    let options = Map::from_iter([("colour".to_owned(), json!("red"))]);
    let reason = scene.refusal(PluginChange::Options(options)).await;
    assert!(reason.contains("there is no option `colour`"), "{reason}");
    assert_eq!(scene.ask().await, DENIES);
    scene.change(PluginChange::Options(Map::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_the_last_authenticator_nor_a_phase_by_accident() {
    let scene = Scene::new(allowing()).await;
    scene.write(tagging());
    for change in [PluginChange::Reload, PluginChange::Source(scene.file.display().to_string())] {
        let reason = scene.refusal(change).await;
        assert!(reason.contains("everybody could walk in"), "{reason}");
    }
    assert!(scene.gate.authenticates());

    let folder = tempfile::tempdir().unwrap();
    let files = ["one.wasm", "two.wasm"].map(|name| folder.path().join(name));
    let specs = files.iter().map(|file| {
        fs::write(file, allowing()).unwrap();
        let mut spec = PluginSpec::new(Source::File(file.clone()), Vec::new());
        spec.host.watch = false;
        spec
    });
    let config = Config { plugins: specs.collect(), limits: limits(), ..Config::default() };
    let gate = Gate::load(&config, &[]).await.unwrap();
    let ids: Vec<_> = gate.list().into_iter().map(|plugin| plugin.id).collect();
    assert_eq!(ids, ["guest", "guest-2"]);

    fs::write(&files[1], tagging()).unwrap();
    let by_accident = gate.change("guest-2", PluginChange::Reload).await.unwrap_err().to_string();
    assert!(by_accident.contains("does not take part in authenticate"), "{by_accident}");
    let source = files[1].display().to_string();
    let asked_for = gate.change("guest-2", PluginChange::Source(source)).await.unwrap();
    assert_eq!(asked_for.phases, [Phase::Tag]);
    let unknown = gate.change("guest-3", PluginChange::Reload).await.unwrap_err().to_string();
    assert_eq!(unknown, "there is no plugin `guest-3`; there are: guest, guest-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_generation_it_began_with() {
    let scene = Scene::new(allowing()).await;
    let began = scene.gate.begin();
    scene.write(denying());
    scene.change(PluginChange::Reload).await.unwrap();
    scene.write(Guest::with("check", "(unreachable)").component());
    scene.change(PluginChange::Reload).await.unwrap();
    assert_eq!((began.generation(), scene.gate.begin().generation()), (1, 3));
    assert!(began.authenticate(&head("/x")).await.is_ok());
    assert!(scene.ask().await.contains("trapped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_take_turns() {
    let scene = Scene::new(allowing()).await;
    let other = scene.file.with_file_name("other.wasm");
    fs::write(&other, denying()).unwrap();
    let sources = [scene.file.display().to_string(), other.display().to_string()];
    let changes = (0..8).map(|number| scene.change(PluginChange::Source(sources[number % 2].clone())));
    let mut generations: Vec<_> = futures_util::future::join_all(changes)
        .await
        .into_iter()
        .map(|state| state.unwrap().generation)
        .collect();
    generations.sort_unstable();
    assert_eq!(generations, (2..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_followed_is_reloaded_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.wasm");
    fs::write(&file, allowing()).unwrap();
    let gate = load_file(file.clone(), &[]).await.unwrap();
    for (component, expected) in [(denying(), DENIES), (allowing(), ALLOWS)] {
        fs::write(&file, component).unwrap();
        let changed = async {
            while ask(&gate, &head("/x")).await != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, changed).await.unwrap();
    }
    assert_eq!(gate.generation(), 3);
}

/// One whose option `to` is an output and `from` a URL, and which imports what it needs for both.
fn reaching() -> Vec<u8> {
    const SCHEMA: &str = r#"{"type":"object","properties":{"to":{"type":"string","format":"host-output"},"from":{"type":"string","format":"host-url"}}}"#;
    let imports = r#"(import "mlx-gate:plugin/output@0.1.0" "write" (func (param i32 i32 i32)))
        (import "mlx-gate:plugin/jwks@0.1.0" "keys" (func (param i32 i32 i32 i32 i32 i32)))"#;
    let data = format!(r#"(data (i32.const 2200) "{}")"#, SCHEMA.replace('"', r"\22"));
    let describe = format!(
        "(i32.store (i32.const 1136) (i32.const 2200)) (i32.store (i32.const 1140) (i32.const {}))",
        SCHEMA.len()
    );
    Guest::with("import", imports).and("export", data).and("describe", describe).component()
}

/// The key of the admin API is not to be one for every file of the server's user.
#[tokio::test(flavor = "multi_thread")]
async fn options_give_no_more_than_the_start_did() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("guest.wasm"), reaching()).unwrap();
    let options = [("to", at("log")), ("from", "https://a.example/keys".to_owned())];
    let options = options.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gate = load_file(at("guest.wasm").into(), &options).await.unwrap();
    let change = async |to: &str, from: &str| {
        let options = Map::from_iter([("to".to_owned(), json!(to)), ("from".to_owned(), json!(from))]);
        gate.change("guest", PluginChange::Options(options)).await.map(|state| state.generation)
    };
    for (to, from, reached) in [
        (at("elsewhere"), "https://a.example/keys", format!("output {}", at("elsewhere"))),
        ("-".to_owned(), "https://a.example/keys", "output standard output".to_owned()),
        (at("log"), "https://b.example/keys", "http https://b.example".to_owned()),
    ] {
        let refused = change(&to, from).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("it would be granted {reached}, which the configuration")),
            "{refused}"
        );
    }
    assert!(!fs::exists(at("elsewhere")).unwrap());
    assert_eq!(change(&at("log"), "https://a.example/other").await.unwrap(), 2);
    gate.change("guest", PluginChange::Options(Map::new())).await.unwrap();
    assert_eq!(
        change(&at("log"), "https://a.example/keys").await.unwrap(),
        4,
        "what the start had may come back"
    );
}

/// Opening a pipe waits for somebody who writes into it, and every later change would wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_no_plugin_and_holds_nobody_up() {
    let scene = Scene::new(allowing()).await;
    let pipe = scene.file.with_file_name("pipe.wasm");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let reason = scene.refusal(PluginChange::Source(pipe.display().to_string())).await;
    assert!(reason.contains("it is a pipe (FIFO), and has to be a regular file"), "{reason}");
    scene.write(denying());
    scene.change(PluginChange::Reload).await.unwrap();
    assert_eq!(scene.ask().await, DENIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_up_other_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("guest.wasm"), reaching()).unwrap();
    fs::write(at("ca.pem"), CERTIFICATE).unwrap();
    let grants = format!("grant.http=https://a.example,grant.http-ca={},grant.output=-", at("ca.pem"));
    let spec: PluginSpec = format!("{},{grants},host.watch=false", at("guest.wasm")).parse().unwrap();
    let config = Config { plugins: vec![spec], limits: limits(), ..Config::default() };
    let gate = Gate::load(&config, &[]).await.unwrap();
    assert_eq!(gate.list()[0].files, [at("guest.wasm"), at("ca.pem")]);
    let reload = async || gate.change("guest", PluginChange::Reload).await;
    assert_eq!(reload().await.unwrap().generation, 1);
    fs::write(at("ca.pem"), CERTIFICATE.repeat(2)).unwrap();
    assert_eq!(reload().await.unwrap().generation, 2);
    fs::write(at("ca.pem"), "garbage").unwrap();
    let refused = reload().await.unwrap_err().to_string();
    assert!(refused.contains("the certificates that the grant `http-ca` names cannot be used"), "{refused}");
}
