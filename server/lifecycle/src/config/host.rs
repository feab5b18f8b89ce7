use std::time::Duration;

use serde_json::Value;

use super::{Limits, MalformedSpec, OptionValue};

/// How the host runs a plugin: `host.NAME=VALUE` on a flag, the `host` table in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    /// What separates requests. `None` takes [`Isolation::Fresh`] where the configured plugin can be captured, and
    /// [`Isolation::Reuse`] where it cannot.
    pub isolation: Option<Isolation>,
    /// Whether answers of an authenticator may be reused as long as it says they hold.
    pub cache: bool,
    /// Linear memory of an instance, in bytes, in place of [`Limits::memory`].
    pub memory: Option<usize>,
    /// Time for one call, in place of [`Limits::call`].
    pub call: Option<Duration>,
    /// SHA-256 of the only code that may be loaded.
    pub sha256: Option<[u8; 32]>,
    /// Whether changes of the plugin's file and of the files its options name take effect by themselves.
    pub watch: bool,
}

/// What separates requests from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// An instance of its own for each request: nothing of one request is left for another.
    Fresh,
    /// Instances serve one request after another.
    Reuse,
}

/// One page of WebAssembly memory, and all that 32 bits address.
const CALL_MS: std::ops::RangeInclusive<u64> = 1..=60_000;
const MEMORY: std::ops::RangeInclusive<u64> = (64 << 10)..=(4 << 30);

impl Default for HostOptions {
    fn default() -> Self {
        Self { isolation: None, cache: true, memory: None, call: None, sha256: None, watch: true }
    }
}

impl HostOptions {
    /// The names of all options.
    const NAMES: [&str; 6] = ["isolation", "cache", "memory", "call-ms", "sha256", "watch"];

    /// Sets the option of this name, without the prefix `host.`.
    pub fn set(&mut self, name: &str, value: &OptionValue) -> Result<(), MalformedSpec> {
        let Some(option) = Self::NAMES.into_iter().find(|known| *known == name) else {
            let known = Self::NAMES.join(", ");
            return Err(MalformedSpec::UnknownHostOption { option: name.to_owned(), known });
        };
        let text = match value {
            OptionValue::Text(text) | OptionValue::Json(Value::String(text)) => text.clone(),
            OptionValue::Json(value) => value.to_string(),
        };
        let expecting = |expected| MalformedSpec::HostOption { option, found: text.clone(), expected };
        match option {
            "isolation" => {
                let isolation = match &*text {
                    "fresh" => Some(Isolation::Fresh),
                    "reuse" => Some(Isolation::Reuse),
                    _ => None,
                };
                self.isolation = Some(isolation.ok_or_else(|| expecting("`fresh` or `reuse`"))?);
            }
            "cache" => self.cache = text.parse().map_err(|_| expecting("`true` or `false`"))?,
            "watch" => self.watch = text.parse().map_err(|_| expecting("`true` or `false`"))?,
            "memory" => {
                let memory = bytes(&text).filter(|memory| MEMORY.contains(memory));
                let memory = memory.and_then(|memory| usize::try_from(memory).ok());
                let expected = "a number of bytes from 64KiB to 4GiB, such as `64MiB`";
                self.memory = Some(memory.ok_or_else(|| expecting(expected))?);
            }
            "call-ms" => {
                let time = text.parse().ok().filter(|time| CALL_MS.contains(time));
                let expected = "a number of milliseconds from 1 to 60000";
                self.call = Some(Duration::from_millis(time.ok_or_else(|| expecting(expected))?));
            }
            _ => self.sha256 = Some(digest(&text).ok_or_else(|| expecting("64 hexadecimal digits"))?),
        }
        Ok(())
    }

    /// What separates requests, of a plugin that could be captured or not. Says so where it is not what one would expect.
    pub(crate) fn isolation(&self, captured: bool, plugin: &str) -> Isolation {
        match self.isolation {
            None if captured => Isolation::Fresh,
            None => {
                tracing::info!(
                    plugin,
                    "the configured plugin cannot be captured, so its instances serve one request after another \
                     (`host.isolation=fresh` makes and configures one for every request, which is slow)"
                );
                Isolation::Reuse
            }
            Some(Isolation::Fresh) if !captured => {
                tracing::warn!(
                    plugin,
                    "the configured plugin cannot be captured, so every request configures it anew, which is slow"
                );
                Isolation::Fresh
            }
            Some(isolation) => isolation,
        }
    }

    /// The limits of one plugin, where these are the usual ones.
    pub(crate) fn limits(&self, usual: &Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(usual.memory),
            call: self.call.unwrap_or(usual.call),
            ..usual.clone()
        }
    }
}

/// A number of bytes, with or without a binary unit.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{HostOptions, Isolation};
    use crate::OptionValue;

    fn set(name: &str, text: &str) -> Result<HostOptions, String> {
        let mut options = HostOptions::default();
        let outcome = options.set(name, &OptionValue::Text(text.to_owned()));
        outcome.map(|()| options).map_err(|malformed| malformed.to_string())
    }

    #[test]
    fn options_are_read() {
        let usual = HostOptions::default();
        let hex = "00ff".repeat(16);
        let mut digest = [0; 32];
        digest.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 0xff);
        for (name, text, expected) in [
            ("isolation", "fresh", HostOptions { isolation: Some(Isolation::Fresh), ..usual.clone() }),
            ("isolation", "reuse", HostOptions { isolation: Some(Isolation::Reuse), ..usual.clone() }),
            ("cache", "false", HostOptions { cache: false, ..usual.clone() }),
            ("watch", "false", HostOptions { watch: false, ..usual.clone() }),
            ("memory", "64MiB", HostOptions { memory: Some(64 << 20), ..usual.clone() }),
            ("memory", "100000", HostOptions { memory: Some(100_000), ..usual.clone() }),
            ("call-ms", "5", HostOptions { call: Some(Duration::from_millis(5)), ..usual.clone() }),
            ("sha256", &hex, HostOptions { sha256: Some(digest), ..usual.clone() }),
            ("sha256", &format!("sha256:{hex}"), HostOptions { sha256: Some(digest), ..usual.clone() }),
        ] {
            assert_eq!(set(name, text), Ok(expected), "{name}={text}");
        }
        let mut from_file = HostOptions::default();
        from_file.set("cache", &OptionValue::Json(json!(false))).expect("a boolean");
        from_file.set("memory", &OptionValue::Json(json!(65536))).expect("a number");
        from_file.set("isolation", &OptionValue::Json(json!("reuse"))).expect("a string");
        let isolation = Some(Isolation::Reuse);
        assert_eq!(from_file, HostOptions { cache: false, memory: Some(65536), isolation, ..usual });
    }

    #[test]
    fn mistakes_say_what_would_fit() {
        for (name, text, expected) in [
            (
                "colour",
                "red",
                "there is no option `host.colour`; there are: isolation, cache, memory, call-ms, sha256, watch",
            ),
            ("isolation", "none", "`host.isolation` is `none`, and has to be `fresh` or `reuse`"),
            ("cache", "yes", "`host.cache` is `yes`, and has to be `true` or `false`"),
            (
                "memory",
                "1",
                "`host.memory` is `1`, and has to be a number of bytes from 64KiB to 4GiB, such as `64MiB`",
            ),
            (
                "memory",
                "99999999999999GiB",
                "`host.memory` is `99999999999999GiB`, and has to be a number of bytes from 64KiB to 4GiB, such as `64MiB`",
            ),
            ("call-ms", "0", "`host.call-ms` is `0`, and has to be a number of milliseconds from 1 to 60000"),
            ("sha256", "+f", "`host.sha256` is `+f`, and has to be 64 hexadecimal digits"),
        ] {
            assert_eq!(set(name, text), Err(expected.to_owned()), "{name}={text}");
        }
    }
}
