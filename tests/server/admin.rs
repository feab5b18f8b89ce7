//! The admin API and `mlx-gate plugin`, its client.

use std::fs::rename;

use mlx_gate_tests::{Folder, Server, guest, run};
use serde_json::{Value, json};

const ADMIN_KEY: &str = "marker-admin-key-51c7e0";

/// Makes a key file for one name and gives its path and the key.
fn key_file(folder: &Folder, name: &str) -> (String, String) {
    let file = folder.at(&format!("{name}.toml"));
    let made = run(&["key", "new", "--file", &file, "--name", name], &[]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    (file, made.stdout.trim().to_owned())
}

/// A server whose admin API listens on a port.
fn server(plugin: &str) -> Server {
    Server::start_with(&["--plugin", plugin, "--admin", "127.0.0.1:0"], &[("MLX_GATE_ADMIN_KEY", ADMIN_KEY)])
}

/// The ids of all plugins.
fn ids(list: &Value) -> Vec<&str> {
    list["plugins"].as_array().unwrap().iter().map(|plugin| plugin["id"].as_str().unwrap()).collect()
}

#[test]
fn plugins_are_shown_to_whoever_has_the_key_and_only_on_the_admin_listener() {
    let folder = Folder::new();
    let (file, key) = key_file(&folder, "anna");
    let server = server(&format!("auth_static_keys,file={file}"));
    for stranger in [server.admin(), server.admin().bearer(&key), server.admin().bearer("wrong")] {
        let refused = stranger.get("/admin/plugins");
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    }
    let admin = server.admin().bearer(ADMIN_KEY);
    let list = admin.get("/admin/plugins").json();
    assert_eq!(ids(&list), ["auth_static_keys"], "{list}");
    let plugin = admin.get("/admin/plugins/auth_static_keys").json();
    assert_eq!(plugin, list["plugins"][0]);
    assert_eq!((&plugin["phases"], &plugin["files"]), (&json!(["authenticate"]), &json!([file])));
    assert_eq!(plugin["digest"].as_str().unwrap().len(), 64);

    let rebound = admin.clone().with("host", "rebound.example").get("/admin/plugins");
    assert_eq!(rebound.status, 421, "{}", rebound.text);
    assert_eq!(admin.clone().with("origin", "http://127.0.0.1").get("/admin/plugins").status, 403);

    let outside = server.client().bearer(&key);
    assert_eq!(outside.get("/v1/models").status, 200);
    assert_eq!(outside.get("/admin/plugins").status, 404);
    let status = admin.get("/admin/status").json();
    assert_eq!(
        (&status["requests"]["answered"], &status["requests"]["failed"]),
        (&json!(1), &json!(1)),
        "{status}"
    );
    assert_eq!((&status["in_flight"], &status["generation"]), (&json!(0), &json!(1)), "{status}");
}

#[test]
fn options_change_and_roll_back_while_the_server_runs() {
    let folder = Folder::new();
    let ((first, anna), (second, ben)) = (key_file(&folder, "anna"), key_file(&folder, "ben"));
    let server = server(&format!("auth_static_keys,file={first}"));
    let admin = server.admin().bearer(ADMIN_KEY);
    let status = |key: &str| server.client().bearer(key).get("/v1/models").status;
    assert_eq!((status(&anna), status(&ben)), (200, 401));
    // Stays when another plugin takes the place.
    let counted = || admin.get("/admin/plugins/auth_static_keys").json()["calls"]["authenticate"].clone();
    assert_eq!((&counted()["calls"], &counted()["failures"]), (&json!(2), &json!(0)), "{}", counted());
    assert!(counted()["longest_us"].as_u64() <= counted()["total_us"].as_u64(), "{}", counted());

    let path = "/admin/plugins/auth_static_keys/options";
    let changed = admin.put(path, &json!({ "file": second }));
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.json()["generation"], 2);
    assert_eq!((status(&anna), status(&ben)), (401, 200));

    let wrong = admin.put(path, &json!({ "file": "/nowhere/keys.toml" }));
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (422, &json!("rejected")), "{}", wrong.text);
    assert_eq!((status(&anna), status(&ben)), (401, 200), "what was in force still is");
    let plugin = admin.get("/admin/plugins/auth_static_keys").json();
    assert_eq!((&plugin["failures"], &plugin["generation"]), (&json!(1), &json!(2)), "{plugin}");
    // The sixth caller is remembered, and no plugin asked.
    assert_eq!(counted()["calls"], 5, "{}", counted());

    let back = admin.post("/admin/plugins/auth_static_keys/rollback", &Value::Null);
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!((status(&anna), status(&ben)), (200, 401));

    // What is in force again is followed, and what was taken back is not.
    let ((third, carl), (fourth, dora)) = (key_file(&folder, "carl"), key_file(&folder, "dora"));
    rename(&fourth, &second).expect("a test can rename in its folder");
    rename(&third, &first).expect("a test can rename in its folder");
    server.wait_for_log("generation=4");
    assert_eq!([&anna, &ben, &carl, &dora].map(|key| status(key)), [401, 401, 200, 401]);
    let log = server.log();
    let news: Vec<_> = log.lines().filter(|line| line.contains("files of the plugin have changed")).collect();
    assert!(news.len() == 1 && !news[0].contains("ben.toml"), "{news:?}");
}

/// A change of a file that was taken back comes neither by itself nor with SIGHUP, but when somebody asks for it.
#[test]
fn what_was_taken_back_stays_so() {
    let folder = Folder::new();
    let (file, anna) = key_file(&folder, "anna");
    let server = server(&format!("auth_static_keys,file={file}"));
    let admin = server.admin().bearer(ADMIN_KEY);
    let status = || server.client().bearer(&anna).get("/v1/models").status;
    assert_eq!(status(), 200);
    let (other, _) = key_file(&folder, "ben");
    rename(&other, &file).expect("a test can rename in its folder");
    server.wait_for_log("generation=2");
    assert_eq!(status(), 401);
    let back = admin.post("/admin/plugins/auth_static_keys/rollback", &Value::Null);
    assert_eq!((back.status, &back.json()["generation"]), (200, &json!(3)), "{}", back.text);
    let asked =
        || admin.get("/admin/plugins/auth_static_keys").json()["calls"]["authenticate"]["calls"].clone();
    let before = asked().as_u64().expect("a number");
    assert_eq!(status(), 200);
    assert_eq!(asked(), before + 1, "what was remembered before is forgotten");

    server.hangup();
    server.wait_for_log("plugins and their files read again");
    assert_eq!(status(), 200);
    assert_eq!(admin.get("/admin/plugins/auth_static_keys").json()["generation"], 3);
    let again = admin.post("/admin/plugins/auth_static_keys/reload", &Value::Null);
    assert_eq!((again.status, &again.json()["generation"]), (200, &json!(4)), "{}", again.text);
    assert_eq!(status(), 401);
}

/// An option may hold a secret, and a client's credential is nobody's business either.
#[test]
fn no_answer_of_the_admin_api_and_no_line_of_the_log_shows_a_secret() {
    const SECRET: &str = "marker-option-secret-0f5d";
    const CREDENTIAL: &str = "marker-credential-77a1";
    let folder = Folder::new();
    let (file, _) = key_file(&folder, "anna");
    let server = server(&format!("auth_static_keys,file={file}"));
    let admin = server.admin().bearer(ADMIN_KEY);
    let mut shown = String::new();
    for option in ["frobnicate", "unknown", "cache-for-ms", "keys"] {
        let options = json!({ "file": file, option: SECRET });
        let refused = admin.put("/admin/plugins/auth_static_keys/options", &options);
        assert_eq!(refused.status, 422, "{option}: {}", refused.text);
        shown += &refused.text;
    }
    server.client().bearer(CREDENTIAL).with("cookie", CREDENTIAL).get(&format!("/v1/{CREDENTIAL}"));
    for path in ["/admin/plugins", "/admin/status"] {
        shown += &admin.get(path).text;
    }
    server.interrupt();
    let (_, log) = server.wait();
    for marker in [ADMIN_KEY, CREDENTIAL, SECRET] {
        let line = log.lines().chain(shown.lines()).find(|line| line.contains(marker));
        assert_eq!(line, None, "{marker} is shown");
    }
}

#[test]
fn the_command_line_lists_and_changes_plugins_over_a_socket() {
    let folder = Folder::new();
    let (file, key) = key_file(&folder, "anna");
    let socket = format!("unix:{}", folder.at("gate.sock"));
    let plugin = format!("auth_static_keys,file={file}");
    let server = Server::start(&["--plugin", &plugin, "--plugin", "tenant_tags", "--admin", &socket]);
    assert_eq!(server.admin_address(), socket);
    let say = |arguments: &[&str]| run(&[&["plugin"], arguments, &["--admin", &socket]].concat(), &[]);

    assert_eq!(server.client().bearer(&key).get("/v1/models").status, 200);
    let list = say(&["list"]);
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    for expected in
        ["auth_static_keys", "tenant_tags", "phases  authenticate\n", "sha256  ", "calls   authenticate: 1, "]
    {
        assert!(list.stdout.contains(expected), "`{expected}` is not in\n{}", list.stdout);
    }
    assert_eq!(say(&["reload", "auth_static_keys"]).code, Some(0));

    let nothing = say(&["rollback", "auth_static_keys"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.stderr.contains("nothing to go back to"), "{}", nothing.stderr);
    let unknown = say(&["reload", "gone"]);
    assert!(
        unknown.stderr.contains("there is no plugin `gone`; there are: auth_static_keys"),
        "{}",
        unknown.stderr
    );

    // The path is said where the command is, and the server reads what is there.
    let rejected = say(&["swap", "auth_static_keys", "./no-such.wasm"]);
    assert_eq!(rejected.code, Some(1), "{}", rejected.stdout);
    let unfit = say(&["swap", "tenant_tags", "access_log"]);
    assert!(unfit.code == Some(1) && unfit.stderr.contains("the option `file`"), "{}", unfit.stderr);
    assert_eq!(server.client().bearer(&key).get("/v1/models").status, 200);

    server.interrupt();
    server.wait();
    assert!(!std::path::Path::new(&folder.at("gate.sock")).exists(), "the socket is gone with the server");
    let gone = say(&["list"]);
    assert!(gone.stderr.contains("was the server started with --admin?"), "{}", gone.stderr);
    let lost = run(&["plugin", "list"], &[]);
    assert!(lost.stderr.contains("--admin ADDRESS"), "{}", lost.stderr);
}

#[test]
fn the_command_line_swaps_a_plugin_and_back() {
    let folder = Folder::new();
    let [first, second] = ["first.wasm", "second.wasm"].map(|name| folder.write(name, guest(&[])));
    let socket = format!("unix:{}", folder.at("gate.sock"));
    let server = Server::start(&["--plugin", &first, "--admin", &socket]);
    let say = |arguments: &[&str]| {
        let said = run(&[&["plugin"], arguments, &["--admin", &socket]].concat(), &[]);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.stderr);
        said.stdout
    };
    let list = say(&["list"]);
    let id = list.split(' ').next().unwrap();
    assert!(list.contains(&format!("{first}  (generation 1)")), "{list}");
    let swapped = say(&["swap", id, &second]);
    assert!(swapped.contains(&format!("{second}  (generation 2)")), "{swapped}");
    assert_eq!(server.client().get("/v1/models").status, 200);
    let back = say(&["rollback", id]);
    assert!(back.contains(&format!("{first}  (generation 3)")), "{back}");
}

#[test]
fn an_admin_api_that_would_be_open_does_not_start() {
    let folder = Folder::new();
    let (short, good) = (folder.write("short", "hunter2\n"), folder.write("good", format!("{ADMIN_KEY}\n")));
    let file = folder.write("file", "precious");
    for (flags, code, expected) in [
        (&["--admin", "127.0.0.1:0"][..], 2, "needs a key"),
        (&["--admin", "127.0.0.1:0", "--admin-key-file", &short], 2, "fewer than 16 characters"),
        (&["--admin", "127.0.0.1:0", "--admin-key-file", "/nowhere/key"], 2, "/nowhere/key"),
        (
            &["--admin", "127.0.0.1:0", "--admin-key-file", &good, "--admin-key", ADMIN_KEY],
            2,
            "give one of them",
        ),
        (&["--admin", "8001"], 2, "expected an address and a port"),
        (&["--admin", "0.0.0.0:0", "--admin-key-file", &good], 1, "--admin-public"),
        (&["--admin", &format!("unix:{file}")], 1, "is not a socket"),
    ] {
        let Err(ended) = Server::try_start(flags, &[]) else { panic!("{flags:?} started") };
        assert_eq!(ended.code, Some(code), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{flags:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains(ADMIN_KEY), "{}", ended.stderr);
    }
    let server = Server::start(&["--admin", "127.0.0.1:0", "--admin-key-file", &good]);
    let address = server.admin_address();
    let list = run(&["plugin", "list", "--admin", &address, "--admin-key-file", &good], &[]);
    assert_eq!(list.stdout, "no plugin is loaded\n", "{}", list.stderr);
}
