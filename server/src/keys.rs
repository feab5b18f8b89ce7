//! `mlx-gate key new`: makes a key and adds its hash to a key file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use mlx_gate_core::Secret;
use mlx_gate_lifecycle::static_keys::{self, KeyEntry};

use crate::cli::NewKey;

/// Why there is no new key. The file is then as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A name that no log line or error should have to carry.
    #[error("--name has to be 1 to 256 bytes long and free of control characters")]
    Name,
    /// The name is taken.
    #[error("{} has a key named `{name}` already; choose another --name, or remove that entry first", path.display())]
    Duplicate {
        /// The key file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// `--expires` is no moment.
    #[error(
        "--expires {0}: expected days from now (90d), a date (2027-01-31) or a time (2027-01-31T12:00:00Z)"
    )]
    Expires(String),
    /// `--expires` is over.
    #[error("--expires {0}: that moment has passed")]
    Expired(String),
    /// Something else is in the file.
    #[error("{}, line {line}: this is not a key file: {problem}; name another --file", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's words.
        problem: String,
    },
    /// The file or its folder.
    #[error("{} cannot be {doing}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The system's words.
        cause: io::Error,
    },
    /// The system has none to give.
    #[error("the operating system gave no random numbers; no key was made")]
    NoRandomness,
}

/// Adds a key to the file and returns it. It is nowhere else: the file holds its hash.
pub(crate) fn new(arguments: &NewKey) -> Result<Secret, Error> {
    if arguments.name.is_empty() || arguments.name.len() > 256 || arguments.name.contains(char::is_control) {
        return Err(Error::Name);
    }
    let expires = arguments.expires.as_deref().map(expiry).transpose()?;
    let key = static_keys::generate().ok_or(Error::NoRandomness)?;
    let entry = KeyEntry {
        name: arguments.name.clone(),
        hash: static_keys::hash(&key),
        tenant: arguments.tenant.clone(),
        roles: arguments.roles.clone(),
        scopes: arguments.scopes.clone(),
        expires: expires.map(|moment| moment.to_string()),
    };
    add(&arguments.file, &entry)?;
    Ok(key)
}

/// The moment a key stops working, in whole seconds.
fn expiry(text: &str) -> Result<Timestamp, Error> {
    let now = Timestamp::now();
    let days = |text: &str| -> Option<Timestamp> {
        let days: i64 = text.strip_suffix('d')?.parse().ok()?;
        Timestamp::from_second(now.checked_add((days.checked_mul(24)?).hours()).ok()?.as_second()).ok()
    };
    let date = |text: &str| -> Option<Timestamp> {
        let date: Date = text.parse().ok().filter(|_| !text.contains(['T', 't', ' ']))?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let moment = days(text).or_else(|| date(text)).or_else(|| text.parse().ok());
    match moment {
        None => Err(Error::Expires(text.to_owned())),
        Some(moment) if moment <= now => Err(Error::Expired(text.to_owned())),
        Some(moment) => Ok(moment),
    }
}

/// Appends an entry. The file is replaced as a whole, so that a server which reads it meanwhile sees all of it or nothing
/// new; two of us at once take turns.
fn add(path: &Path, entry: &KeyEntry) -> Result<(), Error> {
    let failed = |doing| move |cause| Error::File { path: path.to_owned(), doing, cause };
    // A symbolic link stays one: what it points to is replaced.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let lock = File::open(folder).map_err(failed("written"))?;
    lock.lock().map_err(failed("written"))?;

    let mut text = match fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read")(error)),
    };
    if names(path, &text)?.contains(&entry.name) {
        return Err(Error::Duplicate { path: path.to_owned(), name: entry.name.clone() });
    }
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    text.push_str(&entry.to_toml());
    replace(&target, folder, &text).map_err(failed("written"))
}

/// Names of the keys in a key file.
fn names(path: &Path, text: &str) -> Result<Vec<String>, Error> {
    let not_a_key_file =
        |line, problem: &str| Error::NotAKeyFile { path: path.to_owned(), line, problem: problem.to_owned() };
    // Only the parser's words: its full text would quote the line.
    let file: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        not_a_key_file(line, error.message())
    })?;
    match file.get("key") {
        None if file.is_empty() => Ok(Vec::new()),
        Some(toml::Value::Array(entries)) => {
            let name =
                |entry: &toml::Value| entry.get("name").and_then(toml::Value::as_str).map(str::to_owned);
            Ok(entries.iter().filter_map(name).collect())
        }
        _ => Err(not_a_key_file(1, "it has no list of `[[key]]`")),
    }
}

/// Writes a new file beside the old one, readable by its owner only or by whom the old one was, and puts it in its place.
fn replace(target: &Path, folder: &Path, text: &str) -> io::Result<()> {
    let fresh = folder.join(format!(".mlx-gate-keys-{}", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        if let Ok(old) = fs::metadata(target) {
            // Whoever makes a key may be another than the server, which has to be able to read it. Only root can give a file
            // away; to others it is an error, and the old file stays.
            let (uid, gid) = (old.uid(), old.gid());
            let made = file.metadata()?;
            if (made.uid(), made.gid()) != (uid, gid) {
                fchown(&file, Some(uid), Some(gid))?;
            }
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, target)
    })();
    if written.is_err() {
        // What failed is reported; the leftover is only a nuisance.
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_days_a_date_or_a_time() {
        let seconds = |text| expiry(text).map(Timestamp::as_second).ok();
        let now = Timestamp::now().as_second();
        let in_two_days = seconds("2d").unwrap();
        assert!((now + 2 * 86_400..=now + 2 * 86_400 + 60).contains(&in_two_days));
        assert_eq!(seconds("2999-01-31"), seconds("2999-01-31T00:00:00Z"));
        assert_eq!(seconds("2999-01-31T02:00:00+02:00"), seconds("2999-01-31"));
        for text in ["", "soon", "d", "99999999999999999999d", "2999-02-30", "2999-01-31T12:00:00"] {
            assert!(matches!(expiry(text), Err(Error::Expires(_))), "{text}");
        }
        for text in ["0d", "-1d", "2001-01-01"] {
            assert!(matches!(expiry(text), Err(Error::Expired(_))), "{text}");
        }
    }
}
