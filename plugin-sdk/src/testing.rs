//! A host in memory, for `cargo test` on the machine you write the plugin on.
//!
//! Each test thread has a host of its own. It digests, compares, counts and keeps for real, its clock stands still where a
//! test set it, its randomness repeats, and what it is asked to verify, fetch or send is answered by the test.
//!
//! ```
//! use mlx_gate_plugin::host;
//! use mlx_gate_plugin::testing::{FakeHost, request};
//!
//! FakeHost::set_now_ms(1_000);
//! assert_eq!(host::now_ms(), 1_000);
//!
//! host::log(host::Level::Info, "hello");
//! assert_eq!(FakeHost::take_log(), [(host::Level::Info, "hello".to_owned())]);
//!
//! let head = request("POST", "/v1/chat/completions", &[("x-api-key", "secret")]);
//! assert_eq!(head.credential("x-api-key"), Some("secret"));
//! ```

pub(crate) mod kv;
mod samples;
mod scripted;

use std::cell::RefCell;
use std::rc::Rc;

use sha2::Digest as _;

use crate::crypto::{DigestAlgorithm, Error, SignatureAlgorithm};
use crate::host::{Level, MOST_RANDOM_BYTES};
use crate::http::{Request, Response};
use crate::{Plugin, file};

pub use samples::{completed, operation, request};
pub(crate) use scripted::{http, jwks, output};

/// The host of the current thread.
pub struct FakeHost {
    now_ms: u64,
    log: Vec<(Level, String)>,
    random: u8,
    verify: Rc<Verify>,
    verify_password: Rc<VerifyPassword>,
    kv: kv::Space,
    http: Rc<Send>,
    requests: Vec<Request>,
    jwks: Rc<Keys>,
    output: Vec<String>,
    output_failure: Option<crate::output::Error>,
}

type Verify = dyn Fn(SignatureAlgorithm, &str, &[u8], &[u8]) -> Result<bool, Error>;
type VerifyPassword = dyn Fn(&str, &str) -> Result<bool, Error>;
type Send = dyn Fn(&Request) -> Result<Response, crate::http::Error>;
type Keys = dyn Fn(&str, Option<&str>) -> Result<Vec<String>, crate::jwks::Error>;

thread_local! {
    static HOST: RefCell<FakeHost> = RefCell::new(FakeHost {
        now_ms: 1_767_225_600_000,
        log: Vec::new(),
        random: 0,
        verify: Rc::new(|_, _, _, _| Err(Error::Unsupported)),
        verify_password: Rc::new(|_, _| Err(Error::Unsupported)),
        kv: kv::Space::default(),
        http: Rc::new(|request| Err(crate::http::Error::NotGranted(request.url.clone()))),
        requests: Vec::new(),
        jwks: Rc::new(|url, _| Err(crate::jwks::Error::NotGranted(url.to_owned()))),
        output: Vec::new(),
        output_failure: None,
    });
}

impl FakeHost {
    /// Sets the clock, in Unix milliseconds. It starts at the beginning of 2026.
    pub fn set_now_ms(now_ms: u64) {
        with_host(|host| host.now_ms = now_ms);
    }

    /// Takes what has been logged since the last call.
    pub fn take_log() -> Vec<(Level, String)> {
        with_host(|host| std::mem::take(&mut host.log))
    }

    /// Answers [`crypto::verify`](crate::crypto::verify) from here on; unset, it is unsupported.
    pub fn on_verify(
        answer: impl Fn(SignatureAlgorithm, &str, &[u8], &[u8]) -> Result<bool, Error> + 'static,
    ) {
        with_host(|host| host.verify = Rc::new(answer));
    }

    /// Answers [`crypto::verify_password`](crate::crypto::verify_password) from here on; unset, it is unsupported.
    pub fn on_verify_password(answer: impl Fn(&str, &str) -> Result<bool, Error> + 'static) {
        with_host(|host| host.verify_password = Rc::new(answer));
    }

    /// Makes every function of [`kv`](crate::kv) fail so, or work again. What was kept is still there then.
    pub fn fail_kv(failure: Option<crate::kv::Error>) {
        with_host(|host| host.kv.failure = failure);
    }

    /// Answers [`http::send`](crate::http::send) from here on; unset, no origin is granted.
    pub fn on_http(answer: impl Fn(&Request) -> Result<Response, crate::http::Error> + 'static) {
        with_host(|host| host.http = Rc::new(answer));
    }

    /// Takes the requests sent since the last call, in their order, whatever became of them.
    pub fn take_requests() -> Vec<Request> {
        with_host(|host| std::mem::take(&mut host.requests))
    }

    /// Answers [`jwks::keys`](crate::jwks::keys) from here on; unset, no origin is granted.
    pub fn on_jwks(answer: impl Fn(&str, Option<&str>) -> Result<Vec<String>, crate::jwks::Error> + 'static) {
        with_host(|host| host.jwks = Rc::new(answer));
    }

    /// Takes the lines written to [`output`](crate::output) since the last call.
    pub fn take_output() -> Vec<String> {
        with_host(|host| std::mem::take(&mut host.output))
    }

    /// Makes [`output::write`](crate::output::write) fail so, or work again.
    pub fn fail_output(failure: Option<crate::output::Error>) {
        with_host(|host| host.output_failure = failure);
    }
}

fn with_host<T>(action: impl FnOnce(&mut FakeHost) -> T) -> T {
    HOST.with_borrow_mut(action)
}

/// Configures and tests a plugin as the host does. The error is the text the host gets.
pub fn configure<P: Plugin>(config: &str) -> Result<P, String> {
    configure_with_files(config, &[] as &[(&str, &str)])
}

/// Configures and tests a plugin whose options name these files, given as paths and contents.
pub fn configure_with_files<P: Plugin>(
    config: &str,
    files: &[(&str, impl AsRef<[u8]>)],
) -> Result<P, String> {
    let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.as_ref().to_owned()));
    let config = file::within(files, || crate::runtime::parse(config));
    let plugin = config.and_then(P::configure).map_err(|error| error.to_string())?;
    plugin.self_test().map_err(|error| error.to_string())?;
    Ok(plugin)
}

pub(crate) fn log(level: Level, message: &str) {
    with_host(|host| host.log.push((level, message.to_owned())));
}

pub(crate) fn now_ms() -> u64 {
    HOST.with_borrow(|host| host.now_ms)
}

pub(crate) fn random(length: u32) -> Vec<u8> {
    assert!(
        length <= MOST_RANDOM_BYTES,
        "the host gives at most {MOST_RANDOM_BYTES} random bytes a call, not {length}"
    );
    with_host(|host| {
        let mut next = || {
            host.random = host.random.wrapping_mul(5).wrapping_add(1);
            host.random
        };
        (0..length).map(|_| next()).collect()
    })
}

pub(crate) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
    match algorithm {
        DigestAlgorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        DigestAlgorithm::Sha384 => sha2::Sha384::digest(data).to_vec(),
        DigestAlgorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
    }
}

pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a == b
}

pub(crate) fn verify(
    algorithm: SignatureAlgorithm,
    key: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    // The answer may itself call the host.
    let answer = with_host(|host| host.verify.clone());
    answer(algorithm, key, message, signature)
}

pub(crate) fn verify_password(hash: &str, password: &str) -> Result<bool, Error> {
    let answer = with_host(|host| host.verify_password.clone());
    answer(hash, password)
}
