//! `mlx-gate plugin list|swap|reload|rollback`: a client of a running server's admin API.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::rt::{Read, Write as WriteBytes};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::admin::{AdminAddress, AdminSettings};

/// Longest answer read, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Longest wait for an answer. Compiling a component of an interpreted language takes tens of seconds.
const PATIENCE: Duration = Duration::from_mins(5);

/// Why a command did not reach its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody said where the server is.
    #[error(
        "where is the server's admin API? say --admin ADDRESS or set MLX_GATE_ADMIN, as for `mlx-gate serve`"
    )]
    NoAddress,
    /// Nobody answers.
    #[error("no admin API answers at {address}: {cause}; was the server started with --admin?")]
    Unreachable {
        /// Where.
        address: String,
        /// The system's words.
        cause: String,
    },
    /// Something else than the admin API answers.
    #[error("what answers at {0} is not the admin API of mlx-gate")]
    NotAdmin(String),
    /// The key is not the server's.
    #[error("this is not the server's admin key; give it as MLX_GATE_ADMIN_KEY or with --admin-key-file")]
    Key,
    /// The server said no.
    #[error("{0}")]
    Refused(String),
}

/// What can be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Show all plugins.
    List,
    /// Take a plugin's code from elsewhere.
    Swap {
        /// The plugin's id.
        id: String,
        /// A bundled name or a path.
        source: String,
    },
    /// Read a plugin's code and files again.
    Reload(String),
    /// Go back to what was in force before.
    RollBack(String),
}

/// A plugin, as far as it is shown.
#[derive(Deserialize)]
struct Plugin {
    id: String,
    version: String,
    source: String,
    digest: String,
    phases: Vec<String>,
    grants: Vec<String>,
    calls: BTreeMap<String, Tally>,
    generation: u64,
    last_failure: Option<Failure>,
}

/// What one function was called for.
#[derive(Deserialize)]
struct Tally {
    calls: u64,
    failures: u64,
    total_us: u64,
    longest_us: u64,
}

#[derive(Deserialize)]
struct Failure {
    reason: String,
}

/// Carries a command out and gives what there is to print.
pub(crate) async fn run(settings: Option<&AdminSettings>, wanted: Request) -> Result<String, Error> {
    let settings = settings.ok_or(Error::NoAddress)?;
    let at = |id: &str, what: &str| format!("/admin/plugins/{}/{what}", encoded(id));
    let answer = match &wanted {
        Request::List => send(settings, "GET", "/admin/plugins", None).await?,
        Request::Swap { id, source } => {
            let source = absolute(source);
            send(settings, "POST", &at(id, "swap"), Some(json!({ "source": source }))).await?
        }
        Request::Reload(id) => send(settings, "POST", &at(id, "reload"), None).await?,
        Request::RollBack(id) => send(settings, "POST", &at(id, "rollback"), None).await?,
    };
    let strange = || Error::NotAdmin(settings.address.to_string());
    if matches!(wanted, Request::List) {
        let plugins = answer.get("plugins").cloned().unwrap_or_default();
        let plugins: Vec<Plugin> = serde_json::from_value(plugins).map_err(|_| strange())?;
        return Ok(if plugins.is_empty() { "no plugin is loaded\n".to_owned() } else { table(&plugins) });
    }
    let plugin: Plugin = serde_json::from_value(answer).map_err(|_| strange())?;
    Ok(table(&[plugin]))
}

/// A path means a file beside whoever says it, and the server may run elsewhere. What is no file is a bundled name.
fn absolute(source: &str) -> String {
    let path = Path::new(source);
    let is_path = source.contains('/') || path.extension().is_some_and(|extension| extension == "wasm");
    match std::path::absolute(path) {
        Ok(path) if is_path => path.display().to_string(),
        _ => source.to_owned(),
    }
}

/// A few lines for each plugin.
fn table(plugins: &[Plugin]) -> String {
    let mut text = String::new();
    for plugin in plugins {
        let Plugin { id, version, source, digest, phases, grants, calls, generation, last_failure } = plugin;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id} {version}  {source}  (generation {generation})");
        let _ = writeln!(text, "  phases  {}", phases.join(", "));
        if !grants.is_empty() {
            let _ = writeln!(text, "  grants  {}", grants.join(", "));
        }
        let _ = writeln!(text, "  sha256  {digest}");
        for (function, Tally { calls, failures, total_us, longest_us }) in calls {
            let mean = total_us / calls.max(&1);
            let _ = writeln!(
                text,
                "  calls   {function}: {calls}, {mean} us on average, {longest_us} us at the most, {failures} failed"
            );
        }
        if let Some(Failure { reason }) = last_failure {
            let _ = writeln!(text, "  the last change failed: {reason}");
        }
    }
    text
}

/// Sends one request and gives the JSON of its answer.
async fn send(
    settings: &AdminSettings,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Error> {
    let address = settings.address.to_string();
    let unreachable = |cause: String| Error::Unreachable { address: address.clone(), cause };
    let mut request = hyper::Request::builder().method(method).uri(path);
    let host = match &settings.address {
        AdminAddress::Tcp(address) => address.to_string(),
        AdminAddress::Unix(_) => "localhost".to_owned(),
    };
    request = request.header(HOST, host);
    if let Some(key) = &settings.key {
        request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.body(Full::from(body)).map_err(|error| unreachable(error.to_string()))?;
    let answering = async {
        match &settings.address {
            AdminAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
                exchange(TokioIo::new(stream), request).await
            }
            AdminAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
                exchange(TokioIo::new(stream), request).await
            }
        }
    };
    let answer = timeout(PATIENCE, answering)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
        .map_err(unreachable)?;
    read(answer).ok_or_else(|| Error::NotAdmin(address.clone()))?
}

/// One request over a connection of its own.
async fn exchange(
    stream: impl Read + WriteBytes + Send + Unpin + 'static,
    request: hyper::Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(stream).await.map_err(text)?;
    tokio::spawn(connection);
    let answer: Response<_> = sender.send_request(request).await.map_err(text)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

/// The answer, or why there is none; `None` where the admin API would not speak so.
fn read((status, body): (StatusCode, Bytes)) -> Option<Result<Value, Error>> {
    let value: Value = serde_json::from_slice(&body).ok()?;
    if status.is_success() {
        return Some(Ok(value));
    }
    let error = value.get("error")?;
    // That is how the server answers its clients, and not its admins.
    if error.get("type").is_some() {
        return None;
    }
    if status == StatusCode::UNAUTHORIZED {
        return Some(Err(Error::Key));
    }
    let message = error.get("message")?.as_str()?;
    Some(Err(Error::Refused(message.to_owned())))
}

/// A segment of a path (RFC 3986, section 2.1).
fn encoded(segment: &str) -> String {
    let mut text = String::new();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
