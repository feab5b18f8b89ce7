use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Client;

/// A machine that compiles beside the tests may be slow; a test that waits this long has failed, not been unlucky.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running `mlx-gate serve`. Dropping it kills it.
pub struct Server {
    child: Child,
    address: String,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Server {
    /// Starts `mlx-gate serve` with these flags on a free port, and waits until it is ready.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// Same, with environment variables.
    pub fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        match Self::try_start(flags, variables) {
            Ok(server) => server,
            Err(ended) => panic!("the server did not start ({:?}):\n{}", ended.code, ended.stderr),
        }
    }

    /// Starts a server, or says how it ended.
    pub fn try_start(flags: &[&str], variables: &[(&str, &str)]) -> Result<Self, Ended> {
        let mut child = program()
            .args(["serve", "--port", "0"])
            .args(flags)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let log = Arc::new(Log::default());
        let reader = thread::spawn({
            let log = log.clone();
            move || log.fill(stderr)
        });
        let mut server = Self { child, address: String::new(), log, reader: Some(reader) };
        // The line is there in both log formats: `.. listening on http://127.0.0.1:1234` or `"address":"http://.."`.
        if server.log.wait_for("http://127.0.0.1:") {
            let text = server.log.text();
            let address = text.split("http://").nth(1).unwrap_or_default();
            let end = address.find(|sign: char| !sign.is_ascii_digit() && !matches!(sign, '.' | ':'));
            server.address = format!("http://{}", &address[..end.unwrap_or(address.len())]);
            return Ok(server);
        }
        assert!(server.log.has_ended(), "the server neither listens nor ends:\n{}", server.log());
        let status = server.child.wait().expect("the program can be waited for");
        Err(Ended { code: status.code(), stdout: String::new(), stderr: server.log.text() })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Where the admin API listens, as `--admin` of `mlx-gate plugin` takes it. Text logs only.
    pub fn admin_address(&self) -> String {
        let log = self.log();
        let address = log.lines().find_map(|line| line.strip_prefix("  admin    "));
        address.unwrap_or_else(|| panic!("no admin API is announced:\n{log}")).to_owned()
    }

    /// A client of the admin API without credentials.
    pub fn admin(&self) -> Client {
        Client::new(&format!("http://{}", self.admin_address()))
    }

    /// What the server has written so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the log holds a text, and fails the test if it never does.
    pub fn wait_for_log(&self, text: &str) {
        assert!(self.log.wait_for(text), "`{text}` never came into the log:\n{}", self.log());
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends what asks a server to read its files again.
    pub fn hangup(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        kill_process(pid, signal).expect("the server is still running");
    }

    /// Memory of the server that is in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let pid = self.child.id().to_string();
        let output = Command::new("ps").args(["-o", "rss=", "-p", &pid]).output().expect("ps can be run");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("ps says `{text}` of the server"))
    }

    /// Waits for the end of an interrupted server and gives its exit status and whole log.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        if let Some(reader) = self.reader.take() {
            // Standard error ends with the process, so this is where the waiting happens.
            self.log.wait_until(deadline, |state| state.ended);
            assert!(
                self.log.state.lock().is_ok_and(|state| state.ended),
                "the server did not end:\n{}",
                self.log()
            );
            reader.join().expect("the log's reader ends with the log");
        }
        let status = self.child.wait().expect("the program can be waited for");
        (status, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the server has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `mlx-gate` to its end.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    run_within(PATIENCE, arguments, variables)
}

/// Same, for what may take long: it compiles.
pub fn run_within(patience: Duration, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut child = program()
        .args(arguments)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
    let stderr = stderr.recv_timeout(patience);
    if matches!(stderr, Err(RecvTimeoutError::Timeout)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let status = child.wait().expect("the program can be waited for");
    let stderr = stderr.unwrap_or_else(|_| panic!("`mlx-gate {}` did not end", arguments.join(" ")));
    Ended { code: status.code(), stdout: stdout.recv().unwrap_or_default(), stderr }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = stream.expect("the stream is piped").read_to_string(&mut text);
        let _ = sender.send(text);
    });
    receiver
}

/// The program beside this test's own, in an environment that says nothing to it.
fn program() -> Command {
    let here = env::current_exe().expect("a test knows its own path");
    let binary: PathBuf = here.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("mlx-gate");
    assert!(binary.exists(), "{} is missing: `cargo xtask test` builds it", binary.display());
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["MLX_", "HF_", "RUST_LOG"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // Whatever a test does, no model hub is asked.
    command.env("HF_HUB_OFFLINE", "1");
    command
}

/// What a server writes, as it writes it.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    grown: Condvar,
}

#[derive(Default)]
struct LogState {
    text: String,
    ended: bool,
}

impl Log {
    fn fill(&self, stream: impl Read) {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if let Ok(mut state) = self.state.lock() {
                state.text.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
            self.grown.notify_all();
        }
        if let Ok(mut state) = self.state.lock() {
            state.ended = true;
        }
        self.grown.notify_all();
    }

    fn has_ended(&self) -> bool {
        self.state.lock().is_ok_and(|state| state.ended)
    }

    fn text(&self) -> String {
        self.state.lock().map(|state| state.text.clone()).unwrap_or_default()
    }

    /// Whether the text came before the log ended and patience with it.
    fn wait_for(&self, text: &str) -> bool {
        let mut seen = 0;
        let mut found = false;
        self.wait_until(Instant::now() + PATIENCE, |state| {
            // Whole lines come in, so what was looked at once need not be looked at again.
            found = found || state.text[seen..].contains(text);
            seen = state.text.len();
            found || state.ended
        });
        found
    }

    fn wait_until(&self, deadline: Instant, mut done: impl FnMut(&LogState) -> bool) {
        let Ok(state) = self.state.lock() else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        // The result only says whether time ran out; callers look at the state itself.
        let _ = self.grown.wait_timeout_while(state, left, |state| !done(state));
    }
}
