//! Keys for the bundled plugin `auth_static_keys`, made where the operating system's randomness is.

use std::fmt::Write as _;

use aws_lc_rs::{digest, rand};
use mlx_gate_core::Secret;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use crate::PluginSpec;

/// The plugin's name.
pub const PLUGIN: &str = "auth_static_keys";

const PREFIX: &str = "mg_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 letters of 62 have 256 bits.
const LETTERS: usize = 43;

/// Makes a key: `mg_` and 43 letters and digits, 256 bits from the operating system. `None` where that has no randomness
/// to give.
pub fn generate() -> Option<Secret> {
    let mut key = String::with_capacity(PREFIX.len() + LETTERS);
    key.push_str(PREFIX);
    let mut bytes = [0_u8; 64];
    while key.len() < PREFIX.len() + LETTERS {
        rand::fill(&mut bytes).ok()?;
        // Bytes past the last multiple of 62 are passed over, so that every letter is equally likely.
        let fair =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        key.extend(fair.take(PREFIX.len() + LETTERS - key.len()));
    }
    bytes.zeroize();
    Some(Secret::new(key))
}

/// What a key file says of a key: `sha256:` and 64 hexadecimal digits.
pub fn hash(key: &Secret) -> String {
    let digest = digest::digest(&digest::SHA256, key.expose().as_bytes());
    let mut text = "sha256:".to_owned();
    for byte in digest.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The plugin with one key, which is what `--api-key` stands for. Only its hash goes in.
pub fn with_one_key(name: &str, key: &Secret) -> PluginSpec {
    PluginSpec::bundled(PLUGIN, [("keys".to_owned(), json!([{ "name": name, "hash": hash(key) }]))])
}

/// A key's entry in a key file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyEntry {
    /// Unique name: the principal's subject.
    pub name: String,
    /// From [`hash`].
    pub hash: String,
    /// The account.
    pub tenant: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// RFC 3339 date, or time with its offset.
    pub expires: Option<String>,
}

impl KeyEntry {
    /// The entry in TOML, ready to be appended to a key file.
    pub fn to_toml(&self) -> String {
        let mut text = "[[key]]\n".to_owned();
        let mut line = |name: &str, value: &Value| {
            // JSON strings and arrays of strings are TOML too, DEL apart: JSON leaves it as it is.
            let value = value.to_string().replace('\u{7f}', "\\u007f");
            let _ = writeln!(text, "{name} = {value}");
        };
        line("name", &json!(self.name));
        line("hash", &json!(self.hash));
        if let Some(tenant) = &self.tenant {
            line("tenant", &json!(tenant));
        }
        if !self.roles.is_empty() {
            line("roles", &json!(self.roles));
        }
        if !self.scopes.is_empty() {
            line("scopes", &json!(self.scopes));
        }
        if let Some(expires) = &self.expires {
            line("expires", &json!(expires));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use mlx_gate_core::Secret;

    use super::{KeyEntry, generate, hash};

    #[test]
    fn keys_are_long_plain_and_different() {
        let one = generate().expect("the system has randomness");
        let two = generate().expect("the system has randomness");
        assert_eq!(one.expose().len(), 46);
        assert!(
            one.expose()
                .strip_prefix("mg_")
                .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric()))
        );
        assert_ne!(one, two);
    }

    #[test]
    fn a_hash_is_sha256_in_hexadecimal() {
        assert_eq!(
            hash(&Secret::new("alpha")),
            "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
        );
    }

    #[test]
    fn an_entry_is_toml() {
        let entry = KeyEntry {
            name: "a \"b\"\u{7f}".to_owned(),
            hash: "sha256:00".to_owned(),
            roles: vec!["admin".to_owned(), "dev".to_owned()],
            expires: Some("2027-01-31".to_owned()),
            ..KeyEntry::default()
        };
        assert_eq!(
            entry.to_toml(),
            "[[key]]\nname = \"a \\\"b\\\"\\u007f\"\nhash = \"sha256:00\"\nroles = [\"admin\",\"dev\"]\nexpires = \"2027-01-31\"\n"
        );
    }
}
