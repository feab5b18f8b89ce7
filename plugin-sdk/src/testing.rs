//! A host in memory, for `cargo test` on the machine you write the plugin on.
//!
//! Each test thread has a host of its own. It digests and compares for real, its clock stands still where a test set it, its
//! randomness repeats, and what it is asked to verify is answered by the test.
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

use std::cell::RefCell;

use sha2::Digest as _;

use crate::crypto::{DigestAlgorithm, Error, SignatureAlgorithm};
use crate::host::{Level, MOST_RANDOM_BYTES};
use crate::{Plugin, RequestHead};

/// The host of the current thread.
pub struct FakeHost {
    now_ms: u64,
    log: Vec<(Level, String)>,
    random: u8,
    verify: Box<Verify>,
    verify_password: Box<VerifyPassword>,
}

type Verify = dyn Fn(SignatureAlgorithm, &str, &[u8], &[u8]) -> Result<bool, Error>;
type VerifyPassword = dyn Fn(&str, &str) -> Result<bool, Error>;

thread_local! {
    static HOST: RefCell<FakeHost> = RefCell::new(FakeHost {
        now_ms: 1_767_225_600_000,
        log: Vec::new(),
        random: 0,
        verify: Box::new(|_, _, _, _| Err(Error::Unsupported)),
        verify_password: Box::new(|_, _| Err(Error::Unsupported)),
    });
}

impl FakeHost {
    /// Sets the clock, in Unix milliseconds. It starts at the beginning of 2026.
    pub fn set_now_ms(now_ms: u64) {
        HOST.with_borrow_mut(|host| host.now_ms = now_ms);
    }

    /// Takes what has been logged since the last call.
    pub fn take_log() -> Vec<(Level, String)> {
        HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
    }

    /// Answers [`crypto::verify`](crate::crypto::verify) from here on; unset, it is unsupported.
    pub fn on_verify(
        answer: impl Fn(SignatureAlgorithm, &str, &[u8], &[u8]) -> Result<bool, Error> + 'static,
    ) {
        HOST.with_borrow_mut(|host| host.verify = Box::new(answer));
    }

    /// Answers [`crypto::verify_password`](crate::crypto::verify_password) from here on; unset, it is unsupported.
    pub fn on_verify_password(answer: impl Fn(&str, &str) -> Result<bool, Error> + 'static) {
        HOST.with_borrow_mut(|host| host.verify_password = Box::new(answer));
    }
}

/// Configures and tests a plugin as the host does. The error is the text the host gets.
pub fn configure<P: Plugin>(config: &str) -> Result<P, String> {
    let plugin = crate::runtime::parse(config).and_then(P::configure).map_err(|error| error.to_string())?;
    plugin.self_test().map_err(|error| error.to_string())?;
    Ok(plugin)
}

/// The head of a request with these credential headers.
pub fn request(method: &str, path: &str, credentials: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        id: "req-test".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        dialect: "openai".to_owned(),
        peer: Some("127.0.0.1".to_owned()),
        tls_subject: None,
        credentials: credentials
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        headers: Vec::new(),
    }
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.log.push((level, message.to_owned())));
}

pub(crate) fn now_ms() -> u64 {
    HOST.with_borrow(|host| host.now_ms)
}

pub(crate) fn random(length: u32) -> Vec<u8> {
    assert!(
        length <= MOST_RANDOM_BYTES,
        "the host gives at most {MOST_RANDOM_BYTES} random bytes a call, not {length}"
    );
    HOST.with_borrow_mut(|host| {
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
    HOST.with_borrow(|host| (host.verify)(algorithm, key, message, signature))
}

pub(crate) fn verify_password(hash: &str, password: &str) -> Result<bool, Error> {
    HOST.with_borrow(|host| (host.verify_password)(hash, password))
}
