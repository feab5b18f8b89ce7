use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::Rejected;

/// An option of format `host-file`: the path of a file, with the content that the host has read.
///
/// It can be read from a configuration while a plugin is being configured, and only then. Take what you need out of it and
/// let it go within [`configure`](crate::Plugin::configure): what is freed until then is overwritten, so that a secret the
/// file held is in no snapshot.
#[derive(Clone)]
pub struct HostFile {
    path: String,
    content: Arc<Vec<u8>>,
}

impl HostFile {
    /// The path, as it stands in the configuration. For messages; the plugin cannot open it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.content
    }

    /// The content as text, where it is UTF-8.
    pub fn text(&self) -> Result<&str, Rejected> {
        std::str::from_utf8(&self.content).map_err(|error| {
            let line = self.content[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            Rejected::new(format_args!("{self}, line {line}: not UTF-8"))
        })
    }
}

/// The path in backticks, as messages name a file.
impl fmt::Display for HostFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.path)
    }
}

/// Without the content, which may be secret.
impl fmt::Debug for HostFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostFile({:?}, {} bytes)", self.path, self.content.len())
    }
}

impl<'de> Deserialize<'de> for HostFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        let content = GIVEN.with_borrow(|files| {
            files.iter().find(|(given, _)| *given == path).map(|(_, content)| content.clone())
        });
        let content = content.ok_or_else(|| {
            D::Error::custom(format_args!(
                "the host did not hand over `{path}`; does the schema give this option the format `host-file`?"
            ))
        })?;
        Ok(Self { path, content })
    }
}

thread_local! {
    /// What `configure` was called with. Two options may name one file.
    static GIVEN: RefCell<Vec<(String, Arc<Vec<u8>>)>> = const { RefCell::new(Vec::new()) };
}

/// Reads a configuration whose options may name these files.
pub(crate) fn within<T>(files: impl IntoIterator<Item = (String, Vec<u8>)>, read: impl FnOnce() -> T) -> T {
    let files = files.into_iter().map(|(path, content)| (path, Arc::new(content))).collect();
    GIVEN.set(files);
    let value = read();
    GIVEN.take();
    value
}

#[cfg(test)]
mod tests {
    use super::{HostFile, within};

    fn read(config: &str) -> Result<Vec<HostFile>, String> {
        let files = [("a.txt", &b"one\ntwo"[..]), ("b.bin", b"ok\n\xff"), ("empty", b"")];
        let files = files.map(|(path, content)| (path.to_owned(), content.to_owned()));
        within(files, || crate::runtime::parse(config)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_becomes_the_file() {
        let files = read(r#"["a.txt", "b.bin", "empty", "a.txt"]"#).expect("all four are there");
        assert_eq!(files[0].path(), "a.txt");
        assert_eq!(files[0].text().expect("it is text"), "one\ntwo");
        assert_eq!(files[3].bytes(), files[0].bytes());
        assert_eq!(files[2].bytes(), b"");
        assert_eq!(files[1].text().expect_err("it is not text").to_string(), "`b.bin`, line 2: not UTF-8");
    }

    #[test]
    fn what_was_not_handed_over_is_an_error_that_names_the_option() {
        let error = read(r#"["a.txt", "c.txt"]"#).expect_err("there is no c.txt");
        assert_eq!(
            error,
            "`[1]`: the host did not hand over `c.txt`; does the schema give this option the format `host-file`?"
        );
        // Nothing of an earlier configuration is left.
        read("[]").expect("nothing is asked for");
        assert!(crate::runtime::parse::<HostFile>(r#""a.txt""#).is_err());
    }

    #[test]
    fn the_content_is_not_shown() {
        let files = read(r#"["a.txt"]"#).expect("it is there");
        assert_eq!(format!("{files:?}"), r#"[HostFile("a.txt", 7 bytes)]"#);
    }
}
