use std::time::Duration;

use serde_json::Value;

/// Keys of one set. Issuers have a handful.
const MOST_KEYS: usize = 100;

/// Bounds of what a server may say, and what is taken where it says nothing.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(24);
const USUAL: Duration = Duration::from_mins(10);

/// A key set, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    json: String,
}

impl KeySet {
    /// Reads a set. What in it is no key is passed over, as RFC 7517 section 5 has it; a set without a key is none.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(text).map_err(|_| "it is not JSON".to_owned())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("it has no array `keys`")?;
        if keys.len() > MOST_KEYS {
            return Err(format!("it has {} keys; at most {MOST_KEYS} are taken", keys.len()));
        }
        let keys: Vec<_> = keys.iter().filter_map(Key::new).collect();
        if keys.is_empty() { Err("it has no key".to_owned()) } else { Ok(Self { keys }) }
    }

    pub(super) fn with_id(&self, kid: Option<&str>) -> Vec<String> {
        let fits = |key: &&Key| kid.is_none() || key.id.as_deref() == kid;
        self.keys.iter().filter(fits).map(|key| key.json.clone()).collect()
    }
}

impl Key {
    fn new(value: &Value) -> Option<Self> {
        value.get("kty").filter(|kind| kind.is_string())?;
        let id = match value.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        Some(Self { id, json: value.to_string() })
    }
}

/// How long a set may be used, by the response's `Cache-Control` (RFC 9111).
pub(super) fn lifetime(cache_control: Option<&str>) -> Duration {
    let mut directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let said = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim_end().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            "max-age" => value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => None,
        }
    });
    said.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::{KeySet, MOST_KEYS, lifetime};

    #[test]
    fn a_set_is_read() {
        let text = br#"{"keys": [
            {"kty": "RSA", "kid": "a", "n": "x", "e": "AQAB"},
            {"kty": "EC", "kid": "b"},
            {"kty": "EC", "kid": "a"},
            {"kty": "OKP"},
            {"kid": "no type"},
            {"kty": "RSA", "kid": 5},
            "no key"
        ], "other": 1}"#;
        let set = KeySet::parse(text).unwrap();
        assert_eq!(set.with_id(None).len(), 4);
        assert_eq!(
            set.with_id(Some("a")),
            [r#"{"kty":"RSA","kid":"a","n":"x","e":"AQAB"}"#, r#"{"kty":"EC","kid":"a"}"#]
        );
        assert_eq!(set.with_id(Some("c")), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let many = format!(r#"{{"keys":[{}]}}"#, vec![r#"{"kty":"EC"}"#; MOST_KEYS + 1].join(","));
        for (text, problem) in [
            ("<html>", "it is not JSON"),
            ("[]", "it has no array `keys`"),
            (r#"{"keys":{}}"#, "it has no array `keys`"),
            (r#"{"keys":[]}"#, "it has no key"),
            (r#"{"keys":[{"kid":"a"}]}"#, "it has no key"),
            (&many, "it has 101 keys; at most 100 are taken"),
        ] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(problem.to_owned()), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(KeySet::parse(deep.as_bytes()), Err("it is not JSON".to_owned()));
    }

    #[test]
    fn the_server_says_how_long_within_bounds() {
        for (said, seconds) in [
            (None, 600),
            (Some("public"), 600),
            (Some("public, max-age=3600, must-revalidate"), 3600),
            (Some("Max-Age=\"7200\""), 7200),
            (Some("max-age=1"), 60),
            (Some("max-age=99999999"), 86_400),
            (Some("max-age=-1"), 600),
            (Some("no-store"), 60),
            (Some("no-cache, max-age=3600"), 60),
        ] {
            assert_eq!(lifetime(said).as_secs(), seconds, "{said:?}");
        }
    }
}
