//! The configuration: key entries from a TOML file, from the options, or from both.

use std::collections::HashMap;

use mlx_gate_plugin::{HostFile, Rejected, without_text};
use serde::Deserialize;

use crate::expiry::Expiry;
use crate::{Account, Key, StaticKeys};

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Option<HostFile>,
    keys: Option<Vec<Entry>>,
    #[serde(default)]
    unknown: Unknown,
    #[serde(default = "cache_for_ms")]
    cache_for_ms: u64,
}

/// What is said of keys that are in no table.
#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unknown {
    #[default]
    Deny,
    /// They may be another plugin's.
    Abstain,
}

/// A changed file ends it at once, and no answer outlives its key.
fn cache_for_ms() -> u64 {
    60_000
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
    /// Checks all keys, sorts them by digest, and brings their accounts together.
    pub(crate) fn resolve(self) -> Result<StaticKeys, Rejected> {
        if self.file.is_none() && self.keys.is_none() {
            return Err(Rejected::new(
                "no keys: set `file` to a key file (`mlx-gate key new` writes its entries)",
            ));
        }
        let text = self.file.as_ref().map_or(Ok(""), HostFile::text)?;
        let inline = self.keys.unwrap_or_default();
        let mut table = Table::with_room_for(text.matches("[[").count() + inline.len());
        if let Some(file) = &self.file {
            read(text, |entry| table.add(entry))
                .map_err(|error| Rejected::new(format_args!("{file}, {error}")))?;
        }
        inline.into_iter().try_for_each(|entry| table.add(entry))?;
        table.finish(self.unknown, (self.cache_for_ms > 0).then_some(self.cache_for_ms))
    }
}

/// Takes entries in one at a time. The room for all of them is made before the first one is read, low in memory and in one
/// piece; read into a list first, what lasts would lie scattered between what does not.
struct Table {
    keys: Vec<Key>,
    names: String,
    accounts: HashMap<Account, u32>,
}

impl Table {
    fn with_room_for(keys: usize) -> Self {
        const USUAL_NAME: usize = 16;
        Self {
            keys: Vec::with_capacity(keys),
            names: String::with_capacity(keys * USUAL_NAME),
            accounts: HashMap::new(),
        }
    }

    fn add(&mut self, entry: Entry) -> Result<(), Rejected> {
        let digest = entry.digest()?;
        let name = self.names.len() as u32;
        self.names.push_str(&entry.name);
        self.names.push(StaticKeys::END_OF_NAME);
        let expires_ms = entry.expires.map(|expiry| expiry.unix_ms);
        let account = Account { tenant: entry.tenant, roles: entry.roles, scopes: entry.scopes, expires_ms };
        let next = self.accounts.len() as u32;
        let account = *self.accounts.entry(account).or_insert(next);
        self.keys.push(Key { digest, name, account });
        Ok(())
    }

    fn finish(mut self, unknown: Unknown, cache_for_ms: Option<u64>) -> Result<StaticKeys, Rejected> {
        self.keys.sort_unstable_by_key(|key| key.digest);
        let mut accounts: Vec<_> = self.accounts.into_iter().collect();
        accounts.sort_unstable_by_key(|(_, index)| *index);
        let accounts = accounts.into_iter().map(|(account, _)| account).collect();
        let plugin = StaticKeys { keys: self.keys, names: self.names, accounts, unknown, cache_for_ms };

        let mut names: Vec<_> = plugin.keys.iter().map(|key| plugin.name(key)).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
            return Err(Rejected::new(format_args!("key `{twice}`: there are two keys of this `name`")));
        }
        if let Some([one, other]) =
            plugin.keys.array_windows().find(|[one, other]| one.digest == other.digest)
        {
            let (one, other) = (plugin.name(one), plugin.name(other));
            return Err(Rejected::new(format_args!("key `{other}`: `hash` is that of key `{one}` too")));
        }
        Ok(plugin)
    }
}

impl Entry {
    fn digest(&self) -> Result<[u8; 32], Rejected> {
        if self.name.is_empty() || self.name.len() > 256 || self.name.contains(char::is_control) {
            return Err(Rejected::new("a key's `name` has 1 to 256 bytes and no control characters"));
        }
        // The value is not repeated: somebody who mistakes this field for the key itself would see it in a log.
        self.hash.strip_prefix("sha256:").and_then(unhex).ok_or_else(|| {
            Rejected::new(format_args!(
                "key `{}`: `hash` is not `sha256:` and 64 hexadecimal digits, as `mlx-gate key new` writes it",
                self.name
            ))
        })
    }
}

/// Reads a key file one `[[key]]` table after another: parsed as a whole, ten thousand keys take more memory than a plugin
/// has.
fn read(text: &str, mut take: impl FnMut(Entry) -> Result<(), Rejected>) -> Result<(), Rejected> {
    let (mut start, mut first_line) = (0, 1);
    while start < text.len() {
        let rest = &text[start..];
        let lines =
            rest.split_inclusive('\n').skip(1).take_while(|line| !line.trim_start().starts_with("[["));
        let end = rest.find('\n').map_or(rest.len(), |end| end + 1) + lines.map(str::len).sum::<usize>();
        let table = &rest[..end];
        let file = toml::from_str::<KeyFile>(table).map_err(|error| explain(table, first_line, &error))?;
        file.key.into_iter().try_for_each(&mut take)?;
        first_line += table.matches('\n').count();
        start += end;
    }
    Ok(())
}

/// Says which key and line are wrong. The parser's own text would quote the line, and with it whatever stands there.
fn explain(table: &str, first_line: usize, error: &toml::de::Error) -> Rejected {
    let line = first_line + error.span().map_or(0, |span| table[..span.start].matches('\n').count());
    let message = without_text(error.message());
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
