//! Wrong passwords are counted by the address they come from, so that nobody guesses for long.

use std::net::{IpAddr, Ipv6Addr};

use mlx_gate_plugin::crypto;
use mlx_gate_plugin::host::{self, Level};
use mlx_gate_plugin::kv::{self, Bucket};

/// How many wrong passwords an address may send; `None` for any number.
pub(crate) struct Attempts(Option<Bucket>);

/// A password that is about to be checked.
pub(crate) struct Attempt(Option<(String, Bucket)>);

impl Attempts {
    pub(crate) fn new(failures_per_minute: u64) -> Self {
        let bucket =
            || Bucket { capacity: failures_per_minute, refill_per_second: failures_per_minute as f64 / 60.0 };
        Self((failures_per_minute > 0).then(bucket))
    }

    /// An attempt from this address to be this user. An error says in how many milliseconds there may be another: no password
    /// is checked before that, not even a right one, or guessing would go on.
    ///
    /// It counts from now on, until it turns out to be right: whoever sends a guess and hangs up has guessed. So this is also how
    /// many an address may have checked at the same time.
    pub(crate) fn by(&self, peer: Option<&str>, user: &str) -> Result<Attempt, u64> {
        let Some(bucket) = self.0 else { return Ok(Attempt(None)) };
        let key = key(peer, user);
        // The host makes a 503 of a panic, and writes it down: where nothing can be counted, guessing must not be free.
        let taken = kv::take(&key, bucket, 1)
            .unwrap_or_else(|error| panic!("wrong passwords cannot be counted: {error:?}"));
        if taken.allowed { Ok(Attempt(Some((key, bucket)))) } else { Err(taken.retry_after_ms) }
    }
}

impl Attempt {
    /// The password was right.
    pub(crate) fn succeeded(self) {
        let Some((key, bucket)) = self.0 else { return };
        if let Err(error) = kv::adjust(&key, bucket, 1) {
            host::log(Level::Warn, &format!("a right password counts as a wrong one: {error:?}"));
        }
    }
}

/// What one client has at least: an IPv4 address, or an IPv6 /64. All whose address is not known share one, or whoever can make it
/// unknown could guess for ever.
///
/// All clients of a proxy on the server's own machine that it does not trust have the proxy's address. Among them the user's name
/// tells one from another, or whoever guesses would lock out everybody.
fn key(peer: Option<&str>, user: &str) -> String {
    match peer.and_then(|peer| peer.parse::<IpAddr>().ok()).map(|address| address.to_canonical()) {
        Some(address) if address.is_loopback() => {
            format!("failures/of/{}", crypto::hex(&crypto::sha256(user.as_bytes())))
        }
        Some(IpAddr::V4(address)) => format!("failures/{address}"),
        Some(IpAddr::V6(address)) => {
            format!("failures/{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        None => "failures/unknown".to_owned(),
    }
}
