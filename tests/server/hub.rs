//! Models by Hugging Face id, from a hub of our own on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use mlx_gate_tests::{Folder, Server, run};
use serde_json::json;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_marker";

/// Serves the demo model as `tiny/demo`, to nobody without the token.
struct Hub {
    endpoint: String,
    /// Method and path of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let seen = seen.clone();
                thread::spawn(move || answer(connection, &seen));
            }
        });
        Self { endpoint, requests }
    }

    /// Requests for a file's content so far.
    fn downloads(&self) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.starts_with("GET /tiny/demo/resolve/")).count()
    }
}

/// Answers one request as the hub does; its API is documented by huggingface_hub's `hf_api.py` and `file_download.py`.
fn answer(mut connection: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    seen.lock().unwrap().push(format!("{method} {path}"));

    let known = head.contains(&format!("authorization: bearer {TOKEN}")) && path.contains("/tiny/demo");
    let (status, extra, body) = match known.then(|| content(path)).flatten() {
        Some((extra, body)) => ("200 OK", extra, body),
        None => ("404 Not Found", "x-error-code: RepoNotFound\r\n".to_owned(), b"{}".to_vec()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{extra}content-length: {length}\r\nconnection: close\r\n\r\n");
    let body = if method == "HEAD" { &[][..] } else { &body };
    // A client that has gone is its own affair.
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
}

/// Headers and body of a path of the hub.
fn content(path: &str) -> Option<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../server/models/demo/model");
    let names = || {
        let entries = std::fs::read_dir(&folder).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap())
    };
    let json = |value: serde_json::Value| {
        Some(("content-type: application/json\r\n".to_owned(), value.to_string().into_bytes()))
    };
    if path.contains("/tree/") {
        let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
        let file = |name: String| json!({ "type": "file", "path": name, "size": size(&name), "oid": name });
        return json(names().map(file).collect());
    }
    if path.starts_with("/api/models/") {
        let siblings: Vec<_> = names().map(|name| json!({ "rfilename": name })).collect();
        return json(json!({ "id": "tiny/demo", "sha": COMMIT, "siblings": siblings }));
    }
    let name = path.rsplit('/').next()?;
    let body = std::fs::read(folder.join(name)).ok()?;
    Some((format!("etag: \"{name}\"\r\nx-repo-commit: {COMMIT}\r\n"), body))
}

#[test]
fn a_model_is_downloaded_once_and_then_served_from_the_cache() {
    let (hub, home) = (Hub::start(), Folder::new());
    let home = home.at("hf");
    let flags = ["--model", "tiny/demo"];
    let online = [
        ("HF_ENDPOINT", hub.endpoint.as_str()),
        ("HF_TOKEN", TOKEN),
        ("HF_HOME", &home),
        ("HF_HUB_OFFLINE", "0"),
    ];

    let server = Server::start_with(&flags, &online);
    assert_eq!(server.client().ask("What is the capital of France?"), "The capital of France is Paris.");
    assert!(!server.log().contains(TOKEN), "{}", server.log());
    let downloads = hub.downloads();
    assert_eq!(downloads, 5, "{:?}", hub.requests.lock().unwrap());
    drop(server);

    drop(Server::start_with(&flags, &online));
    assert_eq!(hub.downloads(), downloads, "the second start downloads nothing");

    let before = hub.requests.lock().unwrap().len();
    drop(Server::start_with(
        &flags,
        &[("HF_ENDPOINT", &hub.endpoint), ("HF_HOME", &home), ("HF_HUB_OFFLINE", "1")],
    ));
    assert_eq!(hub.requests.lock().unwrap().len(), before, "offline means that nobody is asked");
}

#[test]
fn a_model_that_is_not_to_be_had_is_named() {
    let (hub, home) = (Hub::start(), Folder::new());
    let home = home.at("hf");
    let online =
        |offline| [("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_HOME", &home), ("HF_HUB_OFFLINE", offline)];
    for (offline, expected) in [
        (
            "0",
            "tiny/demo: neither a folder of that name nor a model on the Hugging Face Hub; check the name, and set HF_TOKEN",
        ),
        ("1", "tiny/demo: HF_HUB_OFFLINE is set and the cache does not hold this model"),
    ] {
        let ended = run(&["serve", "--port", "0", "--model", "tiny/demo"], &online(offline));
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "`{expected}` is not in\n{}", ended.stderr);
    }
}
