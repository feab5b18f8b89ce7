//! The configuration: key entries from a TOML file, from the options, or from both.

use std::collections::HashSet;

use mlx_gate_plugin::{Principal, Rejected};
use serde::Deserialize;

use crate::Key;
use crate::expiry::Expiry;

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Content of the key file.
    file: Option<String>,
    keys: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    hash: String,
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    expires: Option<Expiry>,
}

impl Config {
    /// All keys, checked and sorted by digest.
    pub(crate) fn keys(self) -> Result<Vec<Key>, Rejected> {
        if self.file.is_none() && self.keys.is_none() {
            return Err(Rejected::new(
                "no keys: set `file` to a key file (`mlx-gate key new` writes its entries)",
            ));
        }
        let mut entries = self.file.as_deref().map(read).transpose()?.unwrap_or_default();
        entries.extend(self.keys.unwrap_or_default());

        let mut names = HashSet::new();
        if let Some(twice) = entries.iter().find(|entry| !names.insert(entry.name.as_str())) {
            return Err(Rejected::new(format_args!(
                "key `{}`: there are two keys of this `name`",
                twice.name
            )));
        }
        let mut keys = entries.into_iter().map(Entry::into_key).collect::<Result<Vec<_>, _>>()?;
        keys.sort_unstable_by_key(|key| key.digest);
        if let Some([one, other]) = keys.array_windows().find(|[one, other]| one.digest == other.digest) {
            let (one, other) = (&one.principal.subject, &other.principal.subject);
            return Err(Rejected::new(format_args!("key `{other}`: `hash` is that of key `{one}` too")));
        }
        Ok(keys)
    }
}

impl Entry {
    fn into_key(self) -> Result<Key, Rejected> {
        if self.name.is_empty() || self.name.len() > 256 || self.name.contains(char::is_control) {
            return Err(Rejected::new("a key's `name` has 1 to 256 bytes and no control characters"));
        }
        // The value is not repeated: somebody who mistakes this field for the key itself would see it in a log.
        let Some(digest) = self.hash.strip_prefix("sha256:").and_then(unhex) else {
            return Err(Rejected::new(format_args!(
                "key `{}`: `hash` is not `sha256:` and 64 hexadecimal digits, as `mlx-gate key new` writes it",
                self.name
            )));
        };
        let principal = Principal {
            claims: vec![("key".to_owned(), self.name.clone())],
            subject: self.name,
            tenant: self.tenant,
            roles: self.roles,
            scopes: self.scopes,
            expires_at: self.expires.map(|expiry| expiry.unix_ms),
        };
        Ok(Key { digest, principal })
    }
}

/// Reads a key file one `[[key]]` table after another: parsed as a whole, ten thousand keys take more memory than a plugin
/// has.
fn read(text: &str) -> Result<Vec<Entry>, Rejected> {
    let mut entries = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    while start < text.len() {
        let rest = &text[start..];
        let lines =
            rest.split_inclusive('\n').skip(1).take_while(|line| !line.trim_start().starts_with("[["));
        let end = rest.find('\n').map_or(rest.len(), |end| end + 1) + lines.map(str::len).sum::<usize>();
        let table = &rest[..end];
        match toml::from_str::<KeyFile>(table) {
            Ok(file) => entries.extend(file.key),
            Err(error) => return Err(explain(table, first_line, &error)),
        }
        first_line += table.matches('\n').count();
        start += end;
    }
    Ok(entries)
}

/// Says which key and line are wrong. The parser's own text would quote the line, and with it whatever stands there.
fn explain(table: &str, first_line: usize, error: &toml::de::Error) -> Rejected {
    let line = first_line + error.span().map_or(0, |span| table[..span.start].matches('\n').count());
    let message = error.message();
    let read = toml::from_str::<toml::Table>(table).ok();
    let key = read.as_ref().and_then(|table| table.get("key")?.as_array()?.first()?.get("name")?.as_str());
    match key {
        Some(name) => Rejected::new(format_args!("key `{name}`, line {line}: {message}")),
        None => Rejected::new(format_args!("line {line}: {message}")),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |text: u8| char::from(text).to_digit(16);
        *byte = (digit(*high)? * 16 + digit(*low)?) as u8;
    }
    Some(bytes)
}
