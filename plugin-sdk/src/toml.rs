//! Options whose file is TOML. With the feature `toml`.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::{HostFile, Rejected, without_text};

impl HostFile {
    /// Reads the content as TOML. An error names file, line, table and key, and never repeats a text that stands in the wrong place:
    /// whoever may change options may name any file of the server's.
    pub fn toml<T: DeserializeOwned>(&self) -> Result<T, Rejected> {
        let text = self.text()?;
        let at = |error: &toml::de::Error| {
            let line = text[..error.span().map_or(0, |span| span.start)].matches('\n').count() + 1;
            format!("{self}, line {line}")
        };
        let reader = toml::Deserializer::parse(text)
            .map_err(|error| Rejected::new(format_args!("{}: {}", at(&error), error.message())))?;
        serde_path_to_error::deserialize(reader).map_err(|error| {
            let place = place(error.path());
            let error = error.inner();
            Rejected::new(format_args!("{}{place}: {}", at(error), without_text(error.message())))
        })
    }
}

/// The way to a value as people count: `allow[1].models[0]` is ``, allow 2, `models[0]` ``.
fn place(path: &Path) -> String {
    let mut segments = path.iter().peekable();
    let mut place = String::new();
    if let Some(Segment::Map { key: table }) = path.iter().next()
        && let Some(Segment::Seq { index }) = path.iter().nth(1)
    {
        place = format!(", {table} {}", index + 1);
        segments.nth(1);
    }
    let key = segments.map(ToString::to_string).collect::<Vec<_>>().join(".").replace(".[", "[");
    if key.is_empty() { place } else { format!("{place}, `{key}`") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::HostFile;
    use crate::file::within;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rules {
        #[serde(default)]
        rule: Vec<Rule>,
        #[expect(dead_code, reason = "only read")]
        most: Option<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        names: Vec<String>,
    }

    fn read(text: &str) -> Result<Rules, String> {
        let files = [("rules.toml".to_owned(), text.as_bytes().to_vec())];
        let file: HostFile = within(files, || crate::runtime::parse(r#""rules.toml""#)).expect("it is there");
        file.toml().map_err(|error| error.to_string())
    }

    #[test]
    fn tables_are_read_and_mistakes_found() {
        let rules = read("[[rule]]\nnames = ['a']\n[[rule]]\nnames = []").expect("it is right");
        assert_eq!((rules.rule.len(), rules.rule[0].names.len()), (2, 1));
        let good = "[[rule]]\nnames = ['a']\n";
        for (text, expected) in [
            ("most = ", "`rules.toml`, line 1: string values must be quoted, expected literal string"),
            ("\nmost = 'x'", "`rules.toml`, line 2, `most`: invalid type: string, expected u8"),
            ("most = 'a, expected b'", "`rules.toml`, line 1, `most`: invalid type: string, expected u8"),
            ("rules = []", "`rules.toml`, line 1, `rules`: unknown field `rules`, expected `rule` or `most`"),
            (
                &format!("{good}[[rule]]\nnames = ['a', 7]"),
                "`rules.toml`, line 4, rule 2, `names[1]`: invalid type: integer `7`, expected a string",
            ),
            (&format!("{good}[[rule]]\n"), "`rules.toml`, line 3, rule 2: missing field `names`"),
            (
                &format!("{good}nams = []"),
                "`rules.toml`, line 3, rule 1, `nams`: unknown field `nams`, expected `names`",
            ),
        ] {
            assert_eq!(read(text).expect_err("it is wrong"), expected, "{text}");
        }
    }
}
