//! Plugins and their files changed while the server runs. `tests/guests/edition` says in every answer which it is.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use mlx_gate_tests::soak::{Soak, Trigger, edition, replace};
use mlx_gate_tests::{Client, Folder, Server, Wire, guest, question_body, run};

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_mins(1);
const CHAT: &str = "/v1/chat/completions";

/// A server with the edition `original` and the mark `m1`.
struct Scene {
    folder: Folder,
    server: Server,
    client: Client,
}

impl Scene {
    fn new(further: &str) -> Self {
        let folder = Folder::new();
        folder.write("edition.wasm", edition("original"));
        folder.write("mark", "m1");
        Self::serve(folder, further)
    }

    fn serve(folder: Folder, further: &str) -> Self {
        let plugin = format!("{},mark={}{further}", folder.at("edition.wasm"), folder.at("mark"));
        let server = Server::start(&["--plugin", &plugin]);
        let client = server.client().bearer("anything");
        let scene = Self { folder, server, client };
        assert_eq!(scene.asked(), "original-m1");
        scene
    }

    fn plugin(&self) -> PathBuf {
        self.folder.path().join("edition.wasm")
    }

    fn mark(&self) -> PathBuf {
        self.folder.path().join("mark")
    }

    /// The edition that answers.
    fn asked(&self) -> String {
        let mut body = question_body("2");
        body["max_tokens"] = 1.into();
        let reply = self.client.post(CHAT, &body);
        assert_eq!(reply.status, 200, "{}\n{}", reply.text, self.server.log());
        reply.header("x-ratelimit-edition").to_owned()
    }

    /// Asks until this edition answers. Until then only these do.
    fn expect(&self, expected: &str, meanwhile: &[&str]) {
        let began = Instant::now();
        loop {
            let found = self.asked();
            if found == expected {
                return;
            }
            assert!(meanwhile.contains(&&*found), "{found} answered\n{}", self.server.log());
            assert!(began.elapsed() < PATIENCE, "{expected} never answered\n{}", self.server.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The lines of the log that say this.
    fn said(&self, text: &str) -> usize {
        self.server.log().lines().filter(|line| line.contains(text)).count()
    }
}

#[test]
fn a_plugin_renamed_into_place_and_one_rewritten_take_effect() {
    let scene = Scene::new("");
    replace(&scene.plugin(), &edition("renamed!"));
    scene.expect("renamed!-m1", &["original-m1"]);
    fs::write(scene.plugin(), edition("rewrites")).unwrap();
    scene.expect("rewrites-m1", &["renamed!-m1"]);
}

#[test]
fn a_half_written_plugin_never_takes_effect() {
    let scene = Scene::new("");
    let whole = edition("in2parts");
    let (one, two) = whole.split_at(whole.len() / 2);
    let mut file = File::create(scene.plugin()).unwrap();
    file.write_all(one).unwrap();
    // A reload in the middle of it fails, and says why.
    scene.server.hangup();
    scene.server.wait_for_log("not a valid component");
    assert_eq!(scene.asked(), "original-m1");
    file.write_all(two).unwrap();
    drop(file);
    scene.expect("in2parts-m1", &["original-m1"]);
}

#[test]
fn links_swapped_as_kubernetes_does_change_plugin_and_file_at_once() {
    let folder = Folder::new();
    for (version, name, mark) in [("..one", "original", "m1"), ("..two", "k8s-swap", "m2")] {
        folder.write(&format!("{version}/edition.wasm"), edition(name));
        folder.write(&format!("{version}/mark"), mark);
    }
    symlink("..one", folder.path().join("..data")).unwrap();
    for name in ["edition.wasm", "mark"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
    }
    let scene = Scene::serve(folder, "");
    symlink("..two", scene.folder.path().join("..fresh")).unwrap();
    fs::rename(scene.folder.path().join("..fresh"), scene.folder.path().join("..data")).unwrap();
    scene.expect("k8s-swap-m2", &["original-m1"]);
    assert_eq!(scene.said("plugin changed"), 1, "{}", scene.server.log());
}

#[test]
fn a_broken_plugin_leaves_the_last_good_one_and_says_so() {
    let scene = Scene::new("");
    for (component, reason) in [
        (b"garbage".to_vec(), "this is not WebAssembly: it begins with `garbage`"),
        (guest(&[("self-test", "(return (i32.const 1200))")]), "there is no option `mark`"),
        (guest(&[("describe", "(unreachable)")]), "`describe` trapped"),
    ] {
        replace(&scene.plugin(), &component);
        scene.server.wait_for_log(reason);
        assert_eq!(scene.asked(), "original-m1");
    }
    assert_eq!(scene.said("what was in force stays"), 3, "{}", scene.server.log());
    replace(&scene.plugin(), &edition("mended!!"));
    scene.expect("mended!!-m1", &["original-m1"]);
}

#[test]
fn a_plugin_that_drops_phases_does_not_slip_in() {
    let folder = Folder::new();
    let plugin = folder.write("edition.wasm", edition("original"));
    let server = Server::start(&["--plugin", &plugin]);
    // It authenticates, and does nothing else.
    replace(plugin.as_ref(), &guest(&[]));
    server.wait_for_log("the new code does not take part in authorize, rate-limit, tag, log");
    let reply = server.client().bearer("anything").post(CHAT, &question_body("2"));
    assert_eq!(reply.header("x-ratelimit-edition"), "original", "{}", reply.text);
}

#[test]
fn a_plugin_deleted_while_it_serves_goes_on() {
    let scene = Scene::new("");
    fs::remove_file(scene.plugin()).unwrap();
    scene.server.wait_for_log("cannot be read any more");
    assert_eq!(scene.asked(), "original-m1");
    // A new mark cannot be brought in without the code's file, and the old ones stay together.
    replace(&scene.mark(), b"m2");
    scene.server.wait_for_log("what was in force stays");
    assert_eq!(scene.asked(), "original-m1");
    replace(&scene.plugin(), &edition("original"));
    scene.expect("original-m2", &["original-m1"]);
}

#[test]
fn a_loop_of_links_is_said_and_nothing_else_happens() {
    let scene = Scene::new("");
    symlink("edition.wasm", scene.folder.path().join("loop")).unwrap();
    fs::rename(scene.folder.path().join("loop"), scene.plugin()).unwrap();
    scene.server.wait_for_log("symbolic links");
    assert_eq!(scene.asked(), "original-m1");
    replace(&scene.plugin(), &edition("straight"));
    scene.expect("straight-m1", &["original-m1"]);
}

#[test]
fn a_changed_file_of_an_option_is_a_reconfiguration() {
    let scene = Scene::new("");
    replace(&scene.mark(), b"m2");
    scene.expect("original-m2", &["original-m1"]);
    fs::write(scene.mark(), "bad").unwrap();
    scene.server.wait_for_log("holds no good mark");
    assert_eq!(scene.asked(), "original-m2");
    fs::write(scene.mark(), "m3").unwrap();
    scene.expect("original-m3", &["original-m2"]);
}

#[test]
fn keys_come_and_go_without_a_restart() {
    let folder = Folder::new();
    let file = folder.at("keys.toml");
    let new_key = |name: &str| {
        let made = run(&["key", "new", "--file", &file, "--name", name], &[]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    };
    let anna = new_key("anna");
    let server = Server::start(&["--plugin", &format!("auth_static_keys,file={file}")]);
    let until = |key: &str, status: u16| {
        let began = Instant::now();
        while server.client().bearer(key).get("/v1/models").status != status {
            assert!(began.elapsed() < PATIENCE, "{}", server.log());
            thread::sleep(Duration::from_millis(5));
        }
    };
    until(&anna, 200);
    let ben = new_key("ben");
    until(&ben, 200);
    let text = fs::read_to_string(&file).unwrap();
    let place = text.find("[[key]]\nname = \"ben\"").unwrap();
    fs::write(&file, &text[place..]).unwrap();
    until(&anna, 401);
    until(&ben, 200);
}

#[test]
fn a_hangup_reads_what_is_not_followed() {
    let scene = Scene::new(",host.watch=false");
    replace(&scene.plugin(), &edition("afterhup"));
    replace(&scene.mark(), b"m2");
    assert_eq!(scene.asked(), "original-m1");
    scene.server.hangup();
    scene.expect("afterhup-m2", &["original-m1"]);
    scene.server.hangup();
    scene.server.wait_for_log("changed=0 failed=0");
    assert_eq!(scene.said("plugin changed"), 1, "{}", scene.server.log());
}

#[test]
fn a_request_in_flight_keeps_its_generation() {
    let scene = Scene::new("");
    let mut wire = Wire::connect(scene.server.address()).unwrap();
    let body = r#"{"messages":[{"role":"user","content":"2"}],"max_tokens":1}"#;
    let headers = "authorization: Bearer anything\r\n";
    // When the server asks for the body, the caller has been vouched for. Then the plugin becomes another, and another again.
    let between = || {
        replace(&scene.plugin(), &edition("between1"));
        scene.expect("between1-m1", &["original-m1"]);
        replace(&scene.mark(), b"m2");
        scene.expect("between1-m2", &["between1-m1"]);
    };
    let answer = wire.post_when_asked(CHAT, headers, body, between).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("x-ratelimit-edition"), Some("original-m1"));
    // The next one on the same connection is the new one's.
    let answer = wire.post(CHAT, headers, body, || {}).unwrap();
    assert_eq!(answer.header("x-ratelimit-edition"), Some("between1-m2"));
}

#[test]
fn fifty_swaps_under_load_fail_no_request() {
    let report = Soak { swaps: 50, trigger: Trigger::File, connections: 3 }.run();
    assert_eq!((report.swaps, report.failed), (50, 0), "{:?}", report.failures);
    assert!(report.requests > 50, "{report:?}");
}
